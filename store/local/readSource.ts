import { readFileSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { narChunks, narOfBytes, type NarFilter } from "../format/nar.ts";
import { NarRestorer } from "../format/narRestore.ts";
import { ReferenceScanner } from "../format/references.ts";
import { sortedPaths } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";

export function restoreAll(target: ByteString, chunks: Iterable<Buffer>): void {
  using restorer = new NarRestorer(target, { isCanonical: true });
  for (const chunk of chunks) restorer.push(chunk);
  restorer.end();
}

export function copyInto(
  scratch: ByteString,
  source: ByteString,
  method: "nar" | "flat",
  filter: NarFilter | undefined,
): void {
  if (method === "nar") {
    restoreAll(scratch, narChunks(source, { filter }));
    return;
  }
  // A flat file's address knows no executable bit: it is stored without.
  let bytes: Buffer;
  try {
    bytes = readFileSync(fsPath(source));
  } catch (error) {
    throw new DevshellError("STORE_READ_FAILED", `Cannot read "${source}": ${(error as Error).message}`, {
      cause: error,
    });
  }
  restoreAll(scratch, [narOfBytes(bytes)]);
}

export function scanReferences(
  path: ByteString,
  candidates: Iterable<StorePath>,
  filter: NarFilter | undefined,
): StorePath[] {
  const scanner = new ReferenceScanner(candidates);
  for (const chunk of narChunks(path, { filter })) scanner.push(chunk);
  return sortedPaths(scanner.found);
}

/** A filter may be an expensive function of the language: it is asked once for each path, though the tree is read twice. */
export function rememberAnswers(filter: NarFilter | undefined): NarFilter | undefined {
  if (filter === undefined) return undefined;
  const answers = new Map<ByteString, boolean>();
  return (path, type) => {
    let answer = answers.get(path);
    if (answer === undefined) answers.set(path, (answer = filter(path, type)));
    return answer;
  };
}
