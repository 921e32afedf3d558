// The states of a folder's environment, with real files, watchers and runs of a program that speaks the protocol.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WorkspaceFolder } from "vscode";
import type { EnvironmentReport } from "../../cli/protocol/types.ts";
import { runProcess } from "../../vscode-extension/src/cli/cliProcess.ts";
import { FolderLoader, type FolderPolicy } from "../../vscode-extension/src/environment/folderEnvironment.ts";
import { InputWatchers } from "../../vscode-extension/src/environment/inputWatchers.ts";
import { loadReport } from "../../vscode-extension/src/cli/loadReport.ts";
import type { FolderEnvironment } from "../../vscode-extension/src/model.ts";
import { createReportCache, type ReportCache } from "../../vscode-extension/src/environment/reportCache.ts";
import { RunQueue } from "../../vscode-extension/src/cli/runQueue.ts";

const STUB = resolve(import.meta.dirname, "fixtures/stub-devshell.mjs");

let directory: string;
let cache: ReportCache;
let watchers: InputWatchers;
let policy: FolderPolicy;
let loaders: FolderLoader[];
let logged: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devshell-folder-"));
  cache = createReportCache(mkdtempSync(join(tmpdir(), "devshell-storage-")));
  watchers = new InputWatchers({ debounceMs: 50 });
  policy = { kind: "allowed", selection: [], timeoutMs: 30_000 };
  loaders = [];
  logged = [];
});

afterEach(() => {
  for (const loader of loaders) loader.dispose();
  expect(watchers.size).toBe(0);
  watchers.dispose();
  rmSync(directory, { recursive: true });
});

interface Seen {
  readonly loader: FolderLoader;
  /** The states that were told of, without repetition. */
  readonly states: string[];
  /** What was put in use: ids, `-` for none. */
  readonly applied: string[];
  readonly environment: FolderEnvironment;
}

function open(queue = new RunQueue(2)): Seen {
  const folder = { name: "project", index: 0, uri: { fsPath: directory } } as WorkspaceFolder;
  const states: string[] = [];
  const applied: string[] = [];
  const loader = new FolderLoader(folder, {
    policy: () => policy,
    load: (request, { signal }) =>
      queue.run(() => loadReport({ run: runStub }, { folder, ...request }, { signal }), { signal }),
    cached: (selection) => cache.read("project", selection),
    keep: (selection, report) =>
      void (report === undefined
        ? cache.remove("project", selection)
        : cache.write("project", selection, report)),
    watch: (paths, onChange, sinceMs) => watchers.watch(paths, onChange, sinceMs),
    notices: (report) => report.warnings,
    changed: ({ state, report }, previous) => {
      if (states.at(-1) !== state.kind) states.push(state.kind);
      if (report !== previous) applied.push(report?.id ?? "-");
    },
    log: (level, message) => logged.push(`${level} ${message}`),
  });
  loaders.push(loader);
  return {
    loader,
    states,
    applied,
    get environment() {
      return loader.environment;
    },
  };
}

type Run = Parameters<Parameters<typeof loadReport>[0]["run"]>[0];

function runStub({ args, signal, timeoutMs, onLine }: Run) {
  return runProcess({
    program: STUB,
    args,
    directory,
    environment: { PATH: process.env["PATH"] ?? "" },
    signal,
    timeoutMs,
    onLine,
  });
}

function plan(value: object): void {
  writeFileSync(join(directory, "plan.json"), JSON.stringify(value));
}

function runs(): readonly { readonly args: readonly string[] }[] {
  try {
    const lines = readFileSync(join(directory, "runs.log"), "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line) as { readonly args: readonly string[] });
  } catch {
    return [];
  }
}

async function settled(seen: Seen, kind: string, count?: number): Promise<void> {
  const now = (): unknown => [seen.environment.state.kind, count === undefined ? undefined : runs().length];
  await expect.poll(now, { timeout: 20_000 }).toEqual([kind, count]);
}

const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 400));

