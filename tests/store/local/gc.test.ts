import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { encodeNix32, hashBytes } from "../../../core/index.ts";
import {
  FileLock,
  LocalStore,
  PathLocks,
  collectWhenFull,
  makeDerivation,
  type StorePath,
} from "../../../store/index.ts";
import { sizeOnDisk } from "../../../store/local/files.ts";
import { TestDirectory } from "../testStore.ts";

const STORE_MODULE = join(import.meta.dirname, "../../../store/index.ts");

/** Runs a script in another process over the same store; what it prints comes back line by line. */
function startPeer(
  dir: TestDirectory,
  script: string,
): { child: ReturnType<typeof spawn>; lines: AsyncIterator<string> } {
  const env = {
    ...process.env,
    HOME: dir.path,
    NIX_STORE_DIR: join(dir.path, "store"),
    NIX_STATE_DIR: join(dir.path, "state"),
    NIX_LOG_DIR: join(dir.path, "log"),
    NIX_CONF_DIR: join(dir.path, "conf"),
  };
  const source = `import { LocalStore, resolveStoreSettings } from ${JSON.stringify(STORE_MODULE)};
    const store = LocalStore.open(resolveStoreSettings(process.env));
    const say = (text) => process.stdout.write(text + "\\n");
    ${script}`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = (async function* (): AsyncGenerator<string> {
    let text = "";
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        yield text.slice(0, end);
        text = text.slice(end + 1);
      }
    }
  })();
  return { child, lines };
}

/** Once someone listens there. */
async function connectSoon(path: string): Promise<Socket> {
  for (;;) {
    const socket = createConnection(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await sleep(5);
    }
  }
}

const stop = async (child: ReturnType<typeof spawn>): Promise<void> => {
  const exited =
    child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, "exit");
  child.kill("SIGKILL");
  await exited;
};

/** Chains of paths; the store that made them is closed, so its temporary roots are gone. */
function fill(dir: TestDirectory): { a: StorePath; b: StorePath; c: StorePath; lone: StorePath } {
  using store = dir.open();
  const a = store.addText("a", "a", []);
  const b = store.addText("b", a, [a]);
  const c = store.addText("c", b, [b]);
  return { a, b, c, lone: store.addText("lone", "x", []) };
}

const storeEntries = (store: LocalStore): string[] =>
  readdirSync(store.storeDir).filter((name) => name !== ".links");

