import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, bytesOfText, formatHash, parseHash, type ByteString } from "../../core/index.ts";
import { downloadToFile, type DownloadResult } from "../../io/index.ts";
import { debianBuilders } from "../../packages/index.ts";
import {
  deleteTree,
  StoreEndpoint,
  copyPaths,
  downstreamPlaceholder,
  dynamicPlaceholder,
  fetchClosure,
  isTransient,
  knownOutputPaths,
  localStore,
  makeFixedOutputPath,
  openStore,
  parseBuiltTarget,
  parseStorePath,
  placeTransient,
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
import {
  countRevisions,
  downloadRecordFile,
  fetchTree,
  readDownload,
  ttlMs,
  unpackArchive,
  writeDownload,
  type InputAttributes,
} from "../fetch/index.ts";
import type { SyncTask, SyncTaskReply, SyncTaskRequest, TaskEvent } from "./syncTask.ts";

const MAX_DOWNLOAD_BYTES = 8 * 2 ** 30;

export interface SyncTaskOptions {
  /** Told what is built and copied. */
  readonly onEvent?: ((event: TaskEvent) => void) | undefined;
  readonly signal: AbortSignal;
}

/** Does what a synchronous evaluation waits for. */
export async function answerSyncTask(
  request: SyncTaskRequest,
  { onEvent, signal }: SyncTaskOptions,
): Promise<SyncTaskReply> {
  try {
    const { task, evalStore, transientRoot } = request;
    const settingsOf = (store: string | undefined): StoreSettings => {
      const settings = resolveStoreSettings(process.env, { overrides: new Map(request.settings), store });
      return transientRoot !== undefined && isTransient(settings)
        ? placeTransient(settings, transientRoot)
        : settings;
    };
    const settings = settingsOf(task.kind === "realise" ? request.store : (evalStore ?? request.store));
    using store = openStore(
      task.kind === "fetchClosure" ? settingsForClosure(settings, task.fromStore) : settings,
    );
    using readBy =
      evalStore === undefined || task.kind !== "realise" ? undefined : openStore(settingsOf(evalStore));
    return await run(task, {
      store,
      settings: settings.config.raw,
      evalStore: readBy,
      isLogShown: request.isLogShown,
      onEvent,
      signal,
    });
  } catch (error) {
    if (error instanceof DevshellError)
      return {
        kind: "failed",
        code: error.code,
        exitStatus: error.exitStatus,
        message: error.message,
        hint: error.hint,
      };
    return {
      kind: "failed",
      code: undefined,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      hint: undefined,
    };
  }
}

interface TaskContext extends SyncTaskOptions {
  readonly store: Store;
  readonly settings: ReadonlyMap<string, string>;
  readonly evalStore: Store | undefined;
  readonly isLogShown: boolean | undefined;
}

async function run(task: SyncTask, context: TaskContext): Promise<SyncTaskReply> {
  switch (task.kind) {
    case "realise":
      return realiseElements(task.elements, context);
    case "fetch":
      return fetchPath(task, context);
    case "fetchTree":
      return fetchTreeInput(task, context);
    case "fetchClosure":
      return fetchClosureTask(task, context);
    case "countRevisions":
      return {
        kind: "counted",
        count: Number(await countRevisions(task.directory, task.rev, context.signal)),
      };
  }
}

async function fetchTreeInput(
  task: Extract<SyncTask, { kind: "fetchTree" }>,
  { store, settings, onEvent, signal }: TaskContext,
): Promise<SyncTaskReply> {
  const given: InputAttributes = new Map(
    task.attributes.map(([name, value]) => [name, typeof value === "number" ? BigInt(value) : value]),
  );
  const tree = await fetchTree(given, task.reference, {
    store,
    setting: (name) => settings.get(name),
    signal,
    warn: (text) => onEvent?.({ kind: "message", level: "warning", text }),
    note: (text) => onEvent?.({ kind: "message", level: "note", text }),
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
    history: tree.history,
  };
}

async function fetchClosureTask(
  { fromStore, fromPath, toPath, isInputAddressed }: Extract<SyncTask, { kind: "fetchClosure" }>,
  { store, signal }: TaskContext,
): Promise<SyncTaskReply> {
  const request = {
    fromStore,
    fromPath: parseStorePath(store.storeDir, fromPath),
    toPath: toPath === undefined ? undefined : targetOf(toPath, store),
    isInputAddressed,
  };
  return fetched(store, await fetchClosure(localStore(store, "fetch a closure"), request, signal));
}

function targetOf(toPath: ByteString, store: Store): StorePath | "" {
  return toPath === "" ? "" : parseStorePath(store.storeDir, toPath);
}

async function realiseElements(
  elements: readonly ByteString[],
  { store, evalStore, isLogShown, onEvent, signal }: TaskContext,
): Promise<SyncTaskReply> {
  const targets = elements.map((element): DerivedPath => {
    if (element.startsWith("!")) return { kind: "built", ...parseBuiltTarget(store.storeDir, element) };
    return {
      kind: "opaque",
      path: parseStorePath(store.storeDir, element.startsWith("=") ? element.slice(1) : element),
    };
  });
  const report = await realise(store, targets, {
    builtinBuilders: debianBuilders,
    evalStore,
    isLogShown,
    // What is to be done is not announced in the middle of an evaluation.
    onEvent: onEvent === undefined ? undefined : (event) => event.kind !== "plan" && onEvent(event),
    signal,
  });
  throwFailure(report);
  // Evaluation reads what it had built; we built it, so nobody need vouch for it.
  if (evalStore !== undefined)
    await copyPaths({
      source: new StoreEndpoint(store),
      target: new StoreEndpoint(evalStore),
      paths: report.results.flatMap(({ outputs }) => [...outputs.values()]),
      isRecursive: true,
      checksSignatures: false,
      signal,
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

async function fetchPath(task: FetchTask, { store, settings, signal }: TaskContext): Promise<SyncTaskReply> {
  const method = task.fetcher === "url" ? "flat" : "nar";
  const expected =
    task.sha256 === undefined || task.sha256 === "" ? undefined : parseHash(task.sha256, "sha256");
  if (expected !== undefined) {
    const path = makeFixedOutputPath(store.storeDir, task.name, { method, hash: expected });
    if (store.isValidPath(path)) return fetched(store, path);
  }
  const record = downloadRecordFile(task.fetcher, task.name, task.url);
  const isRemembered = expected === undefined && /^https?:/i.test(task.url);
  const known = isRemembered ? readDownload(record, store) : undefined;
  if (known !== undefined && Date.now() - known.atMs < ttlMs({ setting: (name) => settings.get(name) }))
    return fetched(store, known.storePath);
  const dir = mkdtempSync(join(tmpdir(), "devshell-fetch-"));
  try {
    const file = join(dir, "download");
    const web = webSettings(store.settings);
    let download: DownloadResult;
    try {
      download = await downloadToFile({
        ...web,
        url: task.url,
        file,
        hash: "sha256",
        maxBytes: MAX_DOWNLOAD_BYTES,
        etag: known?.etag,
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (known === undefined || task.fetcher !== "url" || !(error instanceof DevshellError)) throw error;
      process.stderr.write(`warning: ${error.message}; using cached version\n`);
      return fetched(store, known.storePath);
    }
    if (download.isUnchanged === true && known !== undefined) {
      writeDownload(record, { ...known, atMs: Date.now() });
      return fetched(store, known.storePath);
    }
    const source =
      task.fetcher === "url"
        ? bytesOfText(file)
        : (await unpackArchive(file, join(dir, "tree"), task.url)).tree;
    const storePath = store.addPath(source, { name: task.name, method, expectedHash: expected });
    if (isRemembered) writeDownload(record, { storePath, etag: download.etag, atMs: Date.now() });
    return fetched(store, storePath);
  } finally {
    // An archive's directories may be read-only.
    deleteTree(bytesOfText(dir));
  }
}

function fetched(store: Store, path: StorePath): SyncTaskReply {
  return { kind: "fetched", storePath: path, narHash: formatHash(store.pathInfo(path).narHash, "sri") };
}
