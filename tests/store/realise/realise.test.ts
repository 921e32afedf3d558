import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { execFileSync } from "node:child_process";
import { describe, expect, it, vi } from "vitest";
import { DevshellError } from "../../../core/index.ts";
import { describePlan, renderSize } from "../../../store/realise/index.ts";
import type { StorePath } from "../../../store/types.ts";
import { TestStore } from "../realiseFixture.ts";

describe("realise: builds", () => {
  it("builds a chain, records references and keeps the log", async () => {
    await using t = TestStore.create();
    const a = t.derivation({ name: "a", script: "echo from a; echo a > $out" });
    const b = t.derivation({
      name: "b",
      script: `read x < ${t.output(a)}; echo "$x ${t.output(a)}" > $out`,
      inputs: [a],
    });
    const report = await t.build(b);
    expect(report.exitStatus).toBe(0);
    expect(report.results.map(({ status }) => status)).toEqual(["done"]);
    expect(readFileSync(t.output(b), "utf8")).toBe(`a ${t.output(a)}\n`);
    expect(t.store.queryPathInfo(t.output(b))?.references).toEqual([t.output(a)]);
    expect(t.store.queryPathInfo(t.output(b))?.deriver).toBe(b);
    expect(t.logLines()).toEqual(["from a"]);
    const base = a.slice(a.lastIndexOf("/") + 1);
    const log = `${t.dir}/log/drvs/${base.slice(0, 2)}/${base.slice(2)}`;
    const text = existsSync(`${log}.bz2`) ? execFileSync("bzip2", ["-dc", `${log}.bz2`]) : readFileSync(log);
    expect(text.toString()).toBe("from a\n");
    expect(readdirSync(`${t.dir}/state/builds`)).toEqual([]);
    expect(readdirSync(`${t.dir}/store`).filter((name) => name.endsWith(".lock"))).toEqual([]);
  });

  it("reports what fails beside builds and downloads too", async () => {
    await using t = TestStore.create();
    const input = t.derivation({ name: "input", script: "echo > $out" });
    const drv = t.derivation({ name: "drv", script: "echo > $out", inputs: [input] });
    const damaged = new DevshellError("DRV_INVALID", "Cannot read derivation");
    const read = t.store.readDerivation.bind(t.store);
    let isPlanned = false;
    vi.spyOn(t.store, "readDerivation").mockImplementation((path) => {
      if (path === input && isPlanned) throw damaged;
      if (path === input) isPlanned = true;
      return read(path);
    });
    const report = await t.build(drv);
    expect(report.results.map(({ status }) => status)).toEqual(["failed"]);
    expect(report.failures[0]).toBe(damaged);
    expect(report.exitStatus).not.toBe(0);
  });

  it("begins by name, and without keep-going ends with the first failure of what was asked for", async () => {
    await using t = TestStore.create({ maxJobs: 1 });
    const failing = (name: string): StorePath =>
      t.derivation({ name, script: `: > ${t.dir}/${name}; exit 1` });
    const [b, a] = [failing("b"), failing("a")];
    const user = t.derivation({ name: "user", script: "echo > $out", inputs: [a, b] });
    const report = await t.build([user, b, a]);
    expect(report.failures.map(({ message }) => message.split("\n")[0])).toEqual([`Cannot build '${a}'.`]);
    expect(report.results.map(({ status }) => status)).toEqual(["cancelled", "cancelled", "failed"]);
    expect(existsSync(`${t.dir}/b`)).toBe(false);
    const alone = await t.build(user);
    expect(alone.failures.map(({ message }) => message.split("\n").slice(0, 2).join(" "))).toEqual([
      `Cannot build '${a}'. Reason: builder failed with exit code 1.`,
      `Cannot build '${user}'. Reason: 1 dependency failed.`,
    ]);
  });

  it("gives the builder Nix's environment", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "env",
      script: "export > $out",
      env: { long: "some text", passAsFile: "long", LD_LIBRARY_PATH: "/nowhere" },
    });
    await t.build(drv);
    const env = new Map(
      [
        ...readFileSync(t.output(drv), "utf8").matchAll(/^(?:export|declare -x) (\w+)=["']?(.*?)["']?$/gm),
      ].map((match) => [match[1], match[2]]),
    );
    for (const [name, value] of [
      ["PATH", "/path-not-set"],
      ["HOME", "/homeless-shelter"],
      ["NIX_STORE", `${t.dir}/store`],
      ["NIX_BUILD_CORES", "1"],
      ["NIX_LOG_FD", "2"],
      ["TERM", "xterm-256color"],
      ["out", t.output(drv)],
      ["LD_LIBRARY_PATH", "/nowhere"],
    ])
      expect(env.get(name)).toBe(value);
    const top = env.get("NIX_BUILD_TOP");
    for (const name of ["TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"]) expect(env.get(name)).toBe(top);
    expect(env.has("long")).toBe(false);
    expect(env.get("longPath")?.startsWith(`${top}/.attr-`)).toBe(true);
    expect(env.has("SHLVL")).toBe(false);
  });

  it("passes structured attributes as files", async () => {
    await using t = TestStore.create();
    const json = JSON.stringify({
      big: 1,
      list: ["a b", "c'd"],
      name: "structured",
      set: { k: "v" },
    }).replace('"big":1', '"big":9007199254740993');
    const drv = t.derivation({
      name: "structured",
      script:
        'while read -r l; do echo "$l"; done < $NIX_ATTRS_SH_FILE; read -r j < $NIX_ATTRS_JSON_FILE || :; echo "$j"; exit 3',
      env: { __json: json },
    });
    const report = await t.build(drv);
    expect(report.exitStatus).toBe(100);
    const log = t.logLines().join("\n");
    expect(log).toContain("declare big=9007199254740993");
    expect(log).toContain(String.raw`declare -a list=('a b' 'c'\''d' )`);
    expect(log).toContain("declare -A set=(['k']='v' )");
    expect(log).toContain(`"outputs":{"out":"${t.output(drv)}"}`);
    expect(log).toContain('"big":9007199254740993');
  });

  it("exports reference graphs", async () => {
    await using t = TestStore.create();
    const a = t.derivation({ name: "a", script: "echo > $out" });
    const b = t.derivation({ name: "b", script: `echo ${t.output(a)} > $out`, inputs: [a] });
    const c = t.derivation({
      name: "c",
      script: 'while read -r l; do echo "$l"; done < graph > $out',
      env: { exportReferencesGraph: `graph ${t.output(b)}` },
      inputs: [b],
    });
    expect((await t.build(c)).exitStatus).toBe(0);
    const entries = [`${t.output(a)}\n\n0\n`, `${t.output(b)}\n\n1\n${t.output(a)}\n`];
    expect(readFileSync(t.output(c), "utf8")).toBe(entries.sort().join(""));
  });

  it("says why a build failed, with its last lines, as Nix does", async () => {
    await using t = TestStore.create({ raw: new Map([["log-lines", "2"]]) });
    const bad = t.derivation({
      name: "bad",
      script: "echo one; echo two >&2; echo three; echo half > $out; exit 7",
    });
    const user = t.derivation({ name: "user", script: "echo > $out", inputs: [bad] });
    const report = await t.build(user);
    expect(report.failures.map(({ message }) => message)).toEqual([
      `Cannot build '${bad}'.\nReason: builder failed with exit code 7.\nOutput paths:\n  ${t.output(bad)}\n` +
        `Last 2 log lines:\n> two\n> three\nFor full logs, run:\n  nix log ${bad}`,
      `Cannot build '${user}'.\nReason: 1 dependency failed.\nOutput paths:\n  ${t.output(user)}`,
    ]);
    expect(report.exitStatus).toBe(100);
    expect(report.results.map(({ status }) => status)).toEqual(["failed"]);
    expect(existsSync(t.output(bad))).toBe(false);
  });

  it("reports missing outputs, signals and writable outputs", async () => {
    await using t = TestStore.create({ keepGoing: true });
    const report = await t.build([
      t.derivation({ name: "none", script: ":" }),
      t.derivation({ name: "killed", script: "kill -TERM $$" }),
      t.derivation({ name: "open", script: "umask 0; echo > $out" }),
    ]);
    const messages = report.failures.map(({ message }) => message).join("\n");
    expect(messages).toContain("failed to produce output path for output 'out'");
    expect(messages).toContain("builder failed due to signal 15 (Terminated)");
    expect(messages).toContain("suspicious ownership or permission");
  });

  it("stops at the first failure, or goes on where asked to", async () => {
    for (const keepGoing of [false, true]) {
      await using t = TestStore.create({ keepGoing });
      const bad = t.derivation({ name: "bad", script: "exit 1" });
      const slow = t.derivation({ name: "slow", script: "/bin/sleep 1.5; echo > $out" });
      const report = await t.build([bad, slow]);
      expect(report.results.map(({ status }) => status)).toEqual([
        "failed",
        keepGoing ? "done" : "cancelled",
      ]);
      expect(report.failures).toHaveLength(1);
      expect(t.store.isValidPath(t.output(slow))).toBe(keepGoing);
    }
  });

  it("runs as many builds at once as allowed, and each once", async () => {
    await using t = TestStore.create({ maxJobs: 3 });
    const shared = t.derivation({ name: "shared", script: "echo > $out" });
    const drvs = [1, 2, 3, 4, 5].map((n) =>
      t.derivation({ name: `p${n}`, script: "/bin/sleep 0.3; echo > $out", inputs: [shared] }),
    );
    await t.build(drvs);
    let running = 0;
    let most = 0;
    for (const event of t.events) {
      if (event.kind === "start") most = Math.max(most, ++running);
      if (event.kind === "end") running--;
    }
    expect(most).toBe(3);
    expect(t.events.filter((event) => event.kind === "start")).toHaveLength(6);
  });

  it("kills the builder when aborted and leaves no listener", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "endless",
      script: "echo $$; /bin/sleep 1000 & /bin/sleep 1000; echo > $out",
    });
    const controller = new AbortController();
    const build = t.build(drv, { signal: controller.signal });
    while (t.logLines().length === 0) await sleep(20);
    const pid = Number(t.logLines()[0]);
    controller.abort(new Error("enough"));
    await expect(build).rejects.toThrow("enough");
    expect(() => process.kill(pid, 0)).toThrow();
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
    expect(readdirSync(`${t.dir}/state/builds`)).toEqual([]);
    expect(t.events.at(-1)).toMatchObject({ kind: "end", status: "cancelled" });
  });

  it("ends builds that last too long, are silent too long or say too much", async () => {
    await using endless = TestStore.create({ buildTimeoutSeconds: 1 });
    const loop = endless.derivation({ name: "loop", script: "while :; do echo x; /bin/sleep 0.1; done" });
    const late = await endless.build(loop);
    expect(late.failures[0]?.message).toMatch(/timed out after 1 seconds$/);
    expect(late.exitStatus).toBe(101);
    await using quiet = TestStore.create({ maxSilentSeconds: 1 });
    const silent = await quiet.build(quiet.derivation({ name: "silent", script: "/bin/sleep 1000" }));
    expect(silent.failures[0]?.message).toContain("timed out after 1 seconds of silence");
    await using brief = TestStore.create({ raw: new Map([["max-build-log-size", "100"]]) });
    const loud = await brief.build(
      brief.derivation({ name: "loud", script: "while :; do echo something; done" }),
    );
    expect(loud.failures[0]?.message).toContain("killed after writing more than 100 bytes of log output");
  });

  it("takes times that are longer than a timer can be for what they say", async () => {
    await using t = TestStore.create({ buildTimeoutSeconds: 999_999_999, maxSilentSeconds: 2_147_484 });
    const report = await t.build(t.derivation({ name: "patient", script: "/bin/sleep 0.2; echo > $out" }));
    expect(report.failures).toEqual([]);
  });

  it("kills a builder that closes its log", async () => {
    await using t = TestStore.create();
    const report = await t.build(
      t.derivation({ name: "close", script: "exec > /dev/null 2>&1; /bin/sleep 1000; echo > $out" }),
    );
    expect(report.failures[0]?.message).toContain("builder failed due to signal 9 (Killed)");
  });

  it("refuses foreign systems, missing features and max-jobs = 0", async () => {
    await using t = TestStore.create({ keepGoing: true });
    const report = await t.build([
      t.derivation({ name: "arm", system: "aarch64-linux" }),
      t.derivation({ name: "feature", env: { requiredSystemFeatures: "quantum" } }),
    ]);
    expect(report.failures[0]?.message).toContain(
      "Required system: 'aarch64-linux'\nCurrent system: 'x86_64-linux'",
    );
    expect(report.failures[1]?.message).toContain("Required features: {quantum}");
    await using none = TestStore.create({ maxJobs: 0 });
    const refused = await none.build(none.derivation({ name: "x" }));
    expect(refused.failures[0]?.message).toContain("local builds are disabled (max-jobs = 0)");
  });

  it("plans without doing anything, in Nix's words", async () => {
    await using t = TestStore.create();
    const a = t.derivation({ name: "a", script: "echo > $out" });
    const b = t.derivation({ name: "b", script: "echo > $out", inputs: [a] });
    const report = await t.build(b, { dryRun: true });
    expect(report.results[0]?.status).toBe("planned");
    expect(describePlan(report.plan)).toEqual(["these 2 derivations will be built:", `  ${a}`, `  ${b}`]);
    expect(t.store.isValidPath(t.output(b))).toBe(false);
    await t.build(b);
    expect((await t.build(b, { dryRun: true })).plan.builds).toEqual([]);
  });

  it("renders sizes as Nix does", () => {
    const sizes = [0, 100, 1024, 1 << 20, (1 << 20) + 1024, 5e9];
    expect(sizes.map(renderSize)).toEqual([
      "0.0 KiB",
      "0.1 KiB",
      "1.0 KiB",
      "1024.0 KiB",
      "1.0 MiB",
      "4.7 GiB",
    ]);
  });

  it("checks determinism, self-references included", async () => {
    await using t = TestStore.create();
    const pure = t.derivation({
      name: "pure",
      script: "mkdir() { /bin/mkdir $1; }; mkdir $out; echo $out > $out/self",
    });
    const impure = t.derivation({
      name: "impure",
      script: "read x < /proc/sys/kernel/random/uuid; echo $x > $out",
    });
    expect((await t.build([pure, impure])).exitStatus).toBe(0);
    expect((await t.build(pure, { mode: "check" })).exitStatus).toBe(0);
    const report = await t.build(impure, { mode: "check" });
    expect(report.exitStatus).toBe(104);
    expect(report.failures[0]?.message).toBe(
      `derivation '${impure}' may not be deterministic: output '${t.output(impure)}' differs`,
    );
    const unbuilt = await t.build(t.derivation({ name: "unbuilt" }), { mode: "check" });
    expect(unbuilt.failures[0]?.message).toContain("are not valid, so checking is not possible");
  });

  it("repairs outputs that were damaged", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({ name: "whole", script: "/bin/mkdir $out; echo $out > $out/file" });
    await t.build(drv);
    const file = `${t.output(drv)}/file`;
    const content = readFileSync(file, "utf8");
    expect((await t.build(drv, { mode: "repair" })).failures).toEqual([]);
    expect(t.events.filter((event) => event.kind === "start")).toHaveLength(1);
    chmodSync(file, 0o644);
    writeFileSync(file, "damaged");
    expect((await t.build(drv, { mode: "repair" })).failures).toEqual([]);
    expect(readFileSync(file, "utf8")).toBe(content);
    expect(statSync(file).mode & 0o777).toBe(0o444);
    expect((await t.store.verify({ checkContents: true })).problems).toEqual([]);
  });

  it("rebuilds an output whose sibling is still valid", async () => {
    await using t = TestStore.create();
    const cycle = t.derivation({
      name: "two",
      outputs: ["out", "dev"],
      script: "echo $dev > $out; echo $out > $dev",
    });
    const one = t.derivation({
      name: "one",
      outputs: ["out", "dev"],
      script: "echo > $dev; echo $dev > $out",
    });
    expect((await t.build(cycle)).failures[0]?.message).toContain("cycle detected in build of");
    expect((await t.build(one)).exitStatus).toBe(0);
    t.store.db.invalidatePath(t.output(one));
    expect(t.store.isValidPath(t.output(one))).toBe(false);
    expect((await t.build(one)).exitStatus).toBe(0);
    expect(readFileSync(t.output(one), "utf8")).toBe(`${t.output(one, "dev")}\n`);
    expect(t.store.queryPathInfo(t.output(one))?.references).toEqual([t.output(one, "dev")]);
  });

  it("enforces what outputs may refer to", async () => {
    await using t = TestStore.create({ keepGoing: true });
    const dep = t.derivation({ name: "dep", script: "echo > $out" });
    const named = (name: string, env: Record<string, string>): ReturnType<typeof t.derivation> =>
      t.derivation({ name, script: `echo ${t.output(dep)} $out > $out`, env, inputs: [dep] });
    const report = await t.build([
      named("none-allowed", { allowedReferences: "" }),
      named("all-allowed", { allowedReferences: `out ${t.output(dep)}` }),
      named("disallowed", { disallowedRequisites: t.output(dep) }),
    ]);
    expect(report.results.map(({ status }) => status)).toEqual(["failed", "done", "failed"]);
    expect(report.failures[0]?.message).toContain("is not allowed to refer to the following paths:");
  });

  it("registers a fixed output only with the right hash", async () => {
    await using t = TestStore.create();
    const good = "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ="; // of "hi"
    const right = t.derivation({ name: "right", script: "printf hi > $out", hash: good });
    const wrong = t.derivation({ name: "wrong", script: "printf ho > $out", hash: good });
    const first = await t.build(wrong);
    expect(first.exitStatus).toBe(102);
    expect(first.failures[0]?.message).toMatch(
      new RegExp(
        `^hash mismatch in fixed-output derivation '${wrong}':\n  specified: ${good.replace("+", "\\+")}\n     got:    sha256-`,
      ),
    );
    expect(t.store.isValidPath(t.output(wrong))).toBe(false);
    expect(existsSync(t.output(wrong))).toBe(false);
    const second = await t.build(right);
    expect(second.failures).toEqual([]);
    expect(t.store.queryPathInfo(t.output(right))?.contentAddress).toMatch(/^fixed:sha256:/);
  });

  it("keeps the directory of a failed build where asked to", async () => {
    await using t = TestStore.create({ keepFailed: true });
    await t.build(
      t.derivation({
        name: "bad",
        script: "pwd > here; PATH=/usr/bin:/bin; mkdir open; chmod 777 open; exit 1",
      }),
    );
    const builds = `${t.dir}/state/builds`;
    const [kept] = readdirSync(builds);
    // Where the builder saw it: what it wrote may name it.
    expect(["/build", `${builds}/${kept}`]).toContain(readFileSync(`${builds}/${kept}/here`, "utf8").trim());
    expect(t.logLines().join()).toContain(`keeping build directory "${builds}/${kept}"`);
    // Others could put links there while it is walked.
    expect(statSync(`${builds}/${kept}/open`).mode & 0o777).toBe(0o755);
    mkdirSync(`${builds}/nix-build-killed-1`, { mode: 0o700 });
    await t.build(t.derivation({ name: "good", script: "echo > $out" }));
    expect(readdirSync(builds)).toEqual([kept]);
  });
});
