import { lstatSync } from "node:fs";
import { rename } from "node:fs/promises";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { hashNar } from "../format/nar.ts";
import { restoreNar } from "../format/narRestore.ts";
import { canonicalise } from "../local/files.ts";
import type { ScratchOutput } from "../local/types.ts";
import type { OutputName, StorePath, ValidPathInfo } from "../types.ts";
import { finalPaths, type BuildRequest } from "./buildRequest.ts";
import { checkOutputs } from "./outputChecks.ts";
import { hashRewrittenNar, rewrittenNar } from "./rewriteNar.ts";
import { existsAt, removeTree, type Scratch } from "./scratch.ts";
import type { RealiseStore } from "./storePort.ts";

/** Registers what a build left, after all checks. */
export async function registerOutputs(request: BuildRequest, scratch: Scratch): Promise<void> {
  const { store, drvPath, derivation, options, inputPaths, pathInfo } = request;
  const outputs: ScratchOutput[] = [];
  for (const [name, output] of derivation.outputs) {
    if (!("path" in output)) continue;
    const known = store.queryPathInfo(output.path);
    if (known !== undefined && request.mode !== "repair") continue; // only its siblings were missing
    const hostPath = scratch.hostPath(name);
    refuseOthersWriting(hostPath, name);
    const scratchPath = scratch.rewrites.size > 0 ? await rewriteInPlace(hostPath, scratch) : hostPath;
    if (known !== undefined) {
      replaceOutput(request, known, scratchPath);
      continue;
    }
    outputs.push({
      name,
      scratchPath,
      target:
        output.kind === "fixed"
          ? { kind: "fixed", path: output.path, hash: output.hash, method: output.method }
          : { kind: "path", path: output.path },
    });
  }
  if (outputs.length === 0) return;
  try {
    await store.registerOutputs({
      outputs,
      // A sibling that is valid already may be referred to as well.
      candidates: [...inputPaths, ...finalPaths(derivation)],
      deriver: drvPath,
      discardReferences: options.unsafeDiscardReferences,
      check: (infos) =>
        checkOutputs({ storeDir: store.settings.storeDir, drvPath, options, infos, pathInfo }),
    });
  } catch (error) {
    throw error instanceof DevshellError ? rejection(drvPath, error) : error;
  }
}

/**
 * Compares a rebuild with what is registered.
 * @throws {DevshellError} `BUILD_NOT_DETERMINISTIC`
 */
export async function compareOutputs(request: BuildRequest, scratch: Scratch): Promise<void> {
  const { store, drvPath, derivation } = request;
  for (const [name, output] of derivation.outputs) {
    if (!("path" in output)) continue;
    const known = store.queryPathInfo(output.path);
    if (known === undefined) continue;
    const hostPath = scratch.hostPath(name);
    const hash =
      scratch.rewrites.size > 0 ? hashRewrittenNar(hostPath, finalRewrites(scratch)) : hashNar(hostPath).hash;
    if (hash.digest.equals(known.narHash.digest)) continue;
    let differs = "differs";
    if (store.settings.config.keepFailed) {
      const kept = `${store.realPath(output.path)}.check`;
      await removeTree(kept);
      await restoreNar(kept, rewrittenNar(hostPath, finalRewrites(scratch)));
      differs = `differs from '${kept}'`;
    }
    throw new DevshellError(
      "BUILD_NOT_DETERMINISTIC",
      `derivation '${drvPath}' may not be deterministic: output '${output.path}' ${differs}`,
      { exitStatus: 104 },
    );
  }
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
): void {
  canonicalise(scratchPath);
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
    case "STORE_REFERENCES_FORBIDDEN": {
      const message = `fixed-output derivations must not reference store paths: '${drvPath}': ${error.message}`;
      return new DevshellError("OUTPUT_REJECTED", message, { ...options, exitStatus: 102 });
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
