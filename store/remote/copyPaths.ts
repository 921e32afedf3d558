import { DevshellError } from "../../core/index.ts";
import { Semaphore } from "../realise/goals/semaphore.ts";
import type { StorePath } from "../types.ts";
import { queryPaths } from "./queryPaths.ts";
import type { AddPathOptions, RemotePathInfo, RemoteStore } from "./types.ts";

export interface CopyRequest extends Omit<AddPathOptions, "onProgress"> {
  readonly source: RemoteStore;
  readonly target: RemoteStore;
  readonly paths: Iterable<StorePath>;
  /** All that the paths refer to as well. */
  readonly isRecursive: boolean;
  /** Told how many are to be copied, and of how many bytes they are on their way, before the first is. */
  readonly onPlan?: ((count: number, totalBytes: number) => void) | undefined;
  readonly onPath?: ((path: StorePath) => void) | undefined;
  readonly onCopied?: ((path: StorePath) => void) | undefined;
  readonly onProgress?: ((path: StorePath, doneBytes: number) => void) | undefined;
}

const CONCURRENT_QUERIES = 32;
const CONCURRENT_COPIES = 8;

/**
 * Copies what the target lacks, a path only after those it refers to.
 * @returns the paths copied
 * @throws {DevshellError} `STORE_PATH_NOT_VALID` where the source lacks a path, `STORE_DIRECTORY_DIFFERS`; what either
 *   store throws
 */
export async function copyPaths(request: CopyRequest): Promise<readonly StorePath[]> {
  const { source, target, paths, isRecursive, signal: given } = request;
  if (source.storeDir !== undefined && target.storeDir !== undefined && source.storeDir !== target.storeDir)
    throw new DevshellError(
      "STORE_DIRECTORY_DIFFERS",
      `Cannot copy from '${source.url}' to '${target.url}': its paths are in "${source.storeDir}", not in "${target.storeDir}"`,
    );
  const infos = await queryPaths(source, paths, { isRecursive, signal: given });
  const missing = await findMissing(request, [...infos.keys()]);
  if (missing.length === 0) return missing;
  request.onPlan?.(missing.length, totalBytesOf(missing, infos));
  const stop = new AbortController();
  const signal = given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]);
  const copies = new Map<StorePath, Promise<void>>();
  const slots = new Semaphore(CONCURRENT_COPIES);
  const wanted = new Set(missing);
  for (const path of referencesFirst(missing, infos)) {
    const info = infos.get(path)!;
    const before = info.references.flatMap((reference) =>
      reference !== path && wanted.has(reference) ? [copies.get(reference)!] : [],
    );
    const copy = Promise.all(before)
      .then(() => slots.run(() => copyOne({ ...request, signal }, info), signal))
      .catch((error: unknown) => {
        // The first failure is the one that is told.
        stop.abort(error);
        throw error;
      });
    copy.catch(() => undefined);
    copies.set(path, copy);
  }
  await Promise.allSettled(copies.values());
  given?.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason as Error;
  return missing;
}

async function copyOne(request: CopyRequest, info: RemotePathInfo): Promise<void> {
  const { source, target, signal, onRetry, isRepair, checksSignatures } = request;
  const { path } = info;
  request.onPath?.(path);
  const download = await source.openNar(info, {
    signal,
    onRetry,
    onProgress: request.onProgress && ((doneBytes) => request.onProgress?.(path, doneBytes)),
  });
  const { narFile: _, ...incoming } = info;
  try {
    await target.addPath({ ...incoming, isUltimate: false }, download.nar, {
      signal,
      onRetry,
      isRepair,
      checksSignatures,
    });
  } catch (error) {
    // What passed its own checks yet is not what was promised is of no use to the next run.
    if (signal?.aborted !== true) await download.discard();
    throw error;
  }
  await download.discard();
  request.onCopied?.(path);
}

function totalBytesOf(paths: readonly StorePath[], infos: ReadonlyMap<StorePath, RemotePathInfo>): number {
  return paths.reduce((sum, path) => {
    const info = infos.get(path);
    return sum + (info?.narFile?.sizeBytes ?? info?.narSizeBytes ?? 0);
  }, 0);
}

async function findMissing(request: CopyRequest, paths: readonly StorePath[]): Promise<StorePath[]> {
  if (request.isRepair === true) return [...paths];
  const { target, signal } = request;
  if (target.queryValidPaths !== undefined) {
    const there = await target.queryValidPaths(paths, { signal });
    return paths.filter((path) => !there.has(path));
  }
  if (target.queryNow !== undefined) return paths.filter((path) => target.queryNow?.(path) === undefined);
  const slots = new Semaphore(CONCURRENT_QUERIES);
  const has = await Promise.all(
    paths.map((path) => slots.run(async () => (await target.query(path, signal)) !== undefined, signal)),
  );
  return paths.filter((_, index) => has[index] !== true);
}

/** @throws {DevshellError} `STORE_REFERENCE_CYCLE`: what only a broken or hostile store says */
export function referencesFirst(
  paths: readonly StorePath[],
  infos: ReadonlyMap<StorePath, RemotePathInfo>,
): readonly StorePath[] {
  const wanted = new Set(paths);
  const sorted = new Set<StorePath>();
  const open = new Set<StorePath>();
  const stack = paths.toReversed().map((path) => ({ path, isLeft: false }));
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { path, isLeft } = item;
    if (isLeft) {
      open.delete(path);
      sorted.add(path);
      continue;
    }
    if (sorted.has(path)) continue;
    if (open.has(path))
      throw new DevshellError("STORE_REFERENCE_CYCLE", `cycle detected in the references of '${path}'`);
    open.add(path);
    stack.push({ path, isLeft: true });
    for (const reference of infos.get(path)?.references ?? [])
      if (reference !== path && wanted.has(reference) && !sorted.has(reference))
        stack.push({ path: reference, isLeft: false });
  }
  return [...sorted];
}