describe("collecting garbage", () => {
  it("ends although someone tells it roots without end", async () => {
    using dir = new TestDirectory();
    const { a, b, c, lone } = fill(dir);
    const pipe = join(dir.path, "pipe");
    spawnSync("mkfifo", [pipe]);
    vi.stubEnv("_NIX_TEST_GC_SYNC_2", pipe);
    using store = dir.open();
    const collecting = store.collectGarbage({ action: "deleteDead" });
    const client = await connectSoon(join(dir.path, "state", "gc-socket", "socket"));
    const lines = `${a}\n`.repeat(500);
    const tell = (): void => {
      while (!client.destroyed && client.write(lines));
    };
    client.on("drain", tell).on("error", () => undefined);
    const answered = once(client, "data");
    tell();
    await answered;
    vi.unstubAllEnvs();
    writeFileSync(pipe, "");
    expect((await collecting).paths).toEqual(expect.arrayContaining([b, c, lone]));
    client.destroy();
    expect(store.isValidPath(a)).toBe(true);
  });

  it("keeps the closure of roots, exactly", async () => {
    using dir = new TestDirectory();
    const { a, b, c, lone } = fill(dir);
    using store = dir.open();
    store.addRoot(join(dir.path, "result"), b);
    // The root made a temporary root of it, too; only a new process is without.
    expect((await store.collectGarbage({ action: "returnLive" })).paths).toEqual([a, b].sort());
    const result = await store.collectGarbage({ action: "deleteDead" });
    expect([...result.paths].sort()).toEqual([c, lone].sort());
    expect(result.freedBytes).toBeGreaterThan(0);
    expect(store.allValidPaths()).toEqual([a, b].sort());
    expect(existsSync(c)).toBe(false);
  });

  it("knows direct, indirect, profile and named roots, and removes stale links", async () => {
    using dir = new TestDirectory();
    const { a, b, c, lone } = fill(dir);
    using store = dir.open();
    const state = store.settings.stateDir;
    symlinkSync(a, join(state, "gcroots/direct"));
    symlinkSync(`${b}/some/file`, join(state, "profiles/p-1-link"));
    writeFileSync(join(state, "gcroots", lone.slice(store.storeDir.length + 1)), "");
    const link = join(dir.path, "out/result");
    store.addRoot(link, c);
    const roots = store.findRoots();
    expect(roots.get(a)).toContain(join(state, "gcroots/direct"));
    expect(roots.get(b)).toContain(join(state, "profiles/p-1-link"));
    expect(roots.get(c)).toContain(link);
    expect(roots.has(lone)).toBe(true);
    unlinkSync(link);
    expect(store.findRoots().get(c)).toEqual(new Set([`{temp:${process.pid}}`]));
    expect(readdirSync(join(state, "gcroots/auto"))).toEqual([]);
    await expect(store.deletePaths([a])).rejects.toThrow(/still alive/);
  });

  it("takes no half-made link of a killed process for a root, and uses its place", () => {
    using dir = new TestDirectory();
    const { a, b } = fill(dir);
    using store = dir.open();
    const gcroots = join(store.settings.stateDir, "gcroots");
    const half = `.tmp-${encodeNix32(hashBytes("sha1", "kept").digest)}`;
    symlinkSync(a, join(gcroots, half));
    expect(store.findRoots().has(a)).toBe(false);
    store.addRoot(join(gcroots, "kept"), b);
    expect(readlinkSync(join(gcroots, "kept"))).toBe(b);
    expect(readdirSync(gcroots)).not.toContain(half);
  });

  it("refuses to replace a file by a root", () => {
    using dir = new TestDirectory();
    const { a } = fill(dir);
    using store = dir.open();
    writeFileSync(join(dir.path, "result"), "precious");
    expect(() => store.addRoot(join(dir.path, "result"), a)).toThrow(
      /exists and is not a link into the store/,
    );
    expect(readFileSync(join(dir.path, "result"), "utf8")).toBe("precious");
  });

  it("keeps derivers and outputs as the settings ask", async () => {
    const run = async (
      keepDerivations: boolean,
      keepOutputs: boolean,
      rootOf: "drv" | "out",
    ): Promise<string[]> => {
      using dir = new TestDirectory();
      let drv: StorePath;
      let out: StorePath;
      {
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
        drv = store.writeDerivation(made);
        out = made.outputs.get("out") as StorePath;
        writeFileSync(out, "built");
        await store.registerOutputs({
          outputs: [{ name: "out", scratchPath: out, target: { kind: "path", path: out } }],
          candidates: [],
          deriver: drv,
        });
      }
      using store = dir.open();
      symlinkSync(rootOf === "drv" ? drv : out, join(store.settings.stateDir, "gcroots/r"));
      const { paths } = await store.collectGarbage({ action: "returnLive", keepDerivations, keepOutputs });
      return paths.map((path) => (path === drv ? "drv" : "out")).sort();
    };
    expect(await run(false, false, "out")).toEqual(["out"]);
    expect(await run(true, false, "out")).toEqual(["drv", "out"]);
    expect(await run(true, false, "drv")).toEqual(["drv"]);
    expect(await run(false, true, "drv")).toEqual(["drv", "out"]);
  });

  it("stops when enough is freed", async () => {
    using dir = new TestDirectory();
    fill(dir);
    using store = dir.open();
    const { paths } = await store.collectGarbage({ action: "deleteDead", maxFreedBytes: 1 });
    expect(paths.length).toBe(1);
    expect(store.allValidPaths().length).toBe(3);
    expect((await store.collectGarbage({ action: "deleteDead", maxFreedBytes: 0 })).paths).toEqual([]);
  });

  it("forgets many at a time, yet with a limit no more than it deletes", async () => {
    using dir = new TestDirectory();
    {
      using store = dir.open();
      for (let i = 1000; i < 1200; i++) store.addText(`text-${i}`, `${i} `.repeat(2000), []);
    }
    using store = dir.open();
    const eachBytes = sizeOnDisk(store.allValidPaths()[0] ?? "");
    const forgetting = vi.spyOn(store.db, "durableTransaction");
    const maxFreedBytes = 99 * eachBytes;
    const { paths, freedBytes } = await store.collectGarbage({ action: "deleteDead", maxFreedBytes });
    expect(paths).toHaveLength(100);
    expect(freedBytes).toBe(100 * eachBytes);
    expect(storeEntries(store)).toHaveLength(100);
    expect(store.allValidPaths()).toHaveLength(100);
    // Each waits for the disk.
    expect(forgetting.mock.calls.length).toBeLessThan(5);
  });

  it("deletes leftovers, but not what a living process writes", async () => {
    using dir = new TestDirectory();
    const { a } = fill(dir);
    using store = dir.open();
    writeFileSync(join(store.storeDir, ".tmp-link-1-2"), "");
    writeFileSync(`${a.replace(/-a$/, "-half")}`, "");
    writeFileSync(`${a}.lock`, "");
    mkdirSync(join(store.storeDir, "trash/deep/er"), { recursive: true });
    mkdirSync(join(store.storeDir, "tmp-123-dead"));
    const locked = mkdtempSync(join(store.storeDir, "tmp-124-"));
    const { child, lines } = startPeer(
      dir,
      `const path = store.makeScratchPath(); say(path.slice(0, path.lastIndexOf("/"))); setInterval(() => {}, 1000);`,
    );
    try {
      const scratch = (await lines.next()).value as string;
      await store.collectGarbage({ action: "deleteDead" });
      expect(storeEntries(store)).toEqual([scratch.slice(store.storeDir.length + 1)]);
      expect(existsSync(locked)).toBe(false);
    } finally {
      await stop(child);
    }
    await store.collectGarbage({ action: "deleteDead" });
    expect(storeEntries(store)).toEqual([]);
  });

  it("leaves what running processes use", async () => {
    using dir = new TestDirectory();
    const { a, b, lone } = fill(dir);
    using store = dir.open();
    const fd = openSync(lone, "r");
    const child = spawn("sleep", ["60"], { env: { ...process.env, SOME_PATH: `/x:${b}/bin:/y` } });
    try {
      await once(child, "spawn");
      const { paths } = await store.collectGarbage({ action: "returnLive" });
      expect(paths).toEqual([a, b, lone].sort());
    } finally {
      closeSync(fd);
      await stop(child);
    }
  });

  it("respects temporary roots of living processes only", async () => {
    using dir = new TestDirectory();
    const { a, lone } = fill(dir);
    using store = dir.open();
    const { child, lines } = startPeer(
      dir,
      `store.addTempRoots([${JSON.stringify(lone)}]); say("ready"); setInterval(() => {}, 1000);`,
    );
    try {
      expect((await lines.next()).value).toBe("ready");
      expect((await store.collectGarbage({ action: "returnLive" })).paths).toEqual([lone]);
    } finally {
      await stop(child);
    }
    expect((await store.collectGarbage({ action: "returnLive" })).paths).toEqual([]);
    expect(readdirSync(join(store.settings.stateDir, "temproots"))).toEqual([]);
    expect(store.isValidPath(a)).toBe(true);
  });

  it("answers processes that add temporary roots meanwhile", async () => {
    using dir = new TestDirectory();
    const kept: StorePath[] = [];
    {
      using store = dir.open();
      for (let i = 0; i < 300; i++) kept.push(store.addText(`p${i}`, `${i}`, []));
    }
    using store = dir.open();
    const last = kept.at(-1) as StorePath;
    const { child, lines } = startPeer(
      dir,
      `say("ready"); process.stdin.once("data", () => { store.addTempRoots(${JSON.stringify(kept)}); say("told"); say(String(${JSON.stringify(kept)}.filter((p) => store.isValidPath(p)).length)); }); setInterval(() => {}, 1000);`,
    );
    try {
      expect((await lines.next()).value).toBe("ready");
      let told: Promise<unknown> | undefined;
      let deleted = 0;
      const result = store.collectGarbage({
        action: "deleteDead",
        onDelete: () => {
          deleted++;
          // Busy enough for the other process to come in between.
          const end = performance.now() + 10;
          while (performance.now() < end);
          if (told !== undefined) return;
          child.stdin?.write("go\n");
          told = lines.next();
        },
      });
      await result;
      expect(((await told) as IteratorResult<string>).value).toBe("told");
      const stillValid = Number((await lines.next()).value);
      // What it saw as valid after it had been answered was not deleted behind its back.
      expect(store.allValidPaths().length).toBe(stillValid);
      expect(deleted).toBeLessThanOrEqual(300 - stillValid);
      expect(stillValid).toBeGreaterThan(0);
      expect(last).toBeTruthy();
    } finally {
      await stop(child);
    }
  });

  it("deletes named dead paths, and where asked what refers to them", async () => {
    using dir = new TestDirectory();
    const { a, b, c, lone } = fill(dir);
    using store = dir.open();
    await expect(store.deletePaths([b])).rejects.toThrow(/still alive: ".*-c" needs it/);
    expect([...(await store.deletePaths([b], { includesReferrers: true })).paths].sort()).toEqual(
      [b, c].sort(),
    );
    expect(store.allValidPaths()).toEqual([a, lone].sort());
  });

  it("leaves of named paths what is alive, or something else refers to", async () => {
    using dir = new TestDirectory();
    const { a, b, c, lone } = fill(dir);
    using store = dir.open();
    symlinkSync(a, join(store.settings.stateDir, "gcroots/a"));
    const collect = async (paths: StorePath[]): Promise<readonly string[]> =>
      (await store.collectGarbage({ action: "deleteDead", paths })).paths;
    expect(await collect([a, b, lone])).toEqual([lone]);
    expect(await collect([a, b, c])).toEqual([c, b]);
    expect(store.allValidPaths()).toEqual([a]);
  });

  it("runs beside the work of its own process, which tells it new roots", async () => {
    using dir = new TestDirectory();
    const { lone } = fill(dir);
    using store = dir.open();
    let made: StorePath | undefined;
    const result = await store.collectGarbage({
      action: "deleteDead",
      onStep: (step) => {
        // Both become temporary roots while the collector holds its lock.
        if (step !== "paths") return;
        store.addTempRoots([lone]);
        made = store.addText("made", "meanwhile", []);
      },
    });
    expect(result.paths).not.toContain(lone);
    expect(store.allValidPaths().sort()).toEqual([lone, made ?? ""].sort());
  });

  it("says what equal files that are one save", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const text = "x".repeat(100_000);
    for (const name of ["one", "two", "three"]) store.addText(name, text, []);
    await store.optimise();
    const { savedByLinksBytes } = await store.collectGarbage({ action: "deleteDead" });
    expect(savedByLinksBytes).toBeGreaterThan(190_000);
    expect(savedByLinksBytes).toBeLessThanOrEqual(200_000);
  });
});

