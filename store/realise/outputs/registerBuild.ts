import { lstatSync } from "node:fs";
import { rename } from "node:fs/promises";
import { DevshellError, fsPath, hashStream, type ByteString } from "../../../core/index.ts";
import { hashNar } from "../../format/nar.ts";
import { restoreNar } from "../../format/narRestore.ts";
import { signRealisation, type UnsignedRealisation } from "../../format/realisation.ts";
import { outputPathName, storePathHashPart } from "../../format/storePath.ts";
import { contentChunks, hashMismatch } from "../../local/contentHash.ts";
import { canonicalise } from "../../local/files.ts";
import { readSecretKeys } from "../../local/secretKeys.ts";
import type { ScratchOutput } from "../../local/types.ts";
import type { DerivationOutput, OutputName, StorePath, ValidPathInfo } from "../../types.ts";
import { finalPaths, hasNetwork, knownPath, type BuildRequest } from "../buildRequest.ts";
import { diffHookOf, runDiffHook } from "./diffHook.ts";
import { checkOutputs } from "./outputChecks.ts";
import type { OutputPaths } from "./outputPaths.ts";
import { hashRewrittenNar, rewrittenNar } from "./rewriteNar.ts";
import { existsAt, removeTree, type Scratch } from "../builder/scratch.ts";
import type { RealiseStore } from "../storePort.ts";

/**
 * Registers what a build left, after all checks.
 * @returns where all outputs are
 */
export async function registerOutputs(request: BuildRequest, scratch: Scratch): Promise<OutputPaths> {
  const { store, drvPath, derivation } = request;
  const paths = new Map<OutputName, StorePath>();
  /** Scratch → final paths of outputs that are there already. */
  const settled = new Map<StorePath, StorePath>();
  const outputs: ScratchOutput[] = [];
  for (const [name, output] of derivation.outputs) {
    const final = knownPath(request, name);
    // What is there shall stay: a collector may be looking.
    if (final !== undefined) store.addTempRoots([final]);
    const known = final === undefined ? undefined : store.queryPathInfo(final);
    if (known !== undefined) paths.set(name, known.path);
    if (known !== undefined && request.mode !== "repair") {
      // Only its siblings were missing.
      const told = scratch.outputs.get(name);
      if (told !== undefined) settled.set(told, known.path);
      continue;
    }
    const hostPath = scratch.hostPath(name);
    refuseOthersWriting(hostPath, name);
    const scratchPath = scratch.rewrites.size > 0 ? await rewriteInPlace(hostPath, scratch) : hostPath;
    if (known !== undefined && "path" in output) replaceOutput(request, known, scratchPath, scratch);
    else outputs.push({ name, scratchPath, target: targetOf(request, scratch, name, output) });
  }
  const infos = await register(request, scratch, outputs, settled);
  for (const [name, { path }] of infos) paths.set(name, path);
  for (const [name, output] of derivation.outputs) {
    const info = infos.get(name);
    if (info !== undefined && output.kind === "contentAddressed")
      registerRealisation(request, { drvPath, output: name, outputPath: info.path });
  }
  return new Map([...derivation.outputs.keys()].flatMap((name) => entryOf(name, paths.get(name))));
}

/** We vouch for what we built ourselves. */
export function registerRealisation({ store }: BuildRequest, realisation: UnsignedRealisation): void {
  const signatures = readSecretKeys(store.settings.config).map((key) => signRealisation(realisation, key));
  store.registerRealisation({ ...realisation, signatures });
}

async function register(
  request: BuildRequest,
  scratch: Scratch,
  outputs: readonly ScratchOutput[],
  settled: ReadonlyMap<StorePath, StorePath>,
): Promise<ReadonlyMap<OutputName, ValidPathInfo>> {
  if (outputs.length === 0) return new Map();
  const { store, drvPath, derivation, options, inputPaths, pathInfo } = request;
  const { storeDir } = store.settings;
  try {
    return await store.registerOutputs({
      outputs,
      settled,
      builderUid: scratch.builderUser?.uid,
      takenOver: scratch.takenOver,
      // A sibling that is valid already may be referred to as well.
      candidates: [...inputPaths, ...finalPaths(derivation)],
      deriver: drvPath,
      isRepair: request.mode === "repair",
      // Who had the host's network, or its files, may have handed open files to others.
      isCopied: scratch.isReachable || (request.builtin === undefined && hasNetwork(derivation)),
      discardReferences: options.unsafeDiscardReferences,
      check: (infos) => checkOutputs({ storeDir, drvPath, options, infos, pathInfo }),
    });
  } catch (error) {
    throw error instanceof DevshellError ? rejection(drvPath, error) : error;
  }
}

/** Where an output shall lie, or how that follows from what it is. */
function targetOf(
  { derivation, drvPath }: BuildRequest,
  scratch: Scratch,
  name: OutputName,
  output: DerivationOutput,
): ScratchOutput["target"] {
  switch (output.kind) {
    case "inputAddressed":
      return { kind: "path", path: output.path };
    case "fixed":
      return { kind: "fixed", path: output.path, hash: output.hash, method: output.method };
    case "contentAddressed":
    case "impure": {
      const scratchStorePath = scratch.outputs.get(name);
      if (scratchStorePath === undefined) throw new Error("unreachable");
      const pathName = outputPathName(derivation.name, name);
      const { algorithm, method } = output;
      return { kind: "contentAddressed", pathName, algorithm, method, scratchStorePath };
    }
    case "deferred":
      throw new Error(`${drvPath} was to be resolved before it is built`);
  }
}

function entryOf(name: OutputName, path: StorePath | undefined): [OutputName, StorePath][] {
  return path === undefined ? [] : [[name, path]];
}

