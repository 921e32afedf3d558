import { createHash } from "node:crypto";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeNix32, formatHash, hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/index.ts";
import type { StoreBench } from "./storeBench.ts";

export interface RegisteredPaths {
  /** Each refers only to those before it; the last needs all, and all need the first. */
  readonly paths: readonly string[];
  /** Makes the store anew, with the files. */
  restore(): void;
}

/**
 * A store of many small files, registered without being added one by one; two each have the same content.
 */
export function registerPaths(bench: StoreBench, count: number): RegisteredPaths {
  bench.clear();
  const contents = Array.from({ length: count }, (_, index) => Buffer.from(`content of ${index >> 1}\n`));
  const paths: string[] = [];
  const lines: string[] = [];
  for (const [index, content] of contents.entries()) {
    const digest = createHash("sha256").update(`${index}`).digest().subarray(0, 20);
    const path = `${bench.storeDir}/${encodeNix32(digest)}-path-${index}`;
    const references = referencesOf(index, count).map((each) => paths[each] ?? "");
    const nar = narOfBytes(content);
    paths.push(path);
    lines.push(path, formatHash(hashBytes("sha256", nar), "base16"), String(nar.length), "");
    lines.push(String(references.length), ...references);
  }
  bench.run(["nix-store", "--load-db"], { input: `${lines.join("\n")}\n`, isPeer: true });
  const kept = join(bench.place, "registered");
  cpSync(bench.stateDir, kept, { recursive: true });
  return {
    paths,
    restore: () => {
      bench.clear();
      cpSync(kept, bench.stateDir, { recursive: true });
      mkdirSync(join(bench.storeDir, ".links"), { recursive: true });
      for (const [index, content] of contents.entries())
        writeFileSync(paths[index] ?? "", content, { mode: 0o444 });
    },
  };
}

/** A binary tree with the last path on top, the first path for all, and something in between. */
function referencesOf(index: number, count: number): number[] {
  const place = count - 1 - index;
  const below = [2 * place + 1, 2 * place + 2].map((each) => count - 1 - each).filter((each) => each >= 0);
  const others = index === 0 ? [] : [0, (index * 7919) % index];
  return [...new Set([...below, ...others])];
}

export function forgetRegistered(bench: StoreBench): void {
  rmSync(join(bench.place, "registered"), { recursive: true, force: true });
  bench.clear();
}
