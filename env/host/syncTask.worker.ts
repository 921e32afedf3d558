// A process of its own that does what a synchronous evaluation waits for: request on stdin, reply on stdout.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, bytesOfText, formatHash, parseHash, type ByteString } from "../../core/index.ts";
import { downloadToFile } from "../../io/index.ts";
import { debianBuilders } from "../../packages/index.ts";
import {
  deleteTree,
  StoreEndpoint,
  copyPaths,
  downstreamPlaceholder,
  dynamicPlaceholder,
  fetchClosure,
  knownOutputPaths,
  localStore,
  makeFixedOutputPath,
  openStore,
  parseBuiltTarget,
  parseStorePath,
  realise,
  resolveStoreSettings,
  settingsForClosure,
  throwFailure,
  webSettings,
  type DerivedPath,
  type Store,
  type StorePath,
  type StoreSettings,
} from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import { countRevisions, fetchTree, unpackArchive, type InputAttributes } from "../fetch/index.ts";
import type { SyncTask, SyncTaskReply, SyncTaskRequest } from "./syncTask.ts";

const MAX_DOWNLOAD_BYTES = 8 * 2 ** 30;
/** As Nix's `tarball-ttl`: how long an unpinned download is taken for current. */
const TTL_MS = 3600 * 1000;

await main();

async function main(): Promise<void> {
  let reply: SyncTaskReply;
  try {
    const request = JSON.parse(readFileSync(0, "utf8")) as SyncTaskRequest;
    const settingsOf = (store: string | undefined): StoreSettings =>
      resolveStoreSettings(process.env, { overrides: new Map(request.settings), store });
    const { task, evalStore } = request;
    const settings = settingsOf(task.kind === "realise" ? request.store : (evalStore ?? request.store));
    using store = openStore(
      task.kind === "fetchClosure" ? settingsForClosure(settings, task.fromStore) : settings,
    );
    using readBy =
      evalStore === undefined || task.kind !== "realise" ? undefined : openStore(settingsOf(evalStore));
    reply = await run(task, store, settings.config.raw, readBy);
  } catch (error) {
    reply =
      error instanceof DevshellError
        ? {
            kind: "failed",
            code: error.code,
            exitStatus: error.exitStatus,
            message: error.message,
            hint: error.hint,
          }
        : {
            kind: "failed",
            code: undefined,
            message: error instanceof Error ? (error.stack ?? error.message) : String(error),
            hint: undefined,
          };
  }
  process.stdout.write(JSON.stringify(reply));
}

async function run(
  task: SyncTask,
  store: Store,
  settings: ReadonlyMap<string, string>,
  evalStore: Store | undefined,
): Promise<SyncTaskReply> {
  switch (task.kind) {
    case "realise":
      return realiseElements(task.elements, store, evalStore);
    case "fetch":
      return fetchPath(task, store);
    case "fetchTree":
      return fetchTreeInput(task, store, settings);
    case "fetchClosure":
      return fetchClosureTask(task, store);
    case "countRevisions":
      return {
        kind: "counted",
        count: Number(await countRevisions(task.directory, task.rev, signalOfProcess())),
      };
  }
}

async function fetchTreeInput(
  task: Extract<SyncTask, { kind: "fetchTree" }>,
  store: Store,
  settings: ReadonlyMap<string, string>,
): Promise<SyncTaskReply> {
  const warnings: string[] = [];
  const given: InputAttributes = new Map(
    task.attributes.map(([name, value]) => [name, typeof value === "number" ? BigInt(value) : value]),
  );
  const tree = await fetchTree(given, task.reference, {
    store,
    setting: (name) => settings.get(name),
    signal: signalOfProcess(),
    warn: (message) => warnings.push(message),
    isFinal: task.isFinal,
    isLocking: task.isLocking,
  });
  return {
    kind: "fetchedTree",
    storePath: tree.storePath,
    attributes: [...tree.attributes].map(([name, value]) => [
      name,
      typeof value === "bigint" ? Number(value) : value,
    ]),
    inputs: tree.inputs,
    warnings,
    history: tree.history,
  };
}

async function fetchClosureTask(
  { fromStore, fromPath, toPath, isInputAddressed }: Extract<SyncTask, { kind: "fetchClosure" }>,
  store: Store,
): Promise<SyncTaskReply> {
  const request = {
    fromStore,
    fromPath: parseStorePath(store.storeDir, fromPath),
    toPath: toPath === undefined ? undefined : targetOf(toPath, store),
    isInputAddressed,
  };
  return fetched(store, await fetchClosure(localStore(store, "fetch a closure"), request, signalOfProcess()));
}