async function keepCached(change: Partial<EnvironmentReport> = {}): Promise<void> {
  const seen = open();
  seen.loader.start();
  await settled(seen, "ready");
  const { report } = seen.environment;
  if (report !== undefined) await cache.write("project", [], { ...report, ...change });
  seen.loader.dispose();
  loaders = [];
  rmSync(join(directory, "runs.log"));
}

describe("without a cached report", () => {
  test("loading, then ready, by one run", async () => {
    plan({ id: "a", warnings: ["careful"] });
    const seen = open();
    seen.loader.start();
    expect(seen.environment).toMatchObject({ state: { kind: "loading" }, isFromCache: false });
    await settled(seen, "ready");
    await quiet();
    expect(seen).toMatchObject({ states: ["loading", "ready"], applied: ["a"] });
    expect(seen.environment.notices).toEqual(["careful"]);
    expect(runs().map(({ args }) => args)).toEqual([["watch", "--json", "--once"]]);
  });

  test("no spec: none, until there is one", async () => {
    const seen = open();
    seen.loader.start();
    await settled(seen, "none", 1);
    plan({ id: "a" });
    await settled(seen, "ready", 2);
    rmSync(join(directory, "plan.json"));
    await settled(seen, "none", 3);
    expect(seen.applied).toEqual(["a", "-"]);
    expect(cache.read("project", [])).toBeUndefined();
  });

  test("shows progress", async () => {
    plan({ id: "a", progress: ["gcc (1 of 2)"], delayMs: 300 });
    const seen = open();
    seen.loader.start();
    await expect
      .poll(() => seen.environment.state)
      .toMatchObject({
        kind: "loading",
        progress: { stage: "realise", text: "gcc (1 of 2)" },
      });
    await settled(seen, "ready", 1);
  });
});

describe("with a cached report", () => {
  test("in use at once; confirmed by one run, which changes nothing but the state", async () => {
    plan({ id: "a" });
    await keepCached();
    const seen = open();
    seen.loader.start();
    const { report } = seen.environment;
    expect(seen.environment).toMatchObject({
      state: { kind: "ready" },
      isFromCache: true,
      report: { id: "a" },
    });
    expect(runs()).toEqual([]);
    await expect.poll(() => seen.environment.isFromCache, { timeout: 20_000 }).toBe(false);
    await quiet();
    expect(seen).toMatchObject({ states: ["ready"], applied: ["a"] });
    expect(seen.environment.report).toBe(report);
    expect(runs()).toHaveLength(1);
  });

  test("that is outdated: the new one replaces it, and is kept", async () => {
    plan({ id: "b", progress: ["gcc"] });
    await keepCached({ id: "a" });
    const seen = open();
    seen.loader.start();
    await expect.poll(() => seen.applied, { timeout: 20_000 }).toEqual(["a", "b"]);
    expect(seen.states).toEqual(["ready", "stale", "ready"]);
    await expect.poll(() => cache.read("project", [])?.id).toBe("b");
  });

  test("the spec is broken meanwhile: it stays in use", async () => {
    plan({ id: "a" });
    await keepCached();
    plan({ state: "failed" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "failed", 1);
    expect(seen.environment).toMatchObject({ report: { id: "a" }, isFromCache: true });
    expect(cache.read("project", [])?.id).toBe("a");
  });
});

describe("an input's change", () => {
  test("stale, then ready; a save without change is no event but of state", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "b" });
    await settled(seen, "ready", 2);
    const { report } = seen.environment;
    plan({ id: "b" });
    await settled(seen, "ready", 3);
    expect(seen.states).toEqual(["loading", "ready", "stale", "ready", "stale", "ready"]);
    expect(seen.applied).toEqual(["a", "b"]);
    expect(seen.environment.report).toBe(report);
  });

  test("during a run: one run more, after it", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "b", delayMs: 600 });
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(2);
    for (let index = 0; index < 3; index++) {
      plan({ id: "c", delayMs: 1 + index });
      await new Promise((done) => setTimeout(done, 80));
    }
    await expect.poll(() => seen.applied.at(-1), { timeout: 20_000 }).toBe("c");
    await quiet();
    expect(runs()).toHaveLength(3);
  });

  test("a broken spec keeps the old environment; the mend recovers", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({
      state: "failed",
      error: { message: "Cannot parse", position: { path: "/x", line: 3, column: 1 } },
    });
    await settled(seen, "failed", 2);
    expect(seen.environment.state).toMatchObject({ isCancelled: false, error: { position: { line: 3 } } });
    expect(seen.environment.report?.id).toBe("a");
    plan({ id: "a" });
    await settled(seen, "ready", 3);
    expect(seen.applied).toEqual(["a"]);
  });

  test("a spec that is broken from the start recovers by its mend, too", async () => {
    plan({ state: "failed" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "failed", 1);
    plan({ id: "a" });
    await settled(seen, "ready", 2);
  });

  test("another list of inputs is followed, though the environment is the same", async () => {
    const other = join(directory, "other");
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "a", watch: [join(directory, "plan.json"), other] });
    await settled(seen, "ready", 2);
    await quiet();
    writeFileSync(other, "x");
    await settled(seen, "ready", 3);
    expect(cache.read("project", [])?.watch).toContain(other);
  });

  test("an input that each run changes is no endless loop at full speed", async () => {
    plan({ id: "a", watch: [join(directory, "runs.log")] });
    const seen = open();
    seen.loader.start();
    await expect
      .poll(() => logged.some((line) => line.includes("again and again")), { timeout: 20_000 })
      .toBe(true);
    const count = runs().length;
    expect(count).toBeLessThan(12);
    await quiet();
    await quiet();
    expect(runs().length).toBe(count);
    expect(seen.applied).toEqual(["a"]);
  });
});

