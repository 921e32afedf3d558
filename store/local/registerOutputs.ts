import { lstatSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  DevshellError,
  fsPath,
  hashStream,
  type ByteString,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
import { formatContentAddress } from "../format/contentAddress.ts";
import { narChunks } from "../format/nar.ts";
import { NarRestorer } from "../format/narRestore.ts";
import { ReferenceScanner } from "../format/references.ts";
import { HashRewriter } from "../format/rewrite.ts";
import { makeFixedOutputPath, sortedPaths, storePathHashPart } from "../format/storePath.ts";
import type { IngestionMethod, OutputName, StorePath, ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { hashMismatch, hashWithoutSelf, contentChunks } from "./contentHash.ts";
import { canonicalise, deleteTree, entryExists } from "./files.ts";
import type { RegisterOutputsRequest, ScratchOutput } from "./types.ts";

/** How much is hashed between turns of the event loop, so that progress is still shown, in bytes. */
const SLICE_BYTES = 16 << 20;

interface ScannedOutput {
  readonly output: ScratchOutput;
  readonly narHash: Hash;
  readonly narSizeBytes: number;
  /** With siblings and itself by their scratch store paths. */
  readonly references: readonly StorePath[];
}

interface PlannedOutput {
  readonly name: OutputName;
  readonly info: ValidPathInfo;
  /** What is moved to the path; undefined where it is valid already. */
  readonly source: ByteString | undefined;
}

/**
 * Makes what a builder wrote store paths. The caller holds the locks of the paths that are known beforehand.
 * @throws {DevshellError} `BUILD_OUTPUT_MISSING`, `STORE_HASH_MISMATCH`, `STORE_…`; then nothing is registered
 */
export async function registerOutputs(
  store: StoreAccess,
  request: RegisterOutputsRequest,
): Promise<Map<OutputName, ValidPathInfo>> {
  store.prepareToWrite();
  const scratchPaths = new Map(request.outputs.map((output) => [output.name, scratchStorePath(output)]));
  const candidates = new Set([...request.candidates, ...scratchPaths.values()]);
  const scanned: ScannedOutput[] = [];
  for (const output of request.outputs) {
    if (!entryExists(output.scratchPath))
      throw new DevshellError(
        "BUILD_OUTPUT_MISSING",
        `Cannot register output "${output.name}": the builder did not create "${output.scratchPath}"`,
      );
    canonicalise(output.scratchPath, { builderUid: request.builderUid });
    const digest = await scan(output.scratchPath, candidates);
    const references = request.discardReferences?.has(output.name) === true ? [] : digest.references;
    scanned.push({ output, narHash: digest.narHash, narSizeBytes: digest.narSizeBytes, references });
  }
  /** Scratch store path → final one, as far as they are settled. */
  const settled = new Map<StorePath, StorePath>();
  const planned: PlannedOutput[] = [];
  const temporary: ByteString[] = [];
  try {
    for (const item of siblingsFirst(scanned, scratchPaths)) {
      const plan = await planOutput(store, request, item, settled, temporary);
      settled.set(scratchStorePath(item.output), plan.info.path);
      planned.push(plan);
    }
    request.check?.(new Map(planned.map(({ name, info }) => [name, info])));
    store.addTempRoots(planned.map(({ info }) => info.path));
    for (const { info, source } of planned)
      if (source !== undefined) store.moveIntoPlace(source, info.path, request.isRepair);
    store.registerValidPaths(planned.filter(({ source }) => source !== undefined).map(({ info }) => info));
  } finally {
    for (const path of temporary) deleteTree(path);
  }
  return new Map(planned.map(({ name, info }) => [name, info]));
}

async function planOutput(
  store: StoreAccess,
  request: RegisterOutputsRequest,
  item: ScannedOutput,
  settled: ReadonlyMap<StorePath, StorePath>,
  temporary: ByteString[],
): Promise<PlannedOutput> {
  const { output, narHash, narSizeBytes } = item;
  const { target, name, scratchPath } = output;
  const base = { deriver: request.deriver, registrationTime: 0, isUltimate: true, signatures: [] };
  if (target.kind !== "contentAddressed") {
    const known =
      scratchPath === store.realPath(target.path) || request.isRepair === true
        ? undefined
        : store.queryPathInfo(target.path);
    if (known !== undefined) return { name, info: known, source: undefined };
    let contentAddress: string | undefined;
    const references = sortedPaths(item.references);
    if (target.kind === "fixed") {
      checkFlatMode(scratchPath, target.method);
      const actual = await hashContent(scratchPath, target.method, target.hash.algorithm);
      if (!actual.digest.equals(target.hash.digest)) throw hashMismatch(target.path, target.hash, actual);
      if (references.length > 0)
        throw new DevshellError(
          "STORE_REFERENCES_FORBIDDEN",
          `Cannot register fixed output "${target.path}": it refers to "${references[0]}"`,
          {
            hint: "a fixed output may not refer to other store paths; `unsafeDiscardReferences` may be needed",
          },
        );
      contentAddress = formatContentAddress({ method: target.method, hash: target.hash });
    }
    return {
      name,
      info: { ...base, path: target.path, narHash, narSizeBytes, references, contentAddress },
      source: scratchPath,
    };
  }
  const self = target.scratchStorePath;
  const isSelfReferring = item.references.includes(self);
  checkFlatMode(scratchPath, target.method);
  if (target.method === "text" && isSelfReferring)
    throw new DevshellError(
      "STORE_REFERENCES_FORBIDDEN",
      `Cannot register text output "${target.pathName}": it refers to itself`,
    );
  const rewrites = new Map<string, string>();
  for (const reference of item.references) {
    const final = settled.get(reference);
    if (final !== undefined && final !== reference)
      rewrites.set(storePathHashPart(reference), storePathHashPart(final));
  }
  const staged =
    rewrites.size === 0 ? scratchPath : await rewriteInto(store, scratchPath, rewrites, temporary);
  const hash = hashWithoutSelf(staged, target.method, target.algorithm, self);
  const others = sortedPaths(
    item.references
      .filter((reference) => reference !== self)
      .map((reference) => settled.get(reference) ?? reference),
  );
  const path = makeFixedOutputPath(store.storeDir, target.pathName, {
    method: target.method,
    hash,
    references: others,
    isSelfReferring,
  });
  const known = store.queryPathInfo(path);
  if (known !== undefined) return { name, info: known, source: undefined };
  const selfRewrite = new Map([[storePathHashPart(self), storePathHashPart(path)]]);
  const source =
    isSelfReferring && self !== path ? await rewriteInto(store, staged, selfRewrite, temporary) : staged;
  const digest = source === scratchPath ? { narHash, narSizeBytes } : await scan(source, []);
  const references = sortedPaths(isSelfReferring ? [...others, path] : others);
  const contentAddress = formatContentAddress({ method: target.method, hash });
  return {
    name,
    info: {
      ...base,
      path,
      narHash: digest.narHash,
      narSizeBytes: digest.narSizeBytes,
      references,
      contentAddress,
    },
    source,
  };
}

function scratchStorePath({ target }: ScratchOutput): StorePath {
  return target.kind === "contentAddressed" ? target.scratchStorePath : target.path;
}

/** An output's final path depends on those of the siblings it refers to. */
function siblingsFirst(
  items: readonly ScannedOutput[],
  scratchPaths: ReadonlyMap<OutputName, StorePath>,
): ScannedOutput[] {
  const byPath = new Map(items.map((item) => [scratchPaths.get(item.output.name), item]));
  const sorted: ScannedOutput[] = [];
  const open = new Set<ScannedOutput>();
  const visit = (item: ScannedOutput): void => {
    if (sorted.includes(item)) return;
    if (open.has(item))
      throw new DevshellError(
        "STORE_REFERENCE_CYCLE",
        `Cannot register output "${item.output.name}": the outputs refer to each other in a circle`,
      );
    open.add(item);
    for (const reference of item.references) {
      const sibling = byPath.get(reference);
      if (sibling !== undefined && sibling !== item) visit(sibling);
    }
    sorted.push(item);
  };
  items.forEach(visit);
  return sorted;
}

async function scan(
  path: ByteString,
  candidates: Iterable<StorePath>,
): Promise<{ narHash: Hash; narSizeBytes: number; references: StorePath[] }> {
  const running = hashStream("sha256");
  const scanner = new ReferenceScanner(candidates);
  let narSizeBytes = 0;
  let nextPause = SLICE_BYTES;
  for (const chunk of narChunks(path)) {
    running.update(chunk);
    scanner.push(chunk);
    narSizeBytes += chunk.length;
    if (narSizeBytes >= nextPause) {
      nextPause = narSizeBytes + SLICE_BYTES;
      await nextTurn();
    }
  }
  return { narHash: running.digest(), narSizeBytes, references: sortedPaths(scanner.found) };
}

async function hashContent(
  path: ByteString,
  method: IngestionMethod,
  algorithm: HashAlgorithm,
): Promise<Hash> {
  const running = hashStream(algorithm);
  let left = SLICE_BYTES;
  for (const chunk of contentChunks(path, method)) {
    running.update(chunk);
    left -= chunk.length;
    if (left > 0) continue;
    left = SLICE_BYTES;
    await nextTurn();
  }
  return running.digest();
}

async function rewriteInto(
  store: StoreAccess,
  from: ByteString,
  rewrites: ReadonlyMap<string, string>,
  temporary: ByteString[],
): Promise<ByteString> {
  const to = store.makeScratchPath();
  temporary.push(to);
  const rewriter = new HashRewriter(rewrites);
  using restorer = new NarRestorer(to, { isCanonical: true });
  for (const chunk of narChunks(from)) for (const piece of rewriter.push(chunk)) restorer.push(piece);
  for (const piece of rewriter.end()) restorer.push(piece);
  restorer.end();
  await nextTurn();
  return to;
}

/** A flat output's address knows no executable bit and no tree. */
function checkFlatMode(path: ByteString, method: IngestionMethod): void {
  if (method !== "flat" && method !== "text") return;
  const stats = lstatSync(fsPath(path));
  if (!stats.isFile() || (stats.mode & 0o100) !== 0)
    throw new DevshellError(
      "BUILD_OUTPUT_NOT_FLAT",
      `Cannot register "${path}": a flat output must be a regular file that is not executable`,
      {
        hint: 'for a tree set `outputHashMode = "recursive"`',
      },
    );
}
