import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes, parseHash } from "../../../core/index.ts";
import {
  LocalStore,
  hashNar,
  makeDerivation,
  makeStorePath,
  narChunks,
  narOfBytes,
  type StorePath,
} from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";

const copyChunks = (path: string): Buffer[] => [...narChunks(path)].map((chunk) => Buffer.from(chunk));
const anyPath = (store: LocalStore, name: string, seed = name): StorePath =>
  makeStorePath(store.storeDir, "output:out", hashBytes("sha256", seed), name);

describe("opening", () => {
  it("creates what Nix creates, schema 10", () => {
    using dir = new TestDirectory();
    using _store = dir.open();
    expect(readFileSync(join(dir.path, "state/db/schema"), "utf8")).toBe("10");
    for (const name of [
      "store/.links",
      "state/profiles/per-user",
      "state/gcroots/per-user",
      "state/temproots",
    ])
      expect(statSync(join(dir.path, name)).isDirectory()).toBe(true);
  });

  it.each([
    ["11", /schema is version 11, only 10 is supported/],
    ["9", /schema is version 9/],
    ["x", /is not a number/],
  ])("refuses schema %s", (schema, message) => {
    using dir = new TestDirectory();
    mkdirSync(join(dir.path, "state/db"), { recursive: true });
    writeFileSync(join(dir.path, "state/db/schema"), schema);
    expect(() => dir.open()).toThrow(message);
  });

  it("refuses a symlinked store directory", () => {
    using dir = new TestDirectory();
    mkdirSync(join(dir.path, "elsewhere"));
    symlinkSync("elsewhere", join(dir.path, "store"));
    expect(() => dir.open()).toThrow(/is a symlink to "elsewhere"/);
  });

  it("says what is wrong with a damaged database", () => {
    using dir = new TestDirectory();
    mkdirSync(join(dir.path, "state/db"), { recursive: true });
    writeFileSync(join(dir.path, "state/db/schema"), "10");
    writeFileSync(join(dir.path, "state/db/db.sqlite"), Buffer.alloc(5000, "garbage"));
    expect(() => dir.open()).toThrow(/Cannot use the store's database ".*db.sqlite": .*not a database/);
  });

  it("answers for closures and orders of many paths as for each", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const paths: StorePath[] = [];
    for (let index = 0; index < 40; index++) {
      const references = [index >> 1, (index * 7) % (index + 1), index - 3]
        .filter((each) => each >= 0 && each < index)
        .map((each) => paths[each]!);
      paths.push(store.addText(`t${index}`, `${index}`, references));
    }
    const walk = (start: StorePath, next: (path: StorePath) => readonly StorePath[]): StorePath[] => {
      const seen = new Set([start]);
      for (const path of seen) for (const each of next(path)) seen.add(each);
      return [...seen].sort();
    };
    for (const path of paths) {
      expect(store.closureOf(path)).toEqual(walk(path, (each) => store.pathInfo(each).references));
      expect(store.closureOf(path, { isReversed: true })).toEqual(
        walk(path, (each) => store.queryReferrers(each)),
      );
    }
    const some = paths.filter((_, index) => index % 3 !== 0);
    const sorted = store.topologicalSort(some);
    expect([...sorted].sort()).toEqual([...some].sort());
    for (const [index, path] of sorted.entries())
      for (const reference of store.pathInfo(path).references)
        expect(sorted.indexOf(reference)).toBeLessThan(index);
    expect(() => store.closureOf([paths[3]!, anyPath(store, "absent")])).toThrow(/not valid/);
    expect(store.topologicalSort([anyPath(store, "absent")])).toEqual([anyPath(store, "absent")]);
  });

  it("reads a store that it may not write", () => {
    using dir = new TestDirectory();
    let path: StorePath;
    {
      using store = dir.open();
      path = store.addText("a", "a", []);
    }
    using store = dir.open({ isReadOnly: true });
    expect(store.isValidPath(path)).toBe(true);
    expect(() => store.addText("b", "b", [])).toThrow(/opened read-only/);
  });

  it.each(["while they do", "once they have"])(
    "sees what others write, %s, although it could not share memory with them",
    (when) => {
      using dir = new TestDirectory();
      let before: StorePath;
      {
        using store = dir.open();
        before = store.addText("before", "content", []);
      }
      // As where nothing may be written beside the database: SQLite cannot make this file.
      const log = join(dir.path, "state/db/db.sqlite-wal");
      mkdirSync(log);
      using reader = dir.open({ isReadOnly: true });
      expect(reader.isValidPath(before)).toBe(true);
      rmdirSync(log);
      let after: StorePath;
      {
        using writer = dir.open();
        after = writer.addText("after", before, [before]);
        if (when === "while they do") expect(reader.isValidPath(after)).toBe(true);
      }
      expect(reader.queryPathInfo(after)?.references).toEqual([before]);
    },
  );

  it.skipIf(process.geteuid?.() === 0)(
    "says so where its database may not be read (skipped for root, who may read all)",
    () => {
      using dir = new TestDirectory();
      dir.open()[Symbol.dispose]();
      chmodSync(join(dir.path, "state/db/db.sqlite"), 0);
      expect(() => dir.open({ isReadOnly: true })).toThrow(/db\.sqlite": permission denied/);
    },
  );

  it("refuses to read a store that is not there", () => {
    using dir = new TestDirectory();
    expect(() => dir.open({ isReadOnly: true })).toThrow(/database does not exist/);
    expect(readdirSync(dir.path)).toEqual([]);
  });
});

describe("adding", () => {
  it("adds texts with their references", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const a = store.addText("a", "a", []);
    const b = store.addText("b", `uses ${a}`, [a]);
    expect(readFileSync(b, "utf8")).toBe(`uses ${a}`);
    expect(statSync(b).mode & 0o7777).toBe(0o444);
    expect(statSync(b).mtimeMs).toBe(1000);
    expect(store.pathInfo(b)).toMatchObject({ references: [a], isUltimate: false, deriver: undefined });
    expect(store.pathInfo(b).contentAddress).toMatch(/^text:sha256:/);
    expect(store.queryReferrers(a)).toEqual([b]);
    expect(store.closureOf(b)).toEqual([a, b].sort());
    expect(store.topologicalSort([b, a])).toEqual([a, b]);
    expect(store.queryPathFromHashPart(a.slice(store.storeDir.length + 1, store.storeDir.length + 33))).toBe(
      a,
    );
    expect(() => store.addText("c", "c", [anyPath(store, "unknown")])).toThrow(
      /refers to .* which is not valid/,
    );
  });

  it("copies trees and files, canonical", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const source = join(dir.path, "source");
    mkdirSync(join(source, "sub"), { recursive: true });
    writeFileSync(join(source, "sub/file"), "x");
    writeFileSync(join(source, "run"), "y");
    writeFileSync(join(source, "skip~"), "z");
    chmodSync(join(source, "run"), 0o4711);
    symlinkSync("/etc/passwd", join(source, "link"));
    const asked: string[] = [];
    const path = store.addPath(source, {
      name: "tree",
      method: "nar",
      filter: (entry) => {
        asked.push(entry);
        return !entry.endsWith("~");
      },
    });
    expect(new Set(asked).size).toBe(asked.length);
    expect(readdirSync(path)).toEqual(["link", "run", "sub"]);
    expect(statSync(join(path, "run")).mode & 0o7777).toBe(0o555);
    expect(lstatSync(join(path, "link")).isSymbolicLink()).toBe(true);
    const { hash, sizeBytes } = hashNar(path);
    expect(store.pathInfo(path)).toMatchObject({
      narHash: hash,
      narSizeBytes: sizeBytes,
      contentAddress: `fixed:r:sha256:${formatHash(hash, "nix32")}`,
    });
    const flat = store.addPath(join(source, "run"), { name: "run", method: "flat" });
    expect(statSync(flat).mode & 0o7777).toBe(0o444);
    expect(store.addPath(join(source, "run"), { name: "run", method: "flat", isDryRun: true })).toBe(flat);
    expect(() => store.addPath(source, { name: "x", method: "flat" })).toThrow(/not a regular file/);
    expect(() => store.addPath(source, { name: "a/b", method: "nar" })).toThrow(/illegal character/);
    expect(() =>
      store.addPath(join(source, "run"), {
        name: "r",
        method: "flat",
        expectedHash: hashBytes("sha256", "other"),
      }),
    ).toThrow(/specified: sha256-.*\n {2}got: {7}sha256-/);
  });

  it("scans for references where candidates are given", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const [a, b] = [store.addText("a", "a", []), store.addText("b", "b", [])];
    writeFileSync(join(dir.path, "f"), `uses ${a}`);
    const path = store.addPath(join(dir.path, "f"), { name: "f", method: "nar", candidates: [a, b] });
    expect(store.pathInfo(path).references).toEqual([a]);
  });

  it("replaces what an interrupted run left", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const path = store.addPath(import.meta.filename, { name: "x", method: "nar", isDryRun: true });
    mkdirSync(path);
    writeFileSync(join(path, "half"), "");
    expect(store.addPath(import.meta.filename, { name: "x", method: "nar" })).toBe(path);
    expect(readFileSync(path).equals(readFileSync(import.meta.filename))).toBe(true);
  });

  it("leaves nothing behind but the path", () => {
    using dir = new TestDirectory();
    {
      using store = dir.open();
      store.addText("a", "a", []);
    }
    expect(readdirSync(join(dir.path, "store")).map((name) => name.slice(32))).toEqual(
      [".links".slice(32), "-a"].sort(),
    );
    expect(readdirSync(join(dir.path, "state/temproots"))).toEqual([]);
  });
});

