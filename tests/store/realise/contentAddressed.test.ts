import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatKey, generateSecretKey, publicKeyOf } from "../../../store/format/narInfo.ts";
import {
  olderDerivationHash,
  olderRealisationId,
  printOlderRealisation,
} from "../../../store/format/olderRealisation.ts";
import { realise, type RealiseReport } from "../../../store/realise/index.ts";
import { StoreEndpoint, copyPaths, openRemoteStore } from "../../../store/remote/index.ts";
import type { StorePath } from "../../../store/types.ts";
import { TestStore, temporaryDirectory, type TestDerivation } from "../realiseFixture.ts";

/** A derivation whose script notes its name each time it runs. */
function counted(t: TestStore, test: TestDerivation): StorePath {
  return t.derivation({ ...test, script: `echo ${test.name} >> ${t.dir}/runs; ${test.script ?? ""}` });
}

function runs(t: TestStore): string[] {
  return readFileSync(join(t.dir, "runs"), "utf8").trim().split("\n");
}

function outputOf(report: RealiseReport, name = "out"): StorePath {
  const path = report.results[0]?.outputs.get(name);
  if (path === undefined) throw new Error(report.failures.map(({ message }) => message).join("\n"));
  return path;
}

describe("content-addressed derivations", () => {
  it("have the path of what they turn out to be, with references to themselves", async () => {
    await using t = TestStore.create();
    const build = async (seed: string): Promise<RealiseReport> =>
      await t.build(
        t.derivation({
          name: "ca",
          floating: "contentAddressed",
          outputs: ["out", "dev"],
          script: "echo $out > $dev; /bin/mkdir $out; echo $out > $out/self",
          env: { seed },
        }),
      );
    const first = await build("1");
    const [out, dev] = [outputOf(first), outputOf(first, "dev")];
    expect(first.failures).toEqual([]);
    expect(readFileSync(join(out, "self"), "utf8")).toBe(`${out}\n`);
    expect(readFileSync(dev, "utf8")).toBe(`${out}\n`);
    expect(t.store.queryPathInfo(dev)?.references).toEqual([out]);
    expect(t.store.queryPathInfo(out)?.contentAddress).toMatch(/^fixed:r:sha256:/);
    const second = await build("2");
    expect([outputOf(second), outputOf(second, "dev")]).toEqual([out, dev]);
    expect(await t.store.verify({ checkContents: true })).toMatchObject({ problems: [] });
    // Nothing of where the builder wrote is left.
    const names = readdirSync(join(t.dir, "store")).filter((name) => /-ca(-dev)?$/.test(name));
    expect(names.toSorted()).toEqual([out, dev].map((path) => path.slice(t.dir.length + 7)).toSorted());
  });

  it("cut off what would be built again of what is the same", async () => {
    await using t = TestStore.create();
    const chain = (seed: string): readonly [StorePath, StorePath, StorePath] => {
      const root = counted(t, {
        name: "root",
        floating: "contentAddressed",
        script: "echo same > $out",
        env: { seed },
      });
      const middle = counted(t, {
        name: "middle",
        floating: "contentAddressed",
        script: `read x < ${t.place(root)}; echo ${t.place(root)} > $out`,
        inputs: [root],
      });
      const plain = counted(t, {
        name: "plain",
        script: `read x < ${t.place(middle)}; echo $x > $out`,
        inputs: [middle],
      });
      return [root, middle, plain];
    };
    const [, , plain1] = chain("1");
    const first = await t.build(plain1);
    expect(first.failures).toEqual([]);
    expect(runs(t)).toEqual(["root", "middle", "plain"]);
    const [root2, middle2, plain2] = chain("2");
    expect(plain2).not.toBe(plain1);
    const second = await t.build(plain2);
    expect(runs(t)).toEqual(["root", "middle", "plain", "root"]);
    expect(outputOf(second)).toBe(outputOf(first));
    expect(t.logLines().some((line) => line.startsWith(`resolved derivation: '${plain2}' -> `))).toBe(true);
    // What is known since is known to whoever asks.
    expect(t.store.queryDerivationOutputs(plain2).get("out")).toBe(outputOf(first));
    const rootPath = t.store.queryDerivationOutputs(root2).get("out");
    expect(readFileSync(t.store.queryDerivationOutputs(middle2).get("out") ?? "", "utf8")).toBe(
      `${rootPath}\n`,
    );
    expect((await t.build(plain2, { dryRun: true })).plan.builds).toEqual([]);
    await t.build(plain2);
    expect(runs(t)).toHaveLength(4);
  });

  it("may be what fixed outputs need", async () => {
    await using t = TestStore.create();
    const root = counted(t, { name: "root", floating: "contentAddressed", script: "echo x > $out" });
    const fixed = counted(t, {
      name: "fixed",
      hash: "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=",
      script: `read x < ${t.place(root)} || exit 1; printf hi > $out`,
      inputs: [root],
    });
    expect((await t.build(fixed)).failures).toEqual([]);
    await t.build(fixed);
    expect(runs(t)).toEqual(["root", "fixed"]);
  });

  it("replace what lies at their path by chance, and leave what is valid there alone", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({ name: "ca", floating: "contentAddressed", script: "echo x > $out" });
    const out = outputOf(await t.build(drv));
    t.store.db.invalidatePath(out);
    rmSync(out, { force: true });
    mkdirSync(out);
    writeFileSync(join(out, "garbage"), "");
    expect(outputOf(await t.build(drv))).toBe(out);
    expect(readFileSync(out, "utf8")).toBe("x\n");
  });

  it("must not turn out otherwise while the first result is remembered", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "ca",
      floating: "contentAddressed",
      script: `echo x >> ${t.dir}/counter; while read -r x; do echo $x; done < ${t.dir}/counter > $out`,
    });
    const out = outputOf(await t.build(drv));
    t.store.db.invalidatePath(out);
    const report = await t.build(drv);
    expect(report.failures[0]?.message).toContain(out);
    expect(report.exitStatus).toBe(1);
  });

  it("are compared by --check", async () => {
    await using t = TestStore.create();
    const same = t.derivation({ name: "same", floating: "contentAddressed", script: "echo $out > $out" });
    const other = t.derivation({
      name: "other",
      floating: "contentAddressed",
      script: `echo x >> ${t.dir}/counter; while read -r x; do echo $x; done < ${t.dir}/counter > $out`,
    });
    expect((await t.build([same, other])).failures).toEqual([]);
    expect((await t.build(same, { mode: "check" })).failures).toEqual([]);
    const report = await t.build(other, { mode: "check" });
    expect(report.exitStatus).toBe(104);
    expect(report.failures[0]?.message).toContain("may not be deterministic");
  });

  it("say which resolved derivation failed", async () => {
    await using t = TestStore.create();
    const root = t.derivation({ name: "root", floating: "contentAddressed", script: "echo x > $out" });
    const bad = t.derivation({ name: "bad", script: `echo ${t.place(root)}; exit 1`, inputs: [root] });
    const report = await t.build(bad);
    expect(report.exitStatus).toBe(100);
    expect(report.failures.map(({ message }) => message.split("\n")[0])).toEqual([
      expect.stringMatching(/^Cannot build '.*-bad\.drv'\.$/),
      expect.stringMatching(/^build of resolved derivation '.*-bad\.drv' failed$/),
    ]);
  });
});