describe("a run", () => {
  test("that hangs can be cancelled, deaf as it may be; the next one is as ever", async () => {
    plan({ hang: true, ignoreTerm: true });
    const seen = open();
    seen.loader.start();
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(1);
    seen.loader.cancel();
    await settled(seen, "failed", 1);
    expect(seen.environment.state).toMatchObject({ isCancelled: true, error: { code: "CLI_CANCELLED" } });
    plan({ id: "a" });
    await seen.loader.reload();
    expect(seen).toMatchObject({ states: ["loading", "failed", "loading", "ready"], applied: ["a"] });
  });

  test("that takes too long", async () => {
    plan({ hang: true });
    policy = { ...policy, timeoutMs: 700 };
    const seen = open();
    seen.loader.start();
    await settled(seen, "failed", 1);
    expect(seen.environment.state).toMatchObject({ isCancelled: false, error: { code: "CLI_TIMEOUT" } });
  });

  test("that waits for its turn can be cancelled", async () => {
    const queue = new RunQueue(0);
    const seen = open(queue);
    seen.loader.start();
    seen.loader.cancel();
    await settled(seen, "failed");
    expect(seen.environment.state).toMatchObject({ isCancelled: true });
    expect(runs()).toEqual([]);
  });

  test.each([
    ["another protocol", { protocol: 2 }, "speaks protocol 2"],
    ["no report", { state: "ready", variables: [{ name: 1 }] }, "no report"],
  ])("that speaks of %s", async (_, value, message) => {
    plan(value);
    const seen = open();
    seen.loader.start();
    await settled(seen, "failed", 1);
    expect(seen.environment.state).toMatchObject({
      error: { code: "CLI_PROTOCOL", message: expect.stringContaining(message) },
    });
  });

  test("two reloads during one run are one more", async () => {
    plan({ id: "a", delayMs: 200 });
    const seen = open();
    seen.loader.start();
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(1);
    await Promise.all([seen.loader.reload(), seen.loader.reload()]);
    expect(runs()).toHaveLength(2);
    expect(seen.environment.state.kind).toBe("ready");
  });
});