describe("collecting by free space", () => {
  const garbage = (dir: TestDirectory): StorePath[] => {
    using store = dir.open();
    return [1, 2, 3].map((n) => store.addText(`garbage${n}`, `${n}`.repeat(3000), []));
  };
  const valid = (store: LocalStore, paths: readonly StorePath[]): number =>
    paths.filter((path) => store.isValidPath(path)).length;

  it("begins below min-free and stops at max-free", async () => {
    using dir = new TestDirectory();
    const paths = garbage(dir);
    const free = join(dir.path, "free");
    vi.stubEnv("_NIX_TEST_FREE_SPACE_FILE", free);
    using store = LocalStore.open(dir.settings({ "min-free": "1K", "max-free": "2K" }));
    const messages: string[] = [];
    const run = async (): Promise<void> => {
      await using _ = collectWhenFull(store, { onMessage: (line) => messages.push(line) });
    };
    writeFileSync(free, "1100");
    await run();
    expect(valid(store, paths)).toBe(3);
    writeFileSync(free, "100");
    await run();
    expect(messages).toEqual(["running auto-GC to free 1948 bytes"]);
    // More than that much was freed by the first one.
    expect(valid(store, paths)).toBe(2);
    // It gave nothing back: not again.
    await run();
    expect(valid(store, paths)).toBe(2);
    vi.unstubAllEnvs();
  });

  it("refuses a size that is none, and is off unless asked for", async () => {
    using dir = new TestDirectory();
    using wrong = LocalStore.open(dir.settings({ "min-free": "much" }));
    expect(() => collectWhenFull(wrong, { onMessage: () => undefined })).toThrow(
      /'min-free' has invalid value/,
    );
    using store = dir.open();
    await using _ = collectWhenFull(store, { onMessage: () => expect.unreachable() });
  });
});

