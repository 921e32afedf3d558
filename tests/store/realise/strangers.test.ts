import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes } from "../../../core/index.ts";
import type { BuiltinBuilder } from "../../../store/types.ts";
import { TestStore } from "../realiseFixture.ts";

/** What a daemon does for someone who is neither trusted nor its own user. */
const STRANGER = { isForStranger: true };

async function problemOf(test: TestStore, ...args: Parameters<TestStore["build"]>): Promise<string> {
  const { failures } = await test.build(...args);
  return failures.map(({ message }) => message).join("\n");
}

describe("for a stranger", () => {
  it("no builder runs as us without a sandbox", async () => {
    await using test = TestStore.create({ sandbox: "off" });
    const drvPath = test.derivation({ name: "code", script: "echo ran > $out" });
    expect(await problemOf(test, drvPath, STRANGER)).toContain("for an untrusted user without a sandbox");
    expect(test.store.isValidPath(test.output(drvPath))).toBe(false);
    expect(await problemOf(test, drvPath)).toBe("");
  });

  it("builtin:fetchurl reads no files of ours, not to find out their hash either", async () => {
    await using test = TestStore.create();
    const secret = join(test.dir, "secret");
    writeFileSync(secret, "root:hunter2");
    const fetch = (method: "flat" | "nar", variable: "url" | "urls") =>
      test.derivation({
        name: `fetched-${method}-${variable}`,
        builder: "builtin:fetchurl",
        args: [],
        env: { [variable]: `file://${secret}` },
        hash: formatHash(hashBytes("sha256", "guess"), "sri"),
        method,
      });
    for (const variable of ["url", "urls"] as const)
      for (const method of ["flat", "nar"] as const)
        expect(await problemOf(test, fetch(method, variable), STRANGER)).toContain("trusted users only");
    expect(test.store.allValidPaths().filter((path) => !path.endsWith(".drv"))).toEqual([]);
  });

  it("builtin:unpack-channel and builtin:buildenv read nothing but the store", async () => {
    await using test = TestStore.create();
    const secret = join(test.dir, "private");
    mkdirSync(join(secret, "letters"), { recursive: true });
    writeFileSync(join(secret, "nix.tar"), "");
    mkdirSync(join(test.dir, "link"));
    symlinkSync(secret, join(test.dir, "link/inside"));
    mkdirSync(join(test.dir, "tree/nix-support"), { recursive: true });
    writeFileSync(join(secret, "words"), "/hunter2");
    symlinkSync(join(secret, "words"), join(test.dir, "tree/nix-support/propagated-user-env-packages"));
    const [linked, tree] = ["link", "tree"].map((name) =>
      test.store.addPath(join(test.dir, name), { name, method: "nar" }),
    );
    const builtin = (name: string, env: Readonly<Record<string, string>>) =>
      test.derivation({ name, builder: `builtin:${name}`, args: [], env });
    const environment = (path: string) =>
      builtin("buildenv", { derivations: `true 5 1 ${path}`, manifest: "/dev/null" });
    const refused = [
      builtin("unpack-channel", { channelName: "c", src: join(secret, "nix.tar") }),
      environment(secret),
      environment(`${linked}/inside`),
      environment(`${linked} true 5 1 ${linked}/inside/..`),
      environment(tree ?? ""),
    ];
    for (const drvPath of refused) {
      const problem = await problemOf(test, drvPath, STRANGER);
      expect(problem).toContain("trusted users only");
      expect(problem).not.toContain("hunter2");
    }
    expect(await problemOf(test, environment(linked ?? ""), STRANGER)).toBe("");
  });

  it("builders that others brought do nothing", async () => {
    await using test = TestStore.create();
    let ran = 0;
    const own: BuiltinBuilder = async ({ outputs }) => {
      ran++;
      writeFileSync(outputs.get("out") ?? "", "made");
    };
    const builtinBuilders = new Map([["own", own]]);
    const drvPath = test.derivation({ name: "own", builder: "builtin:own", args: [] });
    expect(await problemOf(test, drvPath, { ...STRANGER, builtinBuilders })).toContain("trusted users only");
    expect(ran).toBe(0);
    expect(await problemOf(test, drvPath, { builtinBuilders })).toBe("");
    expect(ran).toBe(1);
  });
});