describe("signatures", () => {
  it("are added once each, and not without end", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const path = store.addText("signed", "x", []);
    store.addSignatures(path, ["a:AAAA", "b:AAAA"]);
    store.addSignatures(path, ["b:AAAA"]);
    expect(store.pathInfo(path).signatures).toEqual(["a:AAAA", "b:AAAA"]);
    const many = Array.from({ length: 999 }, (_, index) => `k${index}:AAAA`);
    expect(() => store.addSignatures(path, many)).toThrow("it would have 1001 signatures, more than 1000");
    expect(store.pathInfo(path).signatures).toEqual(["a:AAAA", "b:AAAA"]);
  });
});

describe("streams", () => {
  const incoming = (
    store: LocalStore,
    source: string,
    name: string,
  ): {
    path: StorePath;
    narHash: ReturnType<typeof hashNar>["hash"];
    narSizeBytes: number;
    references: StorePath[];
  } => {
    const { hash, sizeBytes } = hashNar(source);
    return { path: anyPath(store, name), narHash: hash, narSizeBytes: sizeBytes, references: [] };
  };

  it("keep what they refer to while they arrive", async () => {
    using dir = new TestDirectory();
    const needed = ((): StorePath => {
      using maker = dir.open();
      return maker.addText("needed", "x", []);
    })();
    using store = dir.open();
    using collector = dir.open();
    const nar = narOfBytes(Buffer.from(needed));
    async function* arriving(): AsyncGenerator<Buffer> {
      yield nar.subarray(0, 20);
      await collector.collectGarbage({ action: "deleteDead" });
      yield nar.subarray(20);
    }
    const path = anyPath(store, "user");
    const info = { path, narHash: hashBytes("sha256", nar), narSizeBytes: nar.length, references: [needed] };
    await store.addToStoreFromStream(info, arriving());
    expect(store.closureOf(path)).toEqual([needed, path].sort());
  });

  it("register what hashes as promised", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const info = incoming(store, import.meta.dirname, "tree");
    const seen: number[] = [];
    await store.addToStoreFromStream(
      { ...info, references: [info.path], signatures: ["k:c2ln"] },
      copyChunks(import.meta.dirname),
      { onProgress: (done) => void seen.push(done) },
    );
    expect(seen.at(-1)).toBe(info.narSizeBytes);
    expect(store.pathInfo(info.path)).toMatchObject({
      references: [info.path],
      signatures: ["k:c2ln"],
      narHash: info.narHash,
    });
    expect(hashNar(info.path).hash).toEqual(info.narHash);
    expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [] });
  });

  it.each<[string, (info: ReturnType<typeof incoming>, chunks: Buffer[]) => [typeof info, Buffer[]], RegExp]>(
    [
      [
        "another hash",
        (info, chunks) => [{ ...info, narHash: hashBytes("sha256", "") }, chunks],
        /hash mismatch importing path/,
      ],
      [
        "too much",
        (info, chunks) => [{ ...info, narSizeBytes: 100 }, chunks],
        /expected 100 bytes but found more/,
      ],
      [
        "too little",
        (info, chunks) => [{ ...info, narSizeBytes: info.narSizeBytes + 1 }, chunks],
        /expected \d+ bytes but found \d+/,
      ],
      [
        "cut short",
        (info, chunks) => [info, [chunks[0]?.subarray(0, 1000) ?? Buffer.alloc(0)]],
        /unexpected end/,
      ],
      [
        "more after the end",
        (info, chunks) => [{ ...info, narSizeBytes: 0 }, [...chunks, Buffer.alloc(8)]],
        /after the end/,
      ],
      [
        "an unknown reference",
        (info, chunks) => [{ ...info, references: ["/x" as StorePath] }, chunks],
        /which is not valid/,
      ],
    ],
  )("%s registers nothing and leaves nothing", async (_name, change, message) => {
    using dir = new TestDirectory();
    using store = dir.open();
    const info = incoming(store, import.meta.dirname, "tree");
    const [changed, chunks] = change(info, copyChunks(import.meta.dirname));
    await expect(store.addToStoreFromStream(changed, chunks)).rejects.toThrow(message);
    expect(store.isValidPath(info.path)).toBe(false);
    expect(existsSync(info.path)).toBe(false);
  });

  it("check content addresses against path and content", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const path = store.addPath(import.meta.dirname, { name: "t", method: "nar", isDryRun: true });
    const { hash, sizeBytes } = hashNar(import.meta.dirname);
    const info = {
      path,
      narHash: hash,
      narSizeBytes: sizeBytes,
      references: [],
      contentAddress: `fixed:r:sha256:${formatHash(hash, "nix32")}`,
    };
    await expect(
      store.addToStoreFromStream(
        { ...info, contentAddress: "fixed:r:sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x" },
        copyChunks(import.meta.dirname),
      ),
    ).rejects.toThrow(/belongs to/);
    await store.addToStoreFromStream(info, copyChunks(import.meta.dirname));
    expect(store.pathInfo(path).contentAddress).toBe(info.contentAddress);
  });

  it("two at once add a path once", async () => {
    using dir = new TestDirectory();
    using one = dir.open();
    using two = dir.open();
    const info = incoming(one, import.meta.dirname, "tree");
    const slowly = async function* (): AsyncGenerator<Buffer> {
      for (const chunk of copyChunks(import.meta.dirname)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield chunk;
      }
    };
    let started = 0;
    const count = async function* (): AsyncGenerator<Buffer> {
      started++;
      yield* slowly();
    };
    await Promise.all([one.addToStoreFromStream(info, count()), two.addToStoreFromStream(info, count())]);
    expect(started).toBe(1);
    expect(readdirSync(one.storeDir).filter((name) => name.endsWith(".lock"))).toEqual([]);
  });
});

