import { resolve } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import { narChunksAhead, restoreNar } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { standardInput, writeStandardOutput } from "../output.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --dump`: a path as a NAR; needs no store. */
export async function dump(operation: StoreOperation): Promise<number> {
  for await (const chunk of narChunksAhead(onlyPath(operation))) writeStandardOutput(chunk);
  return 0;
}

/** `nix-store --restore`: a NAR as a path; needs no store. */
export async function restore(operation: StoreOperation): Promise<number> {
  await restoreNar(onlyPath(operation), standardInput());
  return 0;
}

function onlyPath(operation: StoreOperation): string {
  switchesOf(operation, []);
  const [path, ...more] = operation.words;
  if (path === undefined || more.length > 0) throw usageError("nix-store", "only one argument allowed");
  return bytesOfText(resolve(path));
}
