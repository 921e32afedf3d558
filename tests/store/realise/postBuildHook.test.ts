import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TestStore } from "../realiseFixture.ts";

function hook(dir: string, script: string): ReadonlyMap<string, string> {
  const program = join(dir, "hook");
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  return new Map([["post-build-hook", program]]);
}

describe("post-build-hook", () => {
  it("is told what was built, once it is registered, and its words go into the log", async () => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ raw });
    const out = join(t.dir, "told");
    hook(t.dir, `echo "$DRV_PATH $OUT_PATHS" >> ${out}; echo a line; echo an error >&2`).forEach(
      (value, key) => raw.set(key, value),
    );
    const drv = t.derivation({
      name: "two",
      outputs: ["out", "doc"],
      script: "echo > $out; echo > $doc",
      env: { out: "", doc: "" },
    });
    expect((await t.build(drv)).failures).toEqual([]);
    expect(readFileSync(out, "utf8")).toBe(`${drv} ${t.output(drv, "doc")} ${t.output(drv)}\n`);
    const lines = t.events.flatMap((event) => (event.kind === "log" ? [event.line] : []));
    expect(lines).toEqual(expect.arrayContaining(["post-build-hook: a line", "post-build-hook: an error"]));
    await t.build(drv);
    expect(readFileSync(out, "utf8").split("\n")).toHaveLength(2);
  });

  it("fails the build that it fails on", async () => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ raw });
    hook(t.dir, "exit 3").forEach((value, key) => raw.set(key, value));
    const { failures, exitStatus } = await t.build(t.derivation({ name: "a", script: "echo > $out" }));
    expect(failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^program '.*hook' failed with exit code 3$/),
    ]);
    expect(exitStatus).toBe(100);
  });
});
