import { chmodSync, createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narChunks } from "../../../store/format/nar.ts";
import { readNumber, readString, readStrings, type Decoder } from "../../../store/protocol/wire.ts";
import { ByteSource } from "../../../store/protocol/byteSource.ts";
import type { StorePath } from "../../../store/types.ts";
import { TestStore } from "../realiseFixture.ts";

/** @param script run by sh, with `say` for what goes to the asker */
function storeWithHook(script: (dir: string) => string, raw = new Map<string, string>()): TestStore {
  const t = TestStore.create({ raw });
  const program = join(t.dir, "hook");
  writeFileSync(program, `#!/bin/sh\nsay() { echo "$*" >&2; }\n${script(t.dir)}\n`);
  chmodSync(program, 0o755);
  raw.set("build-hook", `${program} a-word`);
  return t;
}

interface Asked {
  readonly settings: ReadonlyMap<string, string>;
  readonly question: readonly unknown[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

function* readAsked(): Decoder<Asked> {
  const settings = new Map<string, string>();
  while ((yield* readNumber()) !== 0) settings.set(yield* readString(), yield* readString());
  const word = yield* readString();
  const question = [
    word,
    yield* readNumber(),
    yield* readString(),
    yield* readString(),
    yield* readStrings(),
  ];
  return { settings, question, inputs: yield* readStrings(), outputs: yield* readStrings() };
}

/** Does what a hook does that has built: it adds to the store whose locks are held. */
async function addOutput(t: TestStore, path: StorePath): Promise<void> {
  const file = join(t.dir, "content");
  writeFileSync(file, "built elsewhere\n");
  const nar = Buffer.concat([...narChunks(file)].map((chunk) => Buffer.from(chunk)));
  const info = { path, narHash: hashBytes("sha256", nar), narSizeBytes: nar.length, references: [] };
  await t.store.addToStoreFromStream(info, [nar], { isLocked: true });
}

describe("build-hook", { timeout: 30_000 }, () => {
  it("is asked by Nix's protocol, and what it adds is what was built", async () => {
    await using t = storeWithHook(
      (dir) => `say 'a word of mine'
say '# accept'
say ssh://far
cat >${dir}/asked
say '@nix {"action":"result","id":1,"type":101,"fields":["from far"]}'
echo "a builder's line" >&4
: >${dir}/ready
while [ ! -e ${dir}/added ]; do sleep 0.05; done`,
    );
    const drv = t.derivation({
      name: "far",
      system: "riscv64-linux",
      env: { requiredSystemFeatures: "b a" },
    });
    const building = t.build(drv);
    while (!existsSync(join(t.dir, "ready"))) await sleep(20);
    await addOutput(t, t.output(drv));
    writeFileSync(join(t.dir, "added"), "");
    expect((await building).failures).toEqual([]);
    expect(t.store.isValidPath(t.output(drv))).toBe(true);
    expect(t.logLines()).toEqual(expect.arrayContaining(["from far", "a builder's line"]));
    expect(t.events).toContainEqual(expect.objectContaining({ kind: "start" }));

    const source = new ByteSource(createReadStream(join(t.dir, "asked")));
    const { settings, question, inputs, outputs } = await source.decode(readAsked());
    expect(settings.get("store")).toContain(`store=${encodeURIComponent(t.store.storeDir)}`);
    expect(question).toEqual(["try", 1, "riscv64-linux", drv, ["a", "b"]]);
    expect([inputs, outputs]).toEqual([[], ["out"]]);
  });

  it("may leave builds to us, now or for good, and have us wait", async () => {
    await using t = storeWithHook(
      (dir) => `echo started >>${dir}/starts
say '# postpone'; say '# decline-permanently'`,
    );
    const first = t.derivation({ name: "first", script: "echo > $out" });
    const second = t.derivation({ name: "second", script: "echo > $out", inputs: [first] });
    expect((await t.build(second)).failures).toEqual([]);
    expect(readFileSync(join(t.dir, "starts"), "utf8")).toBe("started\n");
  });

  it("fails the build that it fails, or whose outputs it does not bring", async () => {
    await using t = storeWithHook(() => "say '# accept'; say far; cat >/dev/null; echo why >&4; exit 3");
    const failed = await t.build(t.derivation({ name: "a", script: "echo > $out" }));
    expect(failed.failures[0]?.message).toMatch(
      /the build hook ended with exit code 3\.\nLast 1 log lines:\n> why/,
    );
    await using w = storeWithHook(
      () => "say '# accept'; say far; cat >/dev/null; yes >&4",
      new Map([["max-build-log-size", "100000"]]),
    );
    const { failures: tooMuch } = await w.build(w.derivation({ name: "a", script: "echo > $out" }));
    expect(tooMuch[0]?.code).toBe("BUILD_LOG_TOO_LONG");
    await using u = storeWithHook(() => "say '# accept'; say far; cat >/dev/null");
    const { failures } = await u.build(u.derivation({ name: "a", script: "echo > $out" }));
    expect(failures[0]?.message).toContain("some outputs are unexpectedly invalid");
  });

  it("is told of where it talks nonsense, is not there, or ends", async () => {
    await using t = storeWithHook(() => "say '# nonsense'");
    const { failures } = await t.build(t.derivation({ name: "a", script: "echo > $out" }));
    expect(failures[0]?.message).toBe("bad hook reply 'nonsense'");
    await using u = TestStore.create({ raw: new Map([["build-hook", "/absent/hook"]]) });
    const absent = await u.build(u.derivation({ name: "a", script: "echo > $out" }));
    expect(absent.failures[0]?.message).toContain("there is no program '/absent/hook'");
    await using v = storeWithHook(() => "exit 2");
    expect((await v.build(v.derivation({ name: "a", script: "echo > $out" }))).failures).toEqual([]);
  });

  it("is ended with what it started where the build is given up", async () => {
    await using t = storeWithHook(
      (dir) =>
        `say '# accept'; say far; cat >/dev/null; sleep 60 & echo $! >${dir}/pid.new; mv ${dir}/pid.new ${dir}/pid; wait`,
    );
    const stop = new AbortController();
    const building = t.build(t.derivation({ name: "a", script: "echo > $out" }), { signal: stop.signal });
    while (!existsSync(join(t.dir, "pid"))) await sleep(20);
    stop.abort(new Error("given up"));
    await expect(building).rejects.toThrow("given up");
    const pid = Number(readFileSync(join(t.dir, "pid"), "utf8"));
    const isThere = (): boolean =>
      existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    for (let tries = 0; isThere() && tries < 100; tries++) await sleep(50);
    expect(isThere()).toBe(false);
  });
});