describe("outputs", () => {
  it("are made canonical, scanned and registered together", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const dep = store.addText("dep", "dep", []);
    const unused = store.addText("unused", "unused", []);
    const [out, dev] = [anyPath(store, "p"), anyPath(store, "p-dev")];
    const scratch = join(dir.path, "build");
    mkdirSync(join(scratch, "out"), { recursive: true });
    writeFileSync(join(scratch, "out/bin"), `${dep} ${out}`, { mode: 0o6755 });
    writeFileSync(dev, `${out}`);
    const infos = await store.registerOutputs({
      outputs: [
        { name: "dev", scratchPath: dev, target: { kind: "path", path: dev } },
        { name: "out", scratchPath: join(scratch, "out"), target: { kind: "path", path: out } },
      ],
      candidates: [dep, unused],
      deriver: anyPath(store, "p.drv"),
    });
    expect(infos.get("out")?.references).toEqual([dep, out].sort());
    expect(store.pathInfo(dev)).toMatchObject({
      references: [out],
      isUltimate: true,
      deriver: anyPath(store, "p.drv"),
    });
    expect(statSync(join(out, "bin")).mode & 0o7777).toBe(0o555);
    expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [] });
  });

  it.each([
    ["missing", () => undefined, /did not create/],
    ["wrong hash", (path: string) => writeFileSync(path, "other"), /its hash differs/],
    ["a tree", (path: string) => mkdirSync(path), /should be a non-executable regular file/],
    [
      "executable",
      (path: string) => writeFileSync(path, "content", { mode: 0o755 }),
      /should be a non-executable/,
    ],
  ])("a fixed output that is %s is refused", async (_name, build, message) => {
    using dir = new TestDirectory();
    using store = dir.open();
    const hash = hashBytes("sha256", "content");
    const path = anyPath(store, "fixed");
    const scratchPath = join(dir.path, "out");
    build(scratchPath);
    await expect(
      store.registerOutputs({
        outputs: [{ name: "out", scratchPath, target: { kind: "fixed", path, hash, method: "flat" } }],
        candidates: [],
      }),
    ).rejects.toThrow(message);
    expect(store.isValidPath(path)).toBe(false);
  });

  it("in a circle are refused", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const [a, b] = [anyPath(store, "a"), anyPath(store, "b")];
    writeFileSync(a, b);
    writeFileSync(b, a);
    const outputs = [a, b].map((path) => ({
      name: path,
      scratchPath: path,
      target: { kind: "path" as const, path },
    }));
    await expect(store.registerOutputs({ outputs, candidates: [] })).rejects.toThrow(
      /circle|refer to each other/,
    );
    expect(store.isValidPath(a)).toBe(false);
  });

  it("that are content-addressed get the path of their content, wherever they were built", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const build = async (seed: string): Promise<(StorePath | undefined)[]> => {
      const [out, lib] = [anyPath(store, "ca", seed), anyPath(store, "ca-lib", seed)];
      writeFileSync(lib, `lib at ${lib}`);
      mkdirSync(out);
      writeFileSync(join(out, "x"), `out at ${out} uses ${lib}`);
      const target = (pathName: string, scratchStorePath: StorePath) => ({
        kind: "contentAddressed" as const,
        pathName,
        algorithm: "sha256" as const,
        method: "nar" as const,
        scratchStorePath,
      });
      const infos = await store.registerOutputs({
        outputs: [
          { name: "out", scratchPath: out, target: target("ca", out) },
          { name: "lib", scratchPath: lib, target: target("ca-lib", lib) },
        ],
        candidates: [],
      });
      return [infos.get("out")?.path, infos.get("lib")?.path];
    };
    const [out, lib] = await build("one");
    expect(await build("two")).toEqual([out, lib]);
    expect(readFileSync(join(out ?? "", "x"), "utf8")).toBe(`out at ${out} uses ${lib}`);
    expect(store.pathInfo(out as StorePath).references).toEqual([lib ?? "", out ?? ""].toSorted());
    expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [] });
    // The address holds: it can be imported elsewhere.
    using other = new TestDirectory();
    using _second = other.open();
    const again = await store.addToStoreFromStream(
      { ...store.pathInfo(lib as StorePath) },
      copyChunks(lib ?? ""),
      { isRepair: true },
    );
    expect(again.contentAddress).toMatch(/^fixed:r:sha256:/);
  });
});

