import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes } from "../../../core/index.ts";
import { hashNar, narChunks } from "../../../store/format/nar.ts";
import type { StorePath } from "../../../store/types.ts";
import { TestStore, sendBytes, serve, type TestDerivation } from "../realiseFixture.ts";

const CONTENT = Buffer.alloc(3 << 20, "0123456789abcdef\n");
const SRI = formatHash(hashBytes("sha256", CONTENT), "sri");

function fetching(t: TestStore, env: Record<string, string>, more: Partial<TestDerivation> = {}): StorePath {
  return t.derivation({
    name: "file",
    system: "builtin",
    builder: "builtin:fetchurl",
    args: [],
    env,
    hash: SRI,
    ...more,
  });
}

describe("builtin:fetchurl", () => {
  it("fetches over http through redirects, as a download with progress", async () => {
    await using server = await serve((path, request, response) => {
      if (path === "/file") return sendBytes(CONTENT, request, response);
      if (path !== "/old") return false;
      response.writeHead(302, { location: "/file" }).end();
      return true;
    });
    await using t = TestStore.create();
    const drv = fetching(t, { url: `${server.url}/old` });
    expect((await t.build(drv)).failures).toEqual([]);
    expect(readFileSync(t.output(drv)).equals(CONTENT)).toBe(true);
    expect(statSync(t.output(drv)).mode & 0o7777).toBe(0o444);
    expect(t.events.some((event) => event.kind === "start" && event.activity === "download")).toBe(true);
    const last = t.events.findLast((event) => event.kind === "progress");
    expect(last).toMatchObject({ doneBytes: CONTENT.length, totalBytes: CONTENT.length });
    expect(readdirSync(`${t.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("fetches file URLs, executable files and NARs to unpack", async () => {
    await using t = TestStore.create();
    const tree = t.derivation({ name: "tree", script: "/bin/mkdir $out; echo x > $out/f" });
    await t.build(tree);
    const nar = `${t.dir}/tree.nar`;
    writeFileSync(nar, Buffer.concat([...narChunks(t.output(tree))].map((chunk) => Buffer.from(chunk))));
    const unpacked = fetching(
      t,
      { url: pathToFileURL(nar).href, unpack: "1" },
      { hash: formatHash(hashNar(t.output(tree)).hash, "sri"), method: "nar" },
    );
    const tool = `${t.dir}/tool`;
    writeFileSync(tool, "#!/bin/sh\n", { mode: 0o755 });
    const executable = fetching(
      t,
      { url: pathToFileURL(tool).href, executable: "1" },
      { hash: formatHash(hashNar(tool).hash, "sri"), method: "nar" },
    );
    expect((await t.build([unpacked, executable])).failures).toEqual([]);
    expect(readFileSync(`${t.output(unpacked)}/f`, "utf8")).toBe("x\n");
    expect(statSync(t.output(executable)).mode & 0o111).toBe(0o111);
  });

  it("never registers a file with a wrong hash", async () => {
    const wrong = Buffer.from(CONTENT);
    wrong[100] = 0;
    await using server = await serve((_path, request, response) => sendBytes(wrong, request, response));
    await using t = TestStore.create();
    const drv = fetching(t, { url: `${server.url}/file` });
    const report = await t.build(drv);
    const got = formatHash(hashBytes("sha256", wrong), "sri");
    expect(report.failures.map(({ message }) => message)).toEqual([
      `hash mismatch in fixed-output derivation '${drv}':\n  specified: ${SRI}\n     got:    ${got}`,
    ]);
    expect(report.exitStatus).toBe(102);
    expect(existsSync(t.output(drv))).toBe(false);
    expect(readdirSync(`${t.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("tries mirrors in turn, past absent files and wrong ones", async () => {
    await using server = await serve((path, request, response) => {
      if (path === "/good") return sendBytes(CONTENT, request, response);
      return path === "/changed" && sendBytes(Buffer.from("changed"), request, response);
    });
    await using t = TestStore.create();
    const urls = ["/absent", "/changed", "/good"].map((path) => server.url + path).join(" ");
    const drv = fetching(t, { urls });
    expect((await t.build(drv)).failures).toEqual([]);
    expect(server.requests).toEqual(["/absent", "/changed", "/good"]);
    expect(t.logLines().join("\n")).toContain("HTTP error 404");
    const lost = fetching(t, { urls: `${server.url}/a ${server.url}/b` }, { name: "lost" });
    const report = await t.build(lost);
    expect(report.failures[0]?.message).toMatch(
      /unable to download from any of 2 mirrors:\n {2}unable to download 'http.*\/a': HTTP error 404/,
    );
  });

  it("continues where the connection broke", async () => {
    let isFirst = true;
    await using server = await serve((_path, request, response) => {
      if (!isFirst) return sendBytes(CONTENT, request, response);
      isFirst = false;
      response.writeHead(200, { "content-length": CONTENT.length });
      response.write(CONTENT.subarray(0, 2 << 20), () => setTimeout(() => response.destroy(), 100));
      return true;
    });
    await using t = TestStore.create();
    const drv = fetching(t, { url: `${server.url}/file` });
    expect((await t.build(drv)).failures).toEqual([]);
    expect(readFileSync(t.output(drv)).equals(CONTENT)).toBe(true);
    expect(server.requests).toHaveLength(2);
    expect(server.requests[1]).toMatch(/^\/file bytes=[1-9]\d+-$/);
  });

  it("continues what an earlier run left, and starts anew where that was something else", async () => {
    await using t = TestStore.create();
    let mode: "cut" | "whole" = "cut";
    await using server = await serve((_path, request, response) => {
      if (mode === "whole") return sendBytes(CONTENT, request, response);
      response.writeHead(200, { "content-length": CONTENT.length });
      response.write(CONTENT.subarray(0, 1000), () => setTimeout(() => response.destroy(), 100));
      return true;
    });
    const drv = fetching(t, { url: `${server.url}/file` });
    const cut = await t.build(drv);
    expect(cut.failures[0]?.message).toContain("unable to download");
    const downloads = `${t.dir}/state/devshell/downloads`;
    const [partial] = readdirSync(downloads);
    expect(statSync(`${downloads}/${partial}`).size).toBeGreaterThan(0);
    writeFileSync(`${downloads}/${partial}`, "something else");
    mode = "whole";
    expect((await t.build(drv)).failures).toEqual([]);
    expect(server.requests.slice(-2)).toEqual(["/file bytes=14-", "/file"]);
  }, 30_000);

  it("gives up on a file larger than announced, and on a server that is gone", async () => {
    await using server = await serve((_path, request, response) => sendBytes(CONTENT, request, response));
    await using t = TestStore.create({ keepGoing: true });
    const large = fetching(t, { url: `${server.url}/file`, size: "1000" });
    const report = await t.build(large);
    expect(report.failures[0]?.message).toContain(
      `it has at least ${CONTENT.length} bytes, more than the 1000 allowed`,
    );
    const gone = fetching(t, { url: "http://127.0.0.1:1/file" }, { name: "gone" });
    expect((await t.build(gone)).failures[0]?.message).toContain("ECONNREFUSED");
    const scheme = fetching(t, { url: "gopher://x/y" }, { name: "scheme" });
    expect((await t.build(scheme)).failures[0]?.message).toContain("scheme 'gopher:' is unknown");
  }, 30_000);

  it("must have a fixed output", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "x",
      system: "builtin",
      builder: "builtin:fetchurl",
      args: [],
      env: { url: "file:///dev/null" },
    });
    expect((await t.build(drv)).failures[0]?.message).toContain(
      "must be a fixed-output or impure derivation",
    );
  });
});

describe("other builtin builders", () => {
  it("links packages into a user environment by priority", async () => {
    await using t = TestStore.create();
    const low = t.derivation({
      name: "low",
      script:
        "/bin/mkdir -p $out/bin $out/share/x; echo low > $out/bin/tool; echo low > $out/bin/low; echo > $out/share/x/low",
    });
    const high = t.derivation({
      name: "high",
      script: "/bin/mkdir -p $out/bin $out/share/x; echo high > $out/bin/tool; echo > $out/share/x/high",
    });
    const environment = (name: string, priority: string): StorePath =>
      t.derivation({
        name,
        system: "builtin",
        builder: "builtin:buildenv",
        args: [],
        env: {
          manifest: "/dev/null",
          derivations: `true 10 1 ${t.output(low)} true ${priority} 1 ${t.output(high)}`,
        },
        inputs: [low, high],
      });
    const user = environment("user", "5");
    expect((await t.build(user)).failures).toEqual([]);
    const out = t.output(user);
    expect(readFileSync(`${out}/bin/tool`, "utf8")).toBe("high\n");
    expect(readFileSync(`${out}/bin/low`, "utf8")).toBe("low\n");
    expect(readdirSync(`${out}/share/x`).sort()).toEqual(["high", "low"]);
    expect([...(t.store.queryPathInfo(out)?.references ?? [])].sort()).toEqual(
      [t.output(low), t.output(high)].sort(),
    );
    const report = await t.build(environment("clash", "10"));
    expect(report.failures[0]?.message).toContain("There is a conflict for the following files");
  });

  it("runs the caller's builders, and names unknown ones", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "mine",
      system: "builtin",
      builder: "builtin:mine",
      args: [],
      env: { text: "hello" },
    });
    const report = await t.build(drv, {
      builtinBuilders: new Map([
        [
          "mine",
          async ({ derivation, outputs, log }) => {
            log("working");
            writeFileSync(outputs.get("out") ?? "", derivation.env.get("text") ?? "");
            await Promise.resolve();
          },
        ],
      ]),
    });
    expect(report.failures).toEqual([]);
    expect(readFileSync(t.output(drv), "utf8")).toBe("hello");
    expect(t.logLines()).toEqual(["working"]);
    const unknown = t.derivation({
      name: "unknown",
      system: "builtin",
      builder: "builtin:unknown",
      args: [],
    });
    expect((await t.build(unknown)).failures[0]?.message).toContain("unsupported builtin builder 'unknown'");
  });
});
