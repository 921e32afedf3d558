import { basename, resolve } from "node:path";
import { bytesOfText, parseHash } from "../../../core/index.ts";
import { makeFixedOutputPath } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { algorithmOf } from "../nixHash.ts";
import { printLine } from "../output.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --add`: copies trees into the store. */
export function addPaths(operation: StoreOperation): number {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  for (const word of operation.words) {
    const path = resolve(word);
    printLine(context.store.addPath(bytesOfText(path), { name: basename(path), method: "nar" }));
  }
  return 0;
}

/** `nix-store --add-fixed [--recursive] ALGORITHM PATH…`: as the output of a fixed-output derivation. */
export function addFixed(operation: StoreOperation): number {
  const method = switchesOf(operation, ["--recursive"]).has("--recursive") ? "nar" : "flat";
  const [name, ...words] = operation.words;
  if (name === undefined) throw usageError("nix-store", "first argument must be hash algorithm");
  const algorithm = algorithmOf(name);
  using context = openContext(operation.flags);
  for (const word of words) {
    const path = resolve(word);
    printLine(context.store.addPath(bytesOfText(path), { name: basename(path), method, algorithm }));
  }
  return 0;
}

/** `nix-store --print-fixed-path [--recursive] ALGORITHM HASH NAME`. */
export function printFixedPath(operation: StoreOperation): number {
  const method = switchesOf(operation, ["--recursive"]).has("--recursive") ? "nar" : "flat";
  const [algorithm, hash, name, ...more] = operation.words;
  if (algorithm === undefined || hash === undefined || name === undefined || more.length > 0)
    throw usageError("nix-store", "'--print-fixed-path' requires three arguments");
  using context = openContext(operation.flags);
  printLine(
    makeFixedOutputPath(context.settings.storeDir, name, {
      method,
      hash: parseHash(hash, algorithmOf(algorithm)),
      references: [],
    }),
  );
  return 0;
}