describe("derivations", () => {
  it("are written once, with their outputs noted", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const request = {
      name: "d",
      system: "x",
      builder: "b",
      args: [],
      env: new Map(),
      outputs: ["out", "dev"],
      kind: { kind: "inputAddressed" as const },
      context: new Set<string>(),
    };
    const made = makeDerivation(request, store.hasher, (path) => store.closureOf(path));
    const user = makeDerivation(
      { ...request, name: "u", context: new Set([`!dev!${made.drvPath}`]) },
      store.hasher,
      () => [],
    );
    store.writeDerivations([made, user]);
    expect(store.writeDerivation(made)).toBe(made.drvPath);
    expect(store.pathInfo(user.drvPath).references).toEqual([made.drvPath]);
    expect(Object.fromEntries(store.queryDerivationOutputs(made.drvPath))).toEqual(
      Object.fromEntries(made.outputs),
    );
    expect(store.queryValidDerivers(made.outputs.get("dev") as StorePath)).toEqual([made.drvPath]);
    using again = dir.open();
    expect(again.readDerivation(user.drvPath)).toEqual(user.derivation);
  });
});

describe("derivations from elsewhere", () => {
  it("must name the output paths that follow from them", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const made = makeDerivation(
      {
        name: "d",
        system: "x",
        builder: "b",
        args: [],
        env: new Map(),
        outputs: ["out"],
        kind: { kind: "inputAddressed" },
        context: new Set(),
      },
      store.hasher,
      () => [],
    );
    const send = async (contents: string, path = made.drvPath): Promise<unknown> => {
      const nar = narOfBytes(Buffer.from(contents, "latin1"));
      return store.addToStoreFromStream(
        { path, narHash: hashBytes("sha256", nar), narSizeBytes: nar.length, references: [] },
        [nar],
      );
    };
    const evil = made.contents.replaceAll(made.outputs.get("out") ?? "", anyPath(store, "victim"));
    await expect(send(evil)).rejects.toThrow(/output "out" should be ".*-d" but is ".*-victim"/);
    await expect(send("Derive(")).rejects.toThrow(/Cannot read derivation "d" at byte 7/);
    expect(store.isValidPath(made.drvPath)).toBe(false);
    await send(made.contents);
    expect(store.queryValidDerivers(made.outputs.get("out") as StorePath)).toEqual([made.drvPath]);
  });
});

