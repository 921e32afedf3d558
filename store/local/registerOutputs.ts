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
import { formatContentAddress, type ContentAddress } from "../format/contentAddress.ts";
import { narChunks } from "../format/nar.ts";
import { signPathInfo } from "../format/narInfo.ts";
import { NarRestorer } from "../format/narRestore.ts";
import { ReferenceScanner } from "../format/references.ts";
import { HashRewriter } from "../format/rewrite.ts";
import {
  isDerivationPath,
  makeFixedOutputPath,
  sortedPaths,
  storePathHashPart,
  storePathName,
} from "../format/storePath.ts";
import type { IngestionMethod, OutputName, StorePath, ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { hashMismatch, hashWithoutSelf, contentChunks } from "./contentHash.ts";
import { canonicalise, deleteTree, entryExists } from "./files.ts";
import { readSecretKeys } from "./secretKeys.ts";
import type { RegisterOutputsRequest, ScratchOutput } from "./types.ts";

/** How much is hashed between turns of the event loop, so that progress is still shown, in bytes. */
const SLICE_BYTES = 16 << 20;

interface ScannedOutput {
  readonly output: ScratchOutput;
  /** Where it is read from: as the builder left it, or a copy. */
  readonly path: ByteString;
  readonly narHash: Hash;
  readonly narSizeBytes: number;
  /** Whether its scratch store path occurs in it. */
  readonly isNamingItself: boolean;
  /** What is recorded, with siblings and itself by their scratch store paths. */
  readonly references: readonly StorePath[];
}

interface PlannedOutput {
  readonly name: OutputName;
  readonly info: ValidPathInfo;
  /** What is moved to the path; undefined where it is valid already. */
  readonly source: ByteString | undefined;
  /** Its path was not known before. */
  readonly isFound: boolean;
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
  /** Scratch store path → final one, as far as they are settled. */
  const settled = new Map(request.settled);
  const candidates = new Set([...request.candidates, ...scratchPaths.values(), ...settled.keys()]);
  const temporary: ByteString[] = [];
  try {
    const scanned: ScannedOutput[] = [];
    for (const output of request.outputs)
      scanned.push(await readOutput(store, request, output, candidates, temporary));
    const planned: PlannedOutput[] = [];
    for (const item of siblingsFirst(scanned, scratchPaths)) {
      const plan = await planOutput(store, request, item, settled, temporary);
      settled.set(scratchStorePath(item.output), plan.info.path);
      planned.push(plan);
    }
    request.check?.(new Map(planned.map(({ name, info }) => [name, info])));
    const fresh = planned.filter(({ source }) => source !== undefined);
    // Others may find out at the same time that their outputs belong at the same path.
    const found = fresh.filter(({ isFound }) => isFound).map(({ info }) => info.path);
    using locks = found.length === 0 ? undefined : await store.lockPaths(found);
    for (const { info, source } of fresh)
      if (source !== undefined) store.moveIntoPlace(source, info.path, request.isRepair);
    const keys = readSecretKeys(store.settings.config);
    store.registerValidPaths(
      fresh.map(({ info }) => ({ ...info, signatures: keys.map((key) => signPathInfo(info, key)) })),
    );
    locks?.discard();
    return new Map(planned.map(({ name, info }) => [name, info]));
  } finally {
    for (const path of temporary) deleteTree(path);
  }
}

/** Makes what was written canonical and finds what it refers to. */
async function readOutput(
  store: StoreAccess,
  { builderUid, takenOver, isCopied = false, discardReferences }: RegisterOutputsRequest,
  output: ScratchOutput,
  candidates: Iterable<StorePath>,
  temporary: ByteString[],
): Promise<ScannedOutput> {
  const { name, scratchPath } = output;
  if (!entryExists(scratchPath))
    throw new DevshellError(
      "BUILD_OUTPUT_MISSING",
      `Cannot register output "${name}": the builder did not create "${scratchPath}"`,
    );
  canonicalise(scratchPath, { builderUid, takenOver });
  const path = isCopied ? await rewriteInto(store, scratchPath, new Map(), temporary) : scratchPath;
  const { narHash, narSizeBytes, references } = await scan(path, candidates);
  const isDiscarded = discardReferences?.has(name) === true;
  const isNamingItself = references.includes(scratchStorePath(output));
  return { output, path, narHash, narSizeBytes, isNamingItself, references: isDiscarded ? [] : references };
}

async function planOutput(
  store: StoreAccess,
  request: RegisterOutputsRequest,
  item: ScannedOutput,
  settled: ReadonlyMap<StorePath, StorePath>,
  temporary: ByteString[],
): Promise<PlannedOutput> {
  const { narHash, narSizeBytes } = item;
  const { target, name, scratchPath } = item.output;
  if (target.kind === "contentAddressed")
    return planAddressed(store, request, item, target, settled, temporary);
  // Before it is looked for: else a collector may take what was found.
  store.addTempRoots([target.path]);
  const known =
    scratchPath === store.realPath(target.path) || request.isRepair === true
      ? undefined
      : store.queryPathInfo(target.path);
  if (known !== undefined) return { name, info: known, source: undefined, isFound: false };
  const references = sortedPaths(item.references);
  const info = { ...originOf(request), path: target.path, narHash, narSizeBytes, references };
  if (target.kind === "path") return { name, info, source: item.path, isFound: false };
  checkFlatMode(item.path, target.method);
  const isTree = target.method === "nar" && target.hash.algorithm === "sha256";
  if (references.length > 0 && !isTree) throw forbiddenReferences(info, target, references);
  const actual = await hashContent(item.path, target.method, target.hash.algorithm);
  if (!actual.digest.equals(target.hash.digest)) {
    keepMismatched(store, info, item.path, { method: target.method, hash: actual });
    throw hashMismatch(target.path, target.hash, actual);
  }
  if (references.length > 0) throw forbiddenReferences(info, target, references);
  const contentAddress = formatContentAddress({ method: target.method, hash: target.hash });
  return { name, info: { ...info, contentAddress }, source: item.path, isFound: false };
}

type Origin = Pick<ValidPathInfo, "deriver" | "registrationTime" | "isUltimate" | "signatures">;

/** What is recorded of anything that was built. */
function originOf({ deriver }: RegisterOutputsRequest): Origin {
  return { deriver, registrationTime: 0, isUltimate: true, signatures: [] };
}

/** In Nix's words, which are of two places. */
function forbiddenReferences(
  { path, deriver }: Pick<ValidPathInfo, "path" | "deriver">,
  { method, hash }: ContentAddress,
  references: readonly StorePath[],
): DevshellError {
  const [first = path] = references;
  if (method === "nar" && hash.algorithm === "sha256")
    return new DevshellError(
      "STORE_REFERENCES_FORBIDDEN",
      `fixed-output derivations must not reference store paths: '${deriver ?? path}' references ${references.length} distinct paths, e.g. '${first}'`,
      { exitStatus: 102 },
    );
  return new DevshellError(
    "STORE_REFERENCES_FORBIDDEN",
    `fixed output derivation '${storePathName(path)}' is not allowed to refer to other store paths, such as '${first}'`,
    { hint: "you may need to use the 'unsafeDiscardReferences' derivation attribute" },
  );
}

/**
 * What was fetched is not lost because another hash was expected: it is kept at the path of its own, so that whoever
 * corrects the hash need not fetch it again.
 */
function keepMismatched(
  store: StoreAccess,
  info: ValidPathInfo,
  source: ByteString,
  address: ContentAddress,
): void {
  if (info.references.length > 0) return;
  const path = makeFixedOutputPath(store.storeDir, storePathName(info.path), address);
  store.addTempRoots([path]);
  // Who holds the lock is about to make the same.
  using locks = store.tryLockPaths([path]);
  if (locks === undefined) return;
  if (!store.isValidPath(path)) {
    store.moveIntoPlace(source, path);
    store.registerValidPaths([{ ...info, path, contentAddress: formatContentAddress(address) }]);
  }
  locks.discard();
}

async function planAddressed(
  store: StoreAccess,
  request: RegisterOutputsRequest,
  item: ScannedOutput,
  target: Extract<ScratchOutput["target"], { kind: "contentAddressed" }>,
  settled: ReadonlyMap<StorePath, StorePath>,
  temporary: ByteString[],
): Promise<PlannedOutput> {
  const { narHash, narSizeBytes, path: written } = item;
  const { name } = item.output;
  const self = target.scratchStorePath;
  const isSelfReferring = item.references.includes(self);
  checkFlatMode(written, target.method);
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
  const staged = rewrites.size === 0 ? written : await rewriteInto(store, written, rewrites, temporary);
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
  store.addTempRoots([path]);
  const known = request.isRepair === true ? undefined : store.queryPathInfo(path);
  if (known !== undefined) return { name, info: known, source: undefined, isFound: true };
  const selfRewrite = new Map([[storePathHashPart(self), storePathHashPart(path)]]);
  const source =
    item.isNamingItself && self !== path ? await rewriteInto(store, staged, selfRewrite, temporary) : staged;
  if (isDerivationPath(path)) store.checkDerivation(path, source);
  const digest = source === written ? { narHash, narSizeBytes } : await scan(source, []);
  const references = sortedPaths(isSelfReferring ? [...others, path] : others);
  const contentAddress = formatContentAddress({ method: target.method, hash });
  return {
    name,
    info: {
      ...originOf(request),
      path,
      narHash: digest.narHash,
      narSizeBytes: digest.narSizeBytes,
      references,
      contentAddress,
    },
    source,
    isFound: true,
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
): Promise<{ narHash: Hash; narSizeBytes: number; references: readonly StorePath[] }> {
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
      `output path '${path}' should be a non-executable regular file since recursive hashing is not enabled (one of outputHashMode={flat,text} is true)`,
      { hint: 'for a tree set `outputHashMode = "recursive"`' },
    );
}