describe("what others found out", () => {
  async function cached(keys: {
    readonly isSigned: boolean;
    readonly isTrusted: boolean;
    readonly isOlder?: boolean;
  }): Promise<{ report: RealiseReport; runs: string[]; out: string; log: string[] }> {
    const dir = temporaryDirectory();
    const key = generateSecretKey("key-1");
    const keyFile = join(dir, "key");
    writeFileSync(keyFile, formatKey(key));
    await using t = TestStore.create(
      {
        substituters: [`file://${dir}/cache`],
        trustedPublicKeys: keys.isTrusted ? [formatKey(publicKeyOf(key))] : [],
        raw: new Map(keys.isSigned ? [["secret-key-files", keyFile]] : []),
      },
      dir,
    );
    const root = counted(t, { name: "root", floating: "contentAddressed", script: "echo x > $out" });
    const out = outputOf(await t.build(root));
    const url = `file://${dir}/cache?compression=none`;
    await using target = await openRemoteStore(t.store.settings, url, { isTarget: true });
    await copyPaths({ source: new StoreEndpoint(t.store), target, paths: [out], isRecursive: true });
    const realisation = t.store.queryRealisation(root, "out");
    if (realisation === undefined) throw new Error("nothing is known of what was built");
    if (keys.isOlder === true) {
      const hash = olderDerivationHash(t.store.readDerivation(root));
      const older = { id: olderRealisationId(hash, "out"), outputPath: out };
      mkdirSync(`${dir}/cache/realisations`);
      const text = printOlderRealisation(older, keys.isSigned ? [key] : []);
      writeFileSync(`${dir}/cache/realisations/${older.id}.doi`, text);
    } else await target.addRealisation?.(realisation);
    t.store.deleteRealisation(root, "out");
    t.store.db.invalidatePath(out);
    rmSync(out);
    const report = await t.build(root);
    return { report, runs: runs(t), out, log: t.logLines() };
  }

  describe.each([{ isOlder: false }, { isOlder: true }])("told of by a binary cache, %o", (form) => {
    it("is taken from it, and not built", async () => {
      const { report, runs: ran, out } = await cached({ isSigned: true, isTrusted: true, ...form });
      expect(report.failures).toEqual([]);
      expect(outputOf(report)).toBe(out);
      expect(ran).toEqual(["root"]);
    });

    it.each([
      { isSigned: false, isTrusted: true },
      { isSigned: true, isTrusted: false },
    ])("is believed only where it is signed by a trusted key: %o", async (keys) => {
      const { report, runs: ran, log } = await cached({ ...keys, ...form });
      expect(report.failures).toEqual([]);
      expect(ran).toEqual(["root", "root"]);
      expect(log.join("\n")).toContain("warning: ignoring substitute for build trace");
    });
  });
});