/**
 * Compares a rebuild with what is registered.
 * @returns what was compared with
 * @throws {DevshellError} `BUILD_NOT_DETERMINISTIC`, `HASH_MISMATCH`
 */
export async function compareOutputs(request: BuildRequest, scratch: Scratch): Promise<OutputPaths> {
  const { store, drvPath, derivation } = request;
  const compared = new Map<OutputName, StorePath>();
  const rewrites = comparisonRewrites(request, scratch);
  for (const [name, output] of derivation.outputs) {
    const path = knownPath(request, name);
    const known = path === undefined ? undefined : store.queryPathInfo(path);
    if (known === undefined) continue;
    compared.set(name, known.path);
    const hostPath = scratch.hostPath(name);
    if (output.kind === "fixed") checkFixedHash(drvPath, hostPath, output);
    const hash = rewrites.size > 0 ? hashRewrittenNar(hostPath, rewrites) : hashNar(hostPath).hash;
    if (hash.digest.equals(known.narHash.digest)) continue;
    throw new DevshellError(
      "BUILD_NOT_DETERMINISTIC",
      `derivation '${drvPath}' may not be deterministic: output '${store.realPath(known.path)}' ${await keepDifference(request, scratch, known.path, name)}`,
      { exitStatus: 104 },
    );
  }
  return compared;
}

/** Leaves what differs beside the output, where someone is to look at it. @returns how it is told */
async function keepDifference(
  request: BuildRequest,
  scratch: Scratch,
  path: StorePath,
  name: OutputName,
): Promise<string> {
  const { store } = request;
  const hook = diffHookOf(store.settings.config);
  if (hook === undefined && !store.settings.config.keepFailed) return "differs";
  const kept = `${store.realPath(path)}.check`;
  await removeTree(kept);
  await restoreNar(kept, rewrittenNar(scratch.hostPath(name), comparisonRewrites(request, scratch)));
  if (hook !== undefined)
    await runDiffHook(hook, {
      request,
      before: store.realPath(path),
      after: kept,
      buildDir: scratch.buildDir,
    });
  return `differs from '${kept}'`;
}

/** Scratch digests → those of the paths that are compared with. */
function comparisonRewrites(request: BuildRequest, scratch: Scratch): ReadonlyMap<ByteString, ByteString> {
  const rewrites = new Map<ByteString, ByteString>();
  for (const [name, told] of scratch.outputs) {
    const known = knownPath(request, name);
    if (known !== undefined && known !== told)
      rewrites.set(storePathHashPart(told), storePathHashPart(known));
  }
  return rewrites;
}

function checkFixedHash(
  drvPath: StorePath,
  path: ByteString,
  { hash, method }: Extract<DerivationOutput, { kind: "fixed" }>,
): void {
  const running = hashStream(hash.algorithm);
  for (const chunk of contentChunks(path, method)) running.update(chunk);
  const actual = running.digest();
  if (!actual.digest.equals(hash.digest)) throw rejection(drvPath, hashMismatch(path, hash, actual));
}

/** Whether a path's files are what was registered. */
export function isIntact(store: RealiseStore, info: ValidPathInfo): boolean {
  const path = store.realPath(info.path);
  return existsAt(path) && hashNar(path).hash.digest.equals(info.narHash.digest);
}

/** Puts a rebuilt output in the place of a damaged one, if it is what was registered. */
function replaceOutput(
  { store, drvPath }: BuildRequest,
  known: ValidPathInfo,
  scratchPath: ByteString,
  { builderUser, takenOver }: Scratch,
): void {
  canonicalise(scratchPath, { builderUid: builderUser?.uid, takenOver });
  if (!hashNar(scratchPath).hash.digest.equals(known.narHash.digest))
    throw new DevshellError(
      "REALISE_NOT_REPAIRED",
      `cannot repair path '${known.path}': derivation '${drvPath}' may not be deterministic`,
      { exitStatus: 104 },
    );
  store.moveIntoPlace(scratchPath, known.path, true);
}

/** What the store says of an output, said of the derivation as Nix does. */
function rejection(drvPath: StorePath, error: DevshellError): DevshellError {
  const options = { hint: error.hint, cause: error, exitStatus: 100 };
  switch (error.code) {
    case "STORE_HASH_MISMATCH": {
      const hashes = error.message
        .slice(error.message.indexOf("\n"))
        .replace("  got:       ", "     got:    ");
      const message = `hash mismatch in fixed-output derivation '${drvPath}':${hashes}`;
      return new DevshellError("HASH_MISMATCH", message, { ...options, exitStatus: 102 });
    }
    case "STORE_REFERENCE_CYCLE":
      return new DevshellError(
        "OUTPUT_REJECTED",
        `cycle detected in build of '${drvPath}': ${error.message}`,
        options,
      );
    default:
      return error;
  }
}

function refuseOthersWriting(path: string, output: OutputName): void {
  const entry = lstatSync(fsPath(path));
  if (!entry.isSymbolicLink() && (entry.mode & 0o022) !== 0)
    throw new DevshellError(
      "OUTPUT_REJECTED",
      `suspicious ownership or permission on '${path}' for output '${output}'; rejecting this build output`,
    );
}

function finalRewrites(scratch: Scratch): ReadonlyMap<ByteString, ByteString> {
  return new Map([...scratch.rewrites].map(([final, temporary]) => [temporary, final]));
}

/** Copies an output with scratch digests replaced by the final ones. */
async function rewriteInPlace(path: string, scratch: Scratch): Promise<string> {
  const copy = `${path}.rewritten`;
  await removeTree(copy);
  await restoreNar(copy, rewrittenNar(path, finalRewrites(scratch)));
  await removeTree(path);
  await rename(fsPath(copy), fsPath(path));
  return path;
}