describe("locks", () => {
  it("exclude other processes and util-linux's flock", async () => {
    using dir = new TestDirectory();
    const path = join(dir.path, "x");
    const held = PathLocks.tryAcquire([path]);
    expect(held).toBeDefined();
    expect(PathLocks.tryAcquire([path])).toBeUndefined();
    const flock = (): Promise<unknown[]> => once(spawn("flock", ["-n", `${path}.lock`, "true"]), "exit");
    expect((await flock())[0]).toBe(1);
    held?.[Symbol.dispose]();
    expect((await flock())[0]).toBe(0);
  });

  it("are waited for, and waiting can be called off", async () => {
    using dir = new TestDirectory();
    const path = join(dir.path, "x");
    const first = await PathLocks.acquire([path]);
    const controller = new AbortController();
    const waits: string[] = [];
    const aborted = PathLocks.acquire([path], {
      signal: controller.signal,
      onWait: () => void waits.push("waits"),
    });
    setTimeout(() => controller.abort(), 30);
    await expect(aborted).rejects.toThrow(/abort/i);
    expect(waits).toEqual(["waits"]);
    const second = PathLocks.acquire([path]);
    // Deleted by its owner: whoever waited must not believe in the file it holds.
    first.discard();
    using _lock = await second;
    expect(existsSync(`${path}.lock`)).toBe(true);
    expect(FileLock.tryAcquire(`${path}.lock`, "exclusive")).toBeUndefined();
  });
});