describe("realisations", () => {
  it("are kept, and never two for one output", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const drvPath = anyPath(store, "x.drv");
    const outputPath = anyPath(store, "x");
    expect(store.queryRealisation(drvPath, "out")).toBeUndefined();
    store.registerRealisation({ drvPath, output: "out", outputPath, signatures: ["a:1"] });
    store.registerRealisation({ drvPath, output: "out", outputPath, signatures: ["b:2"] });
    expect(store.queryRealisation(drvPath, "out")).toEqual({
      drvPath,
      output: "out",
      outputPath,
      signatures: ["a:1", "b:2"],
    });
    expect(() =>
      store.registerRealisation({ drvPath, output: "out", outputPath: anyPath(store, "y"), signatures: [] }),
    ).toThrow(/is known for it/);
  });
});

describe("verifying", () => {
  it("finds changed and missing paths, forgets what nobody needs, and mends by the hook", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const [a, gone, changed] = [
      store.addText("a", "a", []),
      store.addText("gone", "g", []),
      store.addText("changed", "c", []),
    ];
    const user = store.addText("user", a, [a]);
    rmSync(gone);
    rmSync(a);
    chmodSync(changed, 0o644);
    writeFileSync(changed, "C");
    const result = await store.verify({ checkContents: true });
    expect(result.forgotten).toEqual([gone]);
    expect(result.problems).toEqual([
      expect.stringContaining(`path "${a}" disappeared, but it still has valid referrers`),
      expect.stringContaining(`path "${changed}" was modified`),
    ]);
    const mended: StorePath[] = [];
    const repair = (path: StorePath): Promise<boolean> => {
      mended.push(path);
      return Promise.resolve(true);
    };
    expect((await store.verify({ checkContents: true, repair })).problems).toEqual([]);
    expect(mended).toEqual([a, changed]);
    expect(store.isValidPath(user)).toBe(true);
  });
});