describe("impure derivations", () => {
  const COUNT = (dir: string): string =>
    `echo x >> ${dir}/counter; while read -r x; do n="$n$x"; done < ${dir}/counter`;

  it("are built each time, once for all that need them", async () => {
    await using t = TestStore.create();
    const impure = t.derivation({
      name: "impure",
      floating: "impure",
      outputs: ["out", "more"],
      script: `${COUNT(t.dir)}; echo $n > $out; echo $out > $more`,
    });
    const user = t.derivation({
      name: "user",
      floating: "impure",
      script: `read x < ${t.place(impure)}; read y < ${t.place(impure, "more")}; echo $x $y > $out`,
      context: [`!out!${impure}`, `!more!${impure}`],
    });
    const first = outputOf(await t.build(user));
    expect(readFileSync(first, "utf8")).toMatch(/^x .*-impure\n$/);
    expect(readFileSync(outputOf(await t.build(user)), "utf8")).toMatch(/^xx .*-impure\n$/);
    expect(t.store.queryPathInfo(first)?.contentAddress).toMatch(/^fixed:r:sha256:/);
    const both = await t.build([impure, user]);
    expect(readFileSync(both.results[1]?.outputs.get("out") ?? "", "utf8")).toMatch(/^xxx /);
  });

  it("may not be what others need that are kept", async () => {
    await using t = TestStore.create();
    const impure = t.derivation({ name: "impure", floating: "impure", script: "echo > $out" });
    const pure = t.derivation({ name: "pure", script: `echo ${t.place(impure)} > $out`, inputs: [impure] });
    const report = await t.build(pure);
    expect(report.failures.map(({ message }) => message)).toEqual([
      `pure derivation '${pure}' depends on impure derivation '${impure}'`,
    ]);
    expect(report.exitStatus).toBe(1);
  });

  it("are no reason to build a fixed output again", async () => {
    await using t = TestStore.create();
    const impure = t.derivation({
      name: "impure",
      floating: "impure",
      script: `${COUNT(t.dir)}; echo $n > $out`,
    });
    const fixed = t.derivation({
      name: "fixed",
      hash: "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=",
      script: `read x < ${t.place(impure)}; printf hi > $out`,
      inputs: [impure],
    });
    expect((await t.build(fixed)).failures).toEqual([]);
    expect((await t.build(fixed)).failures).toEqual([]);
    expect(readFileSync(join(t.dir, "counter"), "utf8")).toBe("x\n");
  });
});

