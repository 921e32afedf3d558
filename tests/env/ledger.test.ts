import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readLedger, whyAlive } from "../../env/index.ts";
import { addGeneration, makeDerivation, type LocalStore, type StorePath } from "../../store/index.ts";
import { TestDirectory } from "../store/testStore.ts";

let dir: TestDirectory;
let store: LocalStore;
let shared: StorePath;
let mine: StorePath;
let theirs: StorePath;
let dead: StorePath;

const BIG = "x".repeat(50_000);

/** A project's environment as the cache keeps it. */
function enter(id: string, directory: string, root: StorePath, daysAgo: number): void {
  const record = join(dir.path, "cache/records", id.repeat(32));
  mkdirSync(join(record, "roots"), { recursive: true });
  writeFileSync(join(record, "record.json"), JSON.stringify({ version: 1, directory, key: "-A\x1fpan\x1f" }));
  store.addRoot(join(record, "roots/0"), root);
  const at = Date.now() / 1000 - daysAgo * 86_400;
  utimesSync(record, at, at);
}

beforeEach(() => {
  dir = new TestDirectory();
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(dir.path, "cache"));
  store = dir.open();
  shared = store.addText("shared", `shared ${BIG}`, []);
  mine = store.addText("mine", `mine ${BIG}`, [shared]);
  theirs = store.addText("theirs", `theirs ${BIG}${BIG}`, [shared]);
  dead = store.addText("dead", BIG, [mine]);
});
afterEach(() => {
  store[Symbol.dispose]();
  dir[Symbol.dispose]();
  vi.unstubAllEnvs();
});

describe("the ledger", () => {
  it("says who keeps how much, alone and in all, and what nobody does", () => {
    enter("a", "/src/mine", mine, 40);
    addGeneration(store, join(dir.path, "profile"), theirs);
    const { entries, totalBytes, deadPaths, deadBytes } = readLedger(store);
    const sizeOf = (path: StorePath): number => store.pathInfo(path).narSizeBytes;
    expect(entries.map(({ kind, name }) => [kind, name])).toEqual([
      ["profile", join(dir.path, "profile")],
      ["project", "/src/mine -A pan"],
    ]);
    expect(entries[1]).toMatchObject({
      exclusiveBytes: sizeOf(mine),
      sizeBytes: sizeOf(mine) + sizeOf(shared),
      pathCount: 2,
    });
    expect(Date.now() - (entries[1]?.lastUsedMs ?? 0)).toBeGreaterThan(39 * 86_400_000);
    // This process's own temporary roots are no reason.
    expect(deadPaths).toEqual([dead]);
    expect(deadBytes).toBe(sizeOf(dead));
    expect(totalBytes).toBe(sizeOf(shared) + sizeOf(mine) + sizeOf(theirs) + sizeOf(dead));
  });

  it("counts what would go with environments that were long not entered", () => {
    enter("a", "/src/mine", mine, 40);
    enter("b", "/src/theirs", theirs, 1);
    expect(readLedger(store, Date.now() - 30 * 86_400_000).deadPaths).toEqual([dead, mine]);
    expect(readLedger(store, Date.now() - 50 * 86_400_000).deadPaths).toEqual([dead]);
  });
});

describe("a tree that is linked together from packages", () => {
  /** Registers what a derivation without inputs, or with these, has built: one file, or a link to another's. */
  async function build(
    name: string,
    linked?: { readonly drv: StorePath; readonly out: StorePath },
  ): Promise<{ drv: StorePath; out: StorePath }> {
    const made = makeDerivation(
      {
        name,
        system: "x",
        builder: "builtin:debian-environment",
        args: [],
        env: new Map(),
        outputs: ["out"],
        kind: { kind: "inputAddressed" },
        context: new Set(linked === undefined ? [] : [`!out!${linked.drv}`]),
      },
      store.hasher,
      () => [],
    );
    const drv = store.writeDerivation(made);
    const out = made.outputs.get("out") as StorePath;
    mkdirSync(out);
    if (linked === undefined) writeFileSync(join(out, "file"), BIG);
    else linkSync(join(linked.out, "file"), join(out, "file"));
    await store.registerOutputs({
      outputs: [{ name: "out", scratchPath: out, target: { kind: "path", path: out } }],
      candidates: [],
      deriver: drv,
    });
    return { drv, out };
  }

  it("keeps their files on the disk when they go, and costs what they do", async () => {
    const part = await build("package");
    const tree = await build("tree", part);
    symlinkSync(tree.out, join(store.settings.stateDir, "gcroots/tree"));
    const { entries, deadPaths, deadBytes } = readLedger(store);
    expect(entries).toHaveLength(1);
    expect(entries[0]?.exclusiveBytes).toBeGreaterThan(BIG.length);
    expect(entries[0]?.exclusiveBytes).toBeLessThan(2 * BIG.length);
    expect(deadPaths).toContain(part.out);
    const others = deadPaths.filter((path) => path !== part.out);
    expect(deadBytes).toBe(others.reduce((sum, path) => sum + store.pathInfo(path).narSizeBytes, 0));
    // Known from now on, without a look at the files; a damaged note is none.
    const whole = readLedger(store);
    const [note = ""] = readdirSync(join(dir.path, "cache")).filter((name) =>
      name.startsWith("linked-trees"),
    );
    expect(readFileSync(join(dir.path, "cache", note), "utf8")).toContain(part.out);
    chmodSync(part.out, 0o755);
    rmSync(join(part.out, "file"));
    expect(readLedger(store)).toEqual(whole);
    writeFileSync(join(dir.path, "cache", note), "{");
    const copied = readLedger(store).entries[0]?.exclusiveBytes;
    expect(copied).toBeGreaterThanOrEqual(store.pathInfo(tree.out).narSizeBytes);
  });
});

describe("why a path is alive", () => {
  it("is the shortest chain from a root, of each owner", () => {
    enter("a", "/src/mine", mine, 0);
    const middle = store.addText("middle", "", [mine]);
    symlinkSync(middle, join(store.settings.stateDir, "gcroots/far"));
    expect(whyAlive(store, shared)).toEqual([
      {
        kind: "project",
        owner: "/src/mine -A pan",
        root: join(dir.path, "cache/records", "a".repeat(32), "roots/0"),
        chain: [
          { path: mine, reason: undefined },
          { path: shared, reason: "reference" },
        ],
      },
      {
        kind: "link",
        owner: join(store.settings.stateDir, "gcroots/far"),
        root: join(store.settings.stateDir, "gcroots/far"),
        chain: [
          { path: middle, reason: undefined },
          { path: mine, reason: "reference" },
          { path: shared, reason: "reference" },
        ],
      },
    ]);
    expect(whyAlive(store, dead)).toEqual([]);
  });

  it("follows what the settings keep beside references", async () => {
    const made = makeDerivation(
      {
        name: "tool",
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
    const drv = store.writeDerivation(made);
    const out = made.outputs.get("out") as StorePath;
    writeFileSync(out, "built");
    await store.registerOutputs({
      outputs: [{ name: "out", scratchPath: out, target: { kind: "path", path: out } }],
      candidates: [],
      deriver: drv,
    });
    symlinkSync(out, join(store.settings.stateDir, "gcroots/out"));
    expect(whyAlive(store, drv)[0]?.chain).toEqual([
      { path: out, reason: undefined },
      { path: drv, reason: "deriver" },
    ]);
  });
});