describe("optimising", () => {
  it("is done as paths are registered, where auto-optimise-store says so", () => {
    using dir = new TestDirectory();
    using store = LocalStore.open(dir.settings({ "auto-optimise-store": "true" }));
    const paths = ["a", "b"].map((name) => {
      writeFileSync(join(dir.path, name), "same");
      return store.addPath(join(dir.path, name), { name, method: "nar" });
    });
    expect(new Set(paths.map((path) => statSync(path).ino)).size).toBe(1);
  });

  it("links equal files, and executables apart from others", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const source = join(dir.path, "s");
    mkdirSync(source);
    for (const name of ["1", "2"]) writeFileSync(join(source, name), "same");
    writeFileSync(join(source, "x"), "same", { mode: 0o755 });
    const path = store.addPath(source, { name: "s", method: "nar" });
    expect(await store.optimise()).toEqual({ linkedFiles: 1, savedBytes: 4 });
    expect(statSync(join(path, "1")).ino).toBe(statSync(join(path, "2")).ino);
    expect(statSync(join(path, "1")).ino).not.toBe(statSync(join(path, "x")).ino);
    expect(statSync(path).mode & 0o7777).toBe(0o555);
    expect(statSync(path).mtimeMs).toBe(1000);
    expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [] });
    expect(await store.optimise()).toEqual({ linkedFiles: 0, savedBytes: 0 });
    await store.collectGarbage({ action: "deleteDead", ignoreLiveness: true });
    expect(readdirSync(join(store.storeDir, ".links")).length).toBe(2);
  });
});

it("hash strings are read back as they are stored", () => {
  expect(formatHash(parseHash(`sha256:${"00".repeat(32)}`), "nix32")).toBe("0".repeat(52));
});
