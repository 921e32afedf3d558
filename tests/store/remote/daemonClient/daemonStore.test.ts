import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type DaemonStore,
  narOfBytes,
  openStore,
  realise,
  type RealiseEvent,
  type StorePath,
  type StoreSettings,
} from "../../../../store/index.ts";
import { hashBytes } from "../../../../core/index.ts";
import { makeStorePath } from "../../../../store/format/storePath.ts";
import { TestDirectory } from "../../testStore.ts";
import { shellDerivation } from "../../daemon/daemonFixture.ts";
import { TestDaemon } from "../../daemon/testDaemon.ts";

describe("a store that a daemon holds", () => {
  it("takes texts, sources and derivations of an evaluation", async () => {
    await using daemon = await TestDaemon.start();
    using store = openStore(daemon.settings);
    using real = daemon.store();
    const text = store.addText("note", "caf\xc3\xa9", []);
    expect(readFileSync(text, "latin1")).toBe("caf\xc3\xa9");
    const source = join(daemon.directory.path, "source");
    mkdirSync(source);
    writeFileSync(join(source, "wanted"), "1");
    writeFileSync(join(source, "unwanted"), "2");
    const options = { name: "source", method: "nar" } as const;
    const filter = (path: string): boolean => !path.endsWith("unwanted");
    const added = store.addPath(source, { ...options, filter });
    expect(added).toBe(real.addPath(source, { ...options, filter, isDryRun: true }));
    expect(readFileSync(join(added, "wanted"), "utf8")).toBe("1");
    const referring = store.addPath(source, { name: "referring", method: "nar", references: [text] });
    expect(real.pathInfo(referring).references).toEqual([text]);
    const made = Array.from({ length: 40 }, (_, index) => shellDerivation(real, `d${index}`, "true"));
    store.writeDerivations(made);
    store.writeDerivations(made);
    expect(made.filter(({ drvPath }) => !real.isValidPath(drvPath))).toEqual([]);
    const [first] = made;
    if (first === undefined) throw new Error("no derivation");
    using another = openStore(daemon.settings);
    expect(another.readDerivation(first.drvPath)).toEqual(first.derivation);
    expect(real.pathInfo(first.drvPath).contentAddress).toMatch(/^text:sha256:/);
  });

  it("is asked anew about what was there before it was rooted", async () => {
    await using daemon = await TestDaemon.start();
    using store = openStore(daemon.settings);
    let path: StorePath;
    {
      using real = daemon.store();
      path = real.addText("a", "a", []);
    }
    expect(store.isValidPath(path)).toBe(true);
    using real = daemon.store();
    await real.collectGarbage({ action: "deleteDead" });
    store.addTempRoots([path]);
    expect(store.isValidPath(path)).toBe(false);
  });

  it("answers as one that is opened", async () => {
    await using daemon = await TestDaemon.start();
    using real = daemon.store();
    const a = real.addText("a", "a", []);
    const b = real.addText("b", "b", [a]);
    const c = real.addText("c", "c", [b]);
    const lone = makeStorePath(real.storeDir, "output:out", hashBytes("sha256", "x"), "lone") as StorePath;
    using store = openStore(daemon.settings);
    expect(store.isValidPath(a)).toBe(true);
    expect(store.isValidPath(lone)).toBe(false);
    expect(store.queryPathInfo(lone)).toBeUndefined();
    expect(() => store.pathInfo(lone)).toThrow("not valid");
    expect(store.pathInfo(b)).toEqual(real.pathInfo(b));
    expect(store.closureOf(c)).toEqual(real.closureOf(c));
    expect(store.closureOf([a], { isReversed: true })).toEqual(real.closureOf([a], { isReversed: true }));
    expect(() => store.closureOf(lone)).toThrow("not valid");
    expect(store.topologicalSort([c, a, b])).toEqual([a, b, c]);
    expect(store.queryReferrers(a)).toEqual([b]);
    expect(store.allValidPaths().sort()).toEqual([a, b, c].sort());
    expect(store.queryPathFromHashPart(a.slice(real.storeDir.length + 1).slice(0, 32))).toBe(a);
    store.addSignatures(a, ["key:c2ln"]);
    expect(store.pathInfo(a).signatures).toEqual(["key:c2ln"]);
  });

  it("roots, builds, tells what happens, and collects", async () => {
    await using daemon = await TestDaemon.start();
    using store = openStore(daemon.settings);
    using real = daemon.store();
    const good = shellDerivation(real, "good", "echo said; echo > $out");
    const bad = shellDerivation(real, "bad", "echo why; exit 2");
    store.writeDerivations([good, bad]);
    const events: RealiseEvent[] = [];
    const targets = [good, bad].map(({ drvPath }) => ({ kind: "built", drvPath, outputs: "*" }) as const);
    const dry = await realise(store, targets, { dryRun: true });
    expect([...dry.plan.builds].sort()).toEqual([good.drvPath, bad.drvPath].sort());
    const [first] = targets;
    if (first === undefined) throw new Error("no target");
    const report = await realise(store, [first], { onEvent: (event) => void events.push(event) });
    expect(report.failures).toEqual([]);
    expect(report.results[0]?.outputs.get("out")).toBe(good.outputs.get("out"));
    expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["plan", "start", "log", "end"]));
    expect(events).toContainEqual(expect.objectContaining({ kind: "log", line: "said" }));
    const failed = await realise(store, targets);
    expect(failed.failures[0]?.message).toContain("exit code 2");
    expect(failed.exitStatus).toBe(100);
    const output = good.outputs.get("out") as StorePath;
    const link = join(daemon.directory.path, "result");
    store.addRoot(link, output);
    expect(readlinkSync(link)).toBe(output);
    expect(store.findRoots().get(output)).toContain(link);
    const loose = real.addText("loose", "loose", []);
    using another = openStore(daemon.settings);
    expect(another.isValidPath(loose)).toBe(true);
    expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [] });
  });

  it("takes NARs from elsewhere as it trusts the client", async () => {
    const nar = narOfBytes(Buffer.from("from elsewhere"));
    for (const isTrusted of [true, false]) {
      await using daemon = await TestDaemon.start(isTrusted);
      using store = openStore(daemon.settings);
      const path = makeStorePath(store.storeDir, "output:out", hashBytes("sha256", "y"), "thing");
      const info = { path, narHash: hashBytes("sha256", nar), narSizeBytes: nar.length, references: [] };
      const adding = store.addToStoreFromStream(info, [nar]);
      if (isTrusted) {
        expect((await adding).path).toBe(path);
        expect(readFileSync(path, "utf8")).toBe("from elsewhere");
      } else await expect(adding).rejects.toThrow("lacks a signature");
      expect((store as DaemonStore).greeting.isTrusted).toBe(isTrusted);
    }
  });

  it("is told by the kernel who its clients are", async () => {
    await using daemon = await TestDaemon.start();
    using store = openStore(daemon.settings);
    expect(store.allValidPaths()).toEqual([]);
    await expect.poll(() => daemon.peers).toEqual([{ uid: process.getuid?.() }]);
  });

  it("says what its daemon has against a request, although it hangs up then", async () => {
    await using daemon = await TestDaemon.start();
    using store = openStore({ ...daemon.settings, storeDir: "/elsewhere" });
    const paths = ["a", "b"].map((text) =>
      makeStorePath("/elsewhere", "output:out", hashBytes("sha256", text), text),
    );
    expect(() => store.addTempRoots(paths)).toThrow('it is not in the store "');
  });

  it("is unreachable where nobody listens", async () => {
    using directory = new TestDirectory();
    const address = { kind: "socket", path: join(directory.path, "nowhere") } as const;
    const settings: StoreSettings = {
      ...directory.settings(),
      rung: "daemon",
      daemon: { url: "daemon", address, isHere: true, isFound: false },
    };
    using store = openStore(settings);
    expect(() => store.allValidPaths()).toThrow("cannot open connection to remote store 'daemon'");
    await expect(realise(store, [])).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
  });
});
