import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesOfText, textOfBytes } from "../../../../core/index.ts";
import { sandboxObstacle } from "../../../../store/realise/index.ts";
import { TestStore } from "../../realiseFixture.ts";

const obstacle = await sandboxObstacle();

describe.skipIf(obstacle !== undefined)(
  `sandbox${obstacle === undefined ? "" : ` (unavailable: ${obstacle})`}`,
  () => {
    it("shows the builder its inputs only, without a network, as an ordinary user", async () => {
      await using t = TestStore.create({ sandbox: "on" });
      const seen = t.derivation({ name: "seen", script: "echo in > $out" });
      const hidden = t.derivation({ name: "hidden", script: "echo secret > $out" });
      await t.build([seen, hidden]);
      const probe = t.derivation({
        name: "probe",
        inputs: [seen],
        script: `
        for file in /* /usr /home /root /etc/shadow $NIX_STORE/* ; do [ -e $file ] && echo "has $file"; done
        while read -r line; do echo "net $line"; done < /proc/net/dev
        while read -r key value rest; do case $key in Uid:|Gid:|CapEff:|NoNewPrivs:) echo "$key $value";; esac; done < /proc/self/status
        for dir in /proc/[0-9]*; do echo "process $dir"; done
        echo bad > ${t.output(seen)} && echo "wrote an input"
        echo "pwd $PWD"
        echo x > file && echo x > /tmp/file && echo x > /dev/null && echo x > /dev/shm/x && echo "writes"
        read -r inside < ${t.output(seen)}; echo $inside > $out`,
      });
      const report = await t.build(probe);
      expect(report.failures).toEqual([]);
      const lines = t.logLines();
      const has = lines.filter((line) => line.startsWith("has ")).map((line) => line.slice(4));
      expect(has.filter((path) => path.startsWith(t.dir))).toEqual([t.output(seen)]);
      for (const path of ["/usr", "/home", "/root", "/etc/shadow"]) expect(has).not.toContain(path);
      for (const path of ["/bin", "/build", "/dev", "/etc", "/proc", "/tmp"]) expect(has).toContain(path);
      const devices = lines.filter((line) => line.startsWith("net ")).slice(2);
      expect(devices).toHaveLength(1);
      expect(devices[0]).toMatch(/^net lo:/);
      expect(lines).toEqual(
        expect.arrayContaining([
          "Uid: 1000",
          "Gid: 100",
          "CapEff: 0000000000000000",
          "NoNewPrivs: 1",
          "process /proc/1",
          "pwd /build",
          "writes",
        ]),
      );
      expect(lines.filter((line) => line.startsWith("process"))).toHaveLength(1);
      expect(lines).not.toContain("wrote an input");
      expect(readFileSync(t.output(seen), "utf8")).toBe("in\n");
      expect(readFileSync(t.output(probe), "utf8")).toBe("in\n");
      expect(readdirSync(join(t.dir, "store")).filter((name) => name.includes("chroot"))).toEqual([]);
    });

    it("keeps the network for fixed outputs", async () => {
      await using t = TestStore.create({ sandbox: "on" });
      const drv = t.derivation({
        name: "fixed",
        hash: "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=",
        script: "while read -r line; do echo $line; done < /proc/net/dev; printf hi > $out",
      });
      expect((await t.build(drv)).failures).toEqual([]);
      const host = readFileSync("/proc/net/dev", "utf8").trim().split("\n").length;
      expect(t.logLines()).toHaveLength(host);
    });

    it("checks determinism and rebuilds single outputs in place", async () => {
      await using t = TestStore.create({ sandbox: "on" });
      const drv = t.derivation({
        name: "two",
        outputs: ["out", "dev"],
        script: "echo > $dev; echo $dev $out > $out",
      });
      expect((await t.build(drv)).failures).toEqual([]);
      expect((await t.build(drv, { mode: "check" })).failures).toEqual([]);
      t.store.db.invalidatePath(t.output(drv));
      expect((await t.build(drv)).failures).toEqual([]);
      expect(readFileSync(t.output(drv), "utf8")).toBe(`${t.output(drv, "dev")} ${t.output(drv)}\n`);
    });

    it("is left out where a derivation asks for it and the setting allows", async () => {
      await using relaxed = TestStore.create({ sandbox: "relaxed" });
      const script = "echo $NIX_BUILD_TOP > $out";
      const outside = relaxed.derivation({ name: "outside", script, env: { __noChroot: "1" } });
      const inside = relaxed.derivation({ name: "inside", script });
      await relaxed.build([outside, inside]);
      expect(readFileSync(relaxed.output(outside), "utf8")).toContain(relaxed.dir);
      expect(readFileSync(relaxed.output(inside), "utf8")).toBe("/build\n");
      await using strict = TestStore.create({ sandbox: "on" });
      const report = await strict.build(
        strict.derivation({ name: "outside", script, env: { __noChroot: "1" } }),
      );
      expect(report.failures[0]?.message).toContain(
        "has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'",
      );
    });

    it("passes odd variables and arguments on", async () => {
      await using t = TestStore.create({ sandbox: "on" });
      const drv = t.derivation({
        name: "odd",
        args: [
          "-c",
          'read -r all < /proc/self/environ || :; echo "$0|$1|$all"; echo > $out',
          "zero",
          'o\'ne "two" $x',
        ],
        env: { "with-dash": "a 'b'", text: bytesOfText("cödé") },
      });
      expect((await t.build(drv)).failures).toEqual([]);
      const [line = ""] = t.logLines().map(textOfBytes);
      expect(line.startsWith('zero|o\'ne "two" $x|')).toBe(true);
      expect(line).toContain("with-dash=a 'b'");
      expect(line).toContain("text=cödé");
    });

    it("lets the builder in whatever mask we have", async () => {
      await using t = TestStore.create({ sandbox: "on" });
      const input = t.derivation({ name: "input", script: "echo in > $out" });
      const before = process.umask(0o077);
      try {
        const drv = t.derivation({
          name: "x",
          inputs: [input],
          script: `read x < ${t.output(input)}; read y < /etc/passwd; echo z > /tmp/z; echo $x $y > $out`,
        });
        expect((await t.build(drv)).failures).toEqual([]);
        expect(readFileSync(t.output(drv), "utf8")).toMatch(/^in root:/);
      } finally {
        process.umask(before);
      }
    });

    it("binds the configured paths", async () => {
      await using t = TestStore.create({ sandbox: "on", raw: new Map() });
      writeFileSync(`${t.dir}/extra`, "extra\n");
      await using u = TestStore.create({
        sandbox: "on",
        raw: new Map([["extra-sandbox-paths", `/in/side=${t.dir}/extra /absent?`]]),
      });
      const drv = u.derivation({ name: "x", script: "read x < /in/side; echo $x > $out" });
      expect((await u.build(drv)).failures).toEqual([]);
      expect(readFileSync(u.output(drv), "utf8")).toBe("extra\n");
    });
  },
);