describe("a kill at any moment", () => {
  it("leaves a valid store without leftovers after collection", async () => {
    using dir = new TestDirectory();
    {
      using _store = dir.open();
    }
    const work = `
      const { mkdirSync, writeFileSync } = await import("node:fs");
      say("start");
      for (let i = 0; ; i++) {
        const a = store.addText("t" + i, "text " + i + process.pid, []);
        const source = process.env.HOME + "/src-" + process.pid;
        mkdirSync(source + "/d", { recursive: true });
        for (let f = 0; f < 20; f++) writeFileSync(source + "/d/" + f, a + i + f);
        store.addPath(source, { name: "tree", method: "nar", candidates: [a] });
        if (i === 0) say("added");
      }`;
    let total = 0;
    for (let round = 0; round < 6; round++) {
      const { child, lines } = startPeer(dir, work);
      await lines.next();
      // Half of the rounds may have added nothing, on a loaded machine all of them.
      if (round % 2 === 1) await lines.next();
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 17));
      await stop(child);
      using store = dir.open();
      const result = await store.verify({ checkContents: true });
      expect(result.problems).toEqual([]);
      expect(result.forgotten).toEqual([]);
      total += store.allValidPaths().length;
      await store.collectGarbage({ action: "deleteDead", maxFreedBytes: Number.MAX_SAFE_INTEGER });
      expect(storeEntries(store)).toEqual([]);
    }
    expect(total).toBeGreaterThan(0);
    rmSync(join(dir.path, "store"), { recursive: true, force: true });
  });
});