function targetOf(toPath: ByteString, store: Store): StorePath | "" {
  return toPath === "" ? "" : parseStorePath(store.storeDir, toPath);
}

/** Aborted when this process is told to end: the programs it runs end with it. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => controller.abort(new DevshellError("INTERRUPTED", "interrupted by the user")));
  return controller.signal;
}

async function realiseElements(
  elements: readonly ByteString[],
  store: Store,
  evalStore: Store | undefined,
): Promise<SyncTaskReply> {
  const targets = elements.map((element): DerivedPath => {
    if (element.startsWith("!")) return { kind: "built", ...parseBuiltTarget(store.storeDir, element) };
    return {
      kind: "opaque",
      path: parseStorePath(store.storeDir, element.startsWith("=") ? element.slice(1) : element),
    };
  });
  const report = await realise(store, targets, { builtinBuilders: debianBuilders, evalStore });
  throwFailure(report);
  // Evaluation reads what it had built; we built it, so nobody need vouch for it.
  if (evalStore !== undefined)
    await copyPaths({
      source: new StoreEndpoint(store),
      target: new StoreEndpoint(evalStore),
      paths: report.results.flatMap(({ outputs }) => [...outputs.values()]),
      isRecursive: true,
      checksSignatures: false,
    });
  const rewrites: [ByteString, ByteString][] = [];
  for (const { target, outputs } of report.results) {
    if (target.kind !== "built") continue;
    const { drvPath, via = [] } = target;
    const known =
      via.length === 0 ? knownOutputPaths((evalStore ?? store).readDerivation(drvPath)) : undefined;
    for (const [output, path] of outputs) {
      if (known?.get(output) !== undefined) continue;
      const placeholder =
        via.length === 0
          ? downstreamPlaceholder(drvPath, output)
          : dynamicPlaceholder(drvPath, [...via, output]);
      rewrites.push([placeholder, path]);
    }
  }
  return {
    kind: "realised",
    rewrites,
    paths: report.results.flatMap(({ outputs }) => [...outputs.values()]),
  };
}

type FetchTask = Extract<SyncTask, { kind: "fetch" }>;

async function fetchPath(task: FetchTask, store: Store): Promise<SyncTaskReply> {
  const method = task.fetcher === "url" ? "flat" : "nar";
  const expected =
    task.sha256 === undefined || task.sha256 === "" ? undefined : parseHash(task.sha256, "sha256");
  if (expected !== undefined) {
    const path = makeFixedOutputPath(store.storeDir, task.name, { method, hash: expected });
    if (store.isValidPath(path)) return fetched(store, path);
  } else {
    const recent = recentFetch(task);
    if (recent !== undefined && store.isValidPath(recent)) return fetched(store, recent);
  }
  const dir = mkdtempSync(join(tmpdir(), "devshell-fetch-"));
  try {
    const file = join(dir, "download");
    const web = webSettings(store.settings);
    await downloadToFile({ ...web, url: task.url, file, hash: "sha256", maxBytes: MAX_DOWNLOAD_BYTES });
    const source =
      task.fetcher === "url"
        ? bytesOfText(file)
        : (await unpackArchive(file, join(dir, "tree"), task.url)).tree;
    const path = store.addPath(source, { name: task.name, method, expectedHash: expected });
    if (expected === undefined) rememberFetch(task, path);
    return fetched(store, path);
  } finally {
    // An archive's directories may be read-only.
    deleteTree(bytesOfText(dir));
  }
}

function fetched(store: Store, path: StorePath): SyncTaskReply {
  return { kind: "fetched", storePath: path, narHash: formatHash(store.pathInfo(path).narHash, "sri") };
}

function fetchCacheFile(task: FetchTask): string {
  const key = createHash("sha256").update(`${task.fetcher}\0${task.name}\0${task.url}`).digest("hex");
  return join(cacheDirectory(), "fetch", key);
}

function recentFetch(task: FetchTask): StorePath | undefined {
  try {
    const { storePath, atMs } = JSON.parse(readFileSync(fetchCacheFile(task), "utf8")) as {
      storePath: StorePath;
      atMs: number;
    };
    return Date.now() - atMs < TTL_MS && task.url.startsWith("http") ? storePath : undefined;
  } catch {
    return undefined;
  }
}

function rememberFetch(task: FetchTask, storePath: StorePath): void {
  const file = fetchCacheFile(task);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, JSON.stringify({ storePath, atMs: Date.now() }));
}
