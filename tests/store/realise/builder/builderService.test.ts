import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { sandboxObstacle, type RealiseRequestOptions } from "../../../../store/realise/index.ts";
import type { StorePath } from "../../../../store/types.ts";
import { TestStore, type TestDerivation } from "../../realiseFixture.ts";

const obstacle = await sandboxObstacle();

/** Asks for a path, reads what is in it, tries to change that, and refers to it. */
const BUILDER: TestDerivation = {
  name: "user",
  builder: process.execPath,
  args: [
    "-e",
    `const fs = require("node:fs");
     const { pathname } = new URL(process.env.NIX_REMOTE);
     const socket = require("node:net").connect(decodeURIComponent(pathname));
     socket.on("data", (data) => {
       const file = data + "/text";
       const text = fs.readFileSync(file, "utf8");
       if (process.env.isChanging) try { fs.chmodSync(file, 0o600); fs.writeFileSync(file, "bad"); } catch {}
       fs.writeFileSync(process.env.out, text + data);
       socket.end();
     });`,
  ],
  env: { requiredSystemFeatures: "recursive-nix" },
};

function createStore(sandbox: "on" | "off"): TestStore {
  const paths = `/usr /lib=/usr/lib /lib64=/usr/lib64? ${process.execPath}`;
  const raw = new Map([
    ["experimental-features", "recursive-nix"],
    ["extra-sandbox-paths", paths],
  ]);
  return TestStore.create({ sandbox, raw });
}

/** Adds a path for each builder that connects. */
function adding(t: TestStore, told: boolean[]): { readonly added: StorePath } & RealiseRequestOptions {
  mkdirSync(`${t.dir}/tree`);
  writeFileSync(`${t.dir}/tree/text`, "found in ");
  const added = t.store.addPath(`${t.dir}/tree`, { name: "added", method: "nar" });
  return {
    added,
    serveBuilder: async (socket, { restriction, isStranger }) => {
      told.push(isStranger, restriction.isAllowed(added));
      await restriction.add([added]);
      told.push(restriction.isAllowed(added));
      socket.write(added);
      await once(socket, "close");
    },
  };
}

describe("builders that use the store", () => {
  it("may refer to what they added", async () => {
    await using t = createStore("off");
    const drv = t.derivation(BUILDER);
    const told: boolean[] = [];
    const { added, ...options } = adding(t, told);
    expect((await t.build(drv, options)).failures).toEqual([]);
    expect(told).toEqual([false, false, true]);
    expect(readFileSync(t.output(drv), "utf8")).toBe(`found in ${added}`);
    expect(t.store.pathInfo(t.output(drv)).references).toEqual([added]);
  });

  it.skipIf(obstacle !== undefined)("find it in their sandbox, where it is a copy", async () => {
    await using t = createStore("on");
    const drv = t.derivation({ ...BUILDER, env: { ...BUILDER.env, isChanging: "1" } });
    const told: boolean[] = [];
    const { added, ...options } = adding(t, told);
    expect((await t.build(drv, options)).failures).toEqual([]);
    expect(told).toEqual([true, false, true]);
    expect(readFileSync(t.output(drv), "utf8")).toBe(`found in ${added}`);
    expect(readFileSync(`${added}/text`, "utf8")).toBe("found in ");
    expect(t.store.pathInfo(t.output(drv)).references).toEqual([added]);
  });

  it("find it whatever their derivation is called", async () => {
    await using t = createStore("off");
    const drv = t.derivation({ ...BUILDER, name: "what?is=this" });
    const { added, ...options } = adding(t, []);
    expect((await t.build(drv, options)).failures).toEqual([]);
    expect(readFileSync(t.output(drv), "utf8")).toBe(`found in ${added}`);
  });

  it("have nothing more done for them once they have ended", async () => {
    await using t = createStore("off");
    const drv = t.derivation(BUILDER);
    const { added, serveBuilder } = adding(t, []);
    let isTold = false;
    const { failures } = await t.build(drv, {
      serveBuilder: async (socket, options) => {
        await serveBuilder?.(socket, options);
        await new Promise((resolve) => options.signal.addEventListener("abort", resolve));
        isTold = true;
      },
    });
    expect(failures).toEqual([]);
    expect(isTold).toBe(true);
    expect(t.store.pathInfo(t.output(drv)).references).toEqual([added]);
  });

  it("are served a bounded number of connections at once, the others when these end", async () => {
    await using t = createStore("off");
    const end = `${t.dir}/end`;
    const script = `while [ ! -e ${end} ]; do read -t 0.05 -r x <> <(:); done; echo > $out`;
    const drv = t.derivation({
      name: "many",
      builder: "/bin/bash",
      args: ["-c", script],
      env: { requiredSystemFeatures: "recursive-nix" },
    });
    const served: Socket[] = [];
    const building = t.build(drv, {
      serveBuilder: async (socket) => {
        served.push(socket);
        await once(socket, "close");
      },
    });
    const builds = `${t.dir}/state/builds`;
    const place = await vi.waitFor(
      () => {
        const socket = `${builds}/${readdirSync(builds)[0] ?? ""}/.nix-socket`;
        expect(existsSync(socket)).toBe(true);
        return socket;
      },
      { timeout: 8000 },
    );
    const clients = Array.from({ length: 70 }, () => connect(place));
    await Promise.all(clients.map((client) => once(client, "connect")));
    await vi.waitFor(() => expect(served).toHaveLength(64), { timeout: 8000 });
    // One that has gone by its turn is not served, and keeps nobody out.
    clients[64]?.destroy();
    served[0]?.destroy();
    served[1]?.destroy();
    await vi.waitFor(() => expect(served.length).toBeGreaterThanOrEqual(66), { timeout: 8000 });
    writeFileSync(end, "");
    expect((await building).failures).toEqual([]);
    expect(served.every((socket) => socket.destroyed)).toBe(true);
    for (const client of clients) client.destroy();
  });

  it("are refused where the feature is off, whatever the machine is said to have", async () => {
    await using t = TestStore.create({ raw: new Map([["system-features", "recursive-nix"]]) });
    const { failures } = await t.build(t.derivation(BUILDER), { serveBuilder: () => Promise.resolve() });
    expect(failures[0]?.message).toContain("experimental Nix feature 'recursive-nix' is disabled");
  });

  it("are refused where nobody serves them", async () => {
    await using t = createStore("off");
    const { failures } = await t.build(t.derivation(BUILDER));
    expect(failures[0]?.message).toContain("which is not served here");
  });
});