describe("derivations that are outputs", () => {
  /** A derivation whose output is the text of another. */
  function producer(t: TestStore, inner: StorePath, text = inner as string): StorePath {
    return t.derivation({
      name: "inner.drv",
      floating: "contentAddressed",
      floatingMethod: "text",
      script: `while IFS= read -r line || [ -n "$line" ]; do printf '%s' "$line"; done < ${text} > $out`,
      inputs: [],
      context: [inner],
    });
  }

  it("are built, and then what they say", async () => {
    await using t = TestStore.create();
    const inner = t.derivation({ name: "inner", script: "echo inner > $out" });
    const outer = producer(t, inner);
    const report = await realise(t.store, [
      { kind: "built", drvPath: outer, via: ["out"], outputs: ["out"] },
    ]);
    expect(report.failures).toEqual([]);
    expect(outputOf(report)).toBe(t.output(inner));
    expect(t.store.queryOutput({ drvPath: outer, outputs: ["out", "out"] })).toBe(t.output(inner));
    const user = t.derivation({
      name: "user",
      script: `read x < $input; echo user of $x > $out`,
      env: { input: t.dynamicPlace(outer, ["out", "out"]) },
      context: [`!out!out!${outer}`],
    });
    expect(readFileSync(outputOf(await t.build(user)), "utf8")).toBe("user of inner\n");
  });

  it("may not claim another derivation's path", async () => {
    await using t = TestStore.create();
    const good = t.derivation({ name: "good", script: "echo good > $out" });
    const inner = t.derivation({ name: "inner", script: "echo bad > $out" });
    const forged = join(t.dir, "forged");
    const text = readFileSync(inner, "latin1").replaceAll(t.output(inner), t.output(good));
    writeFileSync(forged, text, "latin1");
    const report = await t.build(producer(t, inner, forged));
    expect(report.failures[0]?.message).toContain('output "out" should be');
    expect(t.store.isValidPath(t.output(good))).toBe(false);
  });

  it("name what could not be obtained", async () => {
    await using t = TestStore.create();
    const failing = t.derivation({
      name: "x.drv",
      floating: "contentAddressed",
      floatingMethod: "text",
      script: "exit 1",
    });
    const report = await realise(t.store, [
      { kind: "built", drvPath: failing, via: ["out"], outputs: ["out"] },
    ]);
    expect(report.failures.at(-1)?.message).toBe(`failed to obtain derivation of '${failing}^out'`);
  });
});

describe("repair", () => {
  it("builds a damaged path's deriver again, asked for by path or as part of what needs it", async () => {
    await using t = TestStore.create();
    const input = t.derivation({ name: "input", script: "echo input > $out" });
    const user = t.derivation({ name: "user", script: `echo ${t.output(input)} > $out`, inputs: [input] });
    expect((await t.build(user)).failures).toEqual([]);
    const damage = (): void => {
      rmSync(t.output(input));
      writeFileSync(t.output(input), "damaged\n");
    };
    damage();
    const byPath = await realise(t.store, [{ kind: "opaque", path: t.output(input) }], { mode: "repair" });
    expect(byPath.failures).toEqual([]);
    expect(readFileSync(t.output(input), "utf8")).toBe("input\n");
    damage();
    expect((await t.build(user, { mode: "repair" })).failures).toEqual([]);
    expect(readFileSync(t.output(input), "utf8")).toBe("input\n");
  });

  it("says so where nobody can build or offer it", async () => {
    await using t = TestStore.create();
    const source = t.store.addText("source", "text", []);
    rmSync(source);
    const report = await realise(t.store, [{ kind: "opaque", path: source }], { mode: "repair" });
    expect(report.failures[0]?.message).toBe(
      `cannot repair path '${source}': there is no substituter that has it`,
    );
  });
});

describe("fixed outputs", () => {
  it("of another hash are kept where they belong", async () => {
    await using t = TestStore.create();
    const script = "printf hi > $out";
    const wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const report = await t.build(t.derivation({ name: "fixed", hash: wrong, script }));
    expect(report.exitStatus).toBe(102);
    const right = t.derivation({
      name: "fixed",
      hash: "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=",
      script: "exit 1",
    });
    expect(t.store.isValidPath(t.output(right))).toBe(true);
    expect((await t.build(right)).failures).toEqual([]);
  });

  it("whose rebuild has another hash fail --check", async () => {
    await using t = TestStore.create();
    const drv = t.derivation({
      name: "fixed",
      hash: "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=",
      script: `[ -e ${t.dir}/other ] && printf ho > $out || printf hi > $out`,
    });
    expect((await t.build(drv)).failures).toEqual([]);
    writeFileSync(join(t.dir, "other"), "");
    const report = await t.build(drv, { mode: "check" });
    expect(report.exitStatus).toBe(102);
    expect(report.failures[0]?.message).toContain("hash mismatch in fixed-output derivation");
  });
});