describe("policy", () => {
  test("untrusted: nothing is run or used, cached or not; trust loads", async () => {
    plan({ id: "a" });
    await keepCached();
    policy = { ...policy, kind: "untrusted" };
    const seen = open();
    seen.loader.start();
    await seen.loader.reload();
    await quiet();
    expect(seen.environment).toMatchObject({ state: { kind: "untrusted" }, report: undefined });
    expect(runs()).toEqual([]);
    policy = { ...policy, kind: "allowed" };
    seen.loader.start();
    await settled(seen, "ready");
    expect(seen.environment.report?.id).toBe("a");
  });

  test("disabled: taken away, even during a run; no change is followed until it is enabled", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "b", delayMs: 300 });
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(2);
    policy = { ...policy, kind: "disabled" };
    seen.loader.start();
    expect(seen.environment).toMatchObject({ state: { kind: "disabled" }, report: undefined });
    plan({ id: "c" });
    await quiet();
    expect(seen.environment.state.kind).toBe("disabled");
    expect(runs()).toHaveLength(2);
    policy = { ...policy, kind: "allowed" };
    seen.loader.start();
    await expect.poll(() => seen.applied, { timeout: 20_000 }).toEqual(["a", "-", "a", "c"]);
  });

  test("another selection during a run: only its own result counts", async () => {
    plan({ id: "a", delayMs: 400 });
    const seen = open();
    seen.loader.start();
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(1);
    policy = { ...policy, selection: ["-A", "pan"] };
    plan({ id: "pan" });
    seen.loader.start();
    await settled(seen, "ready");
    expect(seen).toMatchObject({ applied: ["pan"] });
    expect(seen.environment.selection).toEqual(["-A", "pan"]);
    expect(runs().map(({ args }) => args.slice(3))).toEqual([[], ["-A", "pan"]]);
    expect(cache.read("project", ["-A", "pan"])?.id).toBe("pan");
    expect(cache.read("project", [])).toBeUndefined();
  });

  test("a selection that nothing was started for yet is not mixed up with the one in use", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "a", delayMs: 300 });
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(2);
    plan({ id: "pan" });
    policy = { ...policy, selection: ["-A", "pan"] };
    await seen.loader.reload();
    expect(seen.environment).toMatchObject({ report: { id: "pan" }, selection: ["-A", "pan"] });
    expect(seen.applied).toEqual(["a", "-", "pan"]);
    expect(cache.read("project", [])?.id).toBe("a");
  });

  test("the end of what was started is awaited without another run", async () => {
    plan({ id: "a", delayMs: 100 });
    const seen = open();
    seen.loader.start();
    await seen.loader.settled();
    expect(seen).toMatchObject({ states: ["loading", "ready"], applied: ["a"] });
    expect(runs()).toHaveLength(1);
  });

  test("a window that closes keeps what is in use, and says and does nothing more", async () => {
    plan({ id: "a" });
    const seen = open();
    seen.loader.start();
    await settled(seen, "ready", 1);
    plan({ id: "b", delayMs: 300 });
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(2);
    const { length } = logged;
    seen.loader.close();
    plan({ id: "c" });
    await seen.loader.settled();
    await quiet();
    expect(seen).toMatchObject({ states: ["loading", "ready", "stale"], applied: ["a"] });
    expect(logged).toHaveLength(length);
    expect(runs()).toHaveLength(2);
    expect(watchers.size).toBe(0);
  });

  test("a folder that is closed during a run is told of no more", async () => {
    plan({ id: "a", delayMs: 300 });
    const seen = open();
    seen.loader.start();
    await expect.poll(() => runs().length, { timeout: 20_000 }).toBe(1);
    seen.loader.dispose();
    const { length } = seen.states;
    await quiet();
    expect(seen.states).toHaveLength(length);
    expect(seen.applied).toEqual([]);
  });
});