describe("processes", () => {
  for (const sandbox of obstacle === undefined ? (["off", "on"] as const) : (["off"] as const))
    it(`leaves no builder behind when killed (sandbox ${sandbox}), and the next run completes`, async () => {
      await using t = TestStore.create({ sandbox });
      const marker = `${t.dir}/seen`;
      const script =
        sandbox === "on"
          ? "echo started; /bin/sh -c 'while :; do :; done'"
          : `echo $$ > ${marker}; while :; do :; done`;
      const drv = t.derivation({ name: "endless", script: `${script}; echo > $out`, env: { go: "1" } });
      const child = spawnRealiser(t.dir, sandbox, drv);
      const builders = (): number[] => processesIn(drv, sandbox);
      while (builders().length === 0 && child.exitCode === null) await sleep(30);
      expect(builders().length).toBeGreaterThan(0);
      child.kill("SIGKILL");
      const deadline = Date.now() + 5000;
      while (builders().length > 0 && Date.now() < deadline) await sleep(30);
      expect(builders()).toEqual([]);
      const quick = t.derivation({ name: "quick", script: "echo > $out" });
      expect((await t.build(quick)).failures).toEqual([]);
      expect(t.store.isValidPath(t.output(drv))).toBe(false);
    }, 30_000);

  it("realises a path once when two processes want it", async () => {
    await using t = TestStore.create();
    const count = `${t.dir}/count`;
    const drv = t.derivation({ name: "once", script: `echo run >> ${count}; /bin/sleep 1; echo > $out` });
    const children = [spawnRealiser(t.dir, "off", drv), spawnRealiser(t.dir, "off", drv)];
    const statuses = await Promise.all(
      children.map((child) => new Promise((done) => child.on("exit", done))),
    );
    expect(statuses).toEqual([0, 0]);
    expect(readFileSync(count, "utf8")).toBe("run\n");
    expect(t.store.isValidPath(t.output(drv))).toBe(true);
    expect(existsSync(`${t.output(drv)}.lock`)).toBe(false);
  }, 30_000);
});

describe("builds of other processes", () => {
  it("are waited for without a slot of ours", async () => {
    await using t = TestStore.create({ maxJobs: 1 });
    const slow = t.derivation({
      name: "a-slow",
      script: `: > ${t.dir}/begun; while [ ! -e ${t.dir}/go ]; do /bin/sleep 0.05; done; echo > $out`,
    });
    const quick = t.derivation({ name: "quick", script: `: > ${t.dir}/go; echo > $out` });
    const other = spawnRealiser(t.dir, "off", slow);
    const ended = new Promise((done) => other.on("exit", done));
    while (!existsSync(`${t.dir}/begun`)) await sleep(20);
    const report = await t.build([slow, quick]);
    expect(report.failures).toEqual([]);
    expect(await ended).toBe(0);
    expect(readdirSync(join(t.dir, "store")).filter((name) => name.endsWith(".lock"))).toEqual([]);
  }, 30_000);
});

/** Another process that builds in the same store. */
function spawnRealiser(dir: string, sandbox: string, drvPath: string): ReturnType<typeof spawn> {
  const fixture = resolve(import.meta.dirname, "../../realiseFixture.ts");
  const code = `
    const { TestStore } = await import(${JSON.stringify(fixture)});
    const t = TestStore.create({ sandbox: ${JSON.stringify(sandbox)} }, ${JSON.stringify(dir)});
    const report = await t.build(${JSON.stringify(drvPath)});
    for (const failure of report.failures) console.error(failure.message);
    process.exit(report.exitStatus);`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** Processes whose environment names the derivation's output: its builder and what that started. */
function processesIn(drvPath: string, sandbox: string): number[] {
  const output = drvPath.slice(drvPath.lastIndexOf("/") + 34).replace(/\.drv$/, "");
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1");
      const isBuilder = environment.includes(`\0out=`) && environment.includes(`-${output}\0`);
      const store = drvPath.slice(0, drvPath.lastIndexOf("/"));
      return isBuilder && environment.includes(`NIX_STORE=${store}\0`) && sandbox !== ""
        ? [Number(name)]
        : [];
    } catch {
      return [];
    }
  });
}
