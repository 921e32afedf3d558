import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { hashStream } from "../../../core/index.ts";
import { formatContentAddress } from "../../format/contentAddress.ts";
import { HashRewriter } from "../../format/rewrite.ts";
import {
  makeFixedOutputPath,
  sortedPaths,
  storePathHashPart,
  storePathName,
} from "../../format/storePath.ts";
import type { IncomingPathInfo } from "../../local/types.ts";
import type { StorePath } from "../../types.ts";

/** Where store objects are read from: a store of this machine or a binary cache. */
export interface ObjectSource {
  readonly storeDir: string;
  /** @throws where it lacks the path */
  references(path: StorePath): Promise<readonly StorePath[]>;
  nar(path: StorePath): Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>>;
}

/** What rewritten objects are added to. */
export interface ObjectTarget {
  addToStoreFromStream(info: IncomingPathInfo, source: AsyncIterable<Uint8Array>): Promise<unknown>;
}

/**
 * Copies store objects with all they refer to, each under the path that follows from its content; references to the
 * old paths become ones to the new.
 * @returns old path → new path, for the whole closure
 */
export async function makeContentAddressed(
  source: ObjectSource,
  target: ObjectTarget,
  roots: Iterable<StorePath>,
  onRewrite?: (from: StorePath, to: StorePath) => void,
): Promise<ReadonlyMap<StorePath, StorePath>> {
  const settled = new Map<StorePath, StorePath>();
  const scratch = await mkdtemp(join(tmpdir(), "devshell-ca-"));
  try {
    for (const [path, references] of await referencesFirst(source, roots)) {
      const info = await rewriteObject(source, target, path, references, settled, join(scratch, "nar"));
      settled.set(path, info);
      onRewrite?.(path, info);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return settled;
}

/** The closure, what is referred to before what refers to it. */
async function referencesFirst(
  source: ObjectSource,
  roots: Iterable<StorePath>,
): Promise<ReadonlyMap<StorePath, readonly StorePath[]>> {
  const known = new Map<StorePath, readonly StorePath[]>();
  const sorted = new Map<StorePath, readonly StorePath[]>();
  const stack = [...roots].map((path) => ({ path, isLeft: false }));
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { path, isLeft } = item;
    if (isLeft) {
      sorted.set(path, known.get(path) ?? []);
      continue;
    }
    if (known.has(path)) continue;
    const references = await source.references(path);
    known.set(path, references);
    stack.push({ path, isLeft: true });
    for (const reference of references)
      if (reference !== path && !known.has(reference)) stack.push({ path: reference, isLeft: false });
  }
  return sorted;
}

async function rewriteObject(
  source: ObjectSource,
  target: ObjectTarget,
  path: StorePath,
  references: readonly StorePath[],
  settled: ReadonlyMap<StorePath, StorePath>,
  file: string,
): Promise<StorePath> {
  const others = new Map<string, string>();
  for (const reference of references) {
    const final = settled.get(reference);
    if (reference !== path && final !== undefined && final !== reference) others.set(reference, final);
  }
  // Twice over the whole object, since its path follows from all of it and may stand in it.
  await pipeline(rewritten(await source.nar(path), new HashRewriter(others)), createWriteStream(file));
  const oldHashPart = storePathHashPart(path);
  const zeros = new HashRewriter(new Map([[oldHashPart, "\0".repeat(oldHashPart.length)]]));
  const running = hashStream("sha256");
  for await (const piece of rewritten(createReadStream(file), zeros)) running.update(piece);
  for (const offset of zeros.offsets) running.update(Buffer.from(`|${offset}`));
  const hash = running.digest();
  const isSelfReferring = references.includes(path);
  const finals = references
    .filter((reference) => reference !== path)
    .map((reference) => settled.get(reference) ?? reference);
  const final = makeFixedOutputPath(source.storeDir, storePathName(path), {
    method: "nar",
    hash,
    references: sortedPaths(finals),
    isSelfReferring,
  });
  const withSelf = (): AsyncIterable<Uint8Array> =>
    rewritten(createReadStream(file), new HashRewriter(new Map([[oldHashPart, storePathHashPart(final)]])));
  const narHash = hashStream("sha256");
  let narSizeBytes = 0;
  for await (const piece of withSelf()) {
    narHash.update(piece);
    narSizeBytes += piece.length;
  }
  await target.addToStoreFromStream(
    {
      path: final,
      narHash: narHash.digest(),
      narSizeBytes,
      references: sortedPaths(isSelfReferring ? [...finals, final] : finals),
      contentAddress: formatContentAddress({ method: "nar", hash }),
    },
    withSelf(),
  );
  return final;
}

async function* rewritten(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  rewriter: HashRewriter,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield* rewriter.push(chunk);
  yield* rewriter.end();
}
