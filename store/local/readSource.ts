import type { ByteString } from "../../core/index.ts";
import { narChunks, type NarFilter } from "../format/nar.ts";
import { ReferenceScanner } from "../format/references.ts";
import { sortedPaths } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";

/** Which of the candidates a tree that is to be added mentions. */
export function scanReferences(
  path: ByteString,
  candidates: Iterable<StorePath>,
  filter: NarFilter | undefined,
): readonly StorePath[] {
  const scanner = new ReferenceScanner(candidates);
  for (const chunk of narChunks(path, { filter })) scanner.push(chunk);
  return sortedPaths(scanner.found);
}

/** A filter may be an expensive function of the language: it is asked once for each path, however often it is read. */
export function rememberAnswers(filter: NarFilter | undefined): NarFilter | undefined {
  if (filter === undefined) return undefined;
  const answers = new Map<ByteString, boolean>();
  return (path, type) => {
    let answer = answers.get(path);
    if (answer === undefined) answers.set(path, (answer = filter(path, type)));
    return answer;
  };
}
