import { HASH_PART_LENGTH, storePathHashPart } from "./storePath.ts";
import type { StorePath } from "../types.ts";

/** 1 for the characters of nixbase32. */
const IS_NIX32 = new Uint8Array(256);
for (const character of "0123456789abcdfghijklmnpqrsvwxyz") IS_NIX32[character.charCodeAt(0)] = 1;

const TAIL_LENGTH = HASH_PART_LENGTH - 1;

/**
 * Finds which store paths a byte stream mentions, by their 32-character digests, wherever chunks are cut.
 * A digest counts with any neighbours, as Nix counts it.
 */
export class ReferenceScanner {
  readonly #wanted = new Map<string, StorePath>();
  readonly #found = new Set<StorePath>();
  /** Two-byte prefixes of wanted digests: most candidates fail here without making a string. */
  readonly #prefixes = new Uint8Array(65536);
  readonly #seam = Buffer.alloc(2 * TAIL_LENGTH);
  #tailLength = 0;

  constructor(candidates: Iterable<StorePath>) {
    for (const path of candidates) {
      const hashPart = storePathHashPart(path);
      this.#wanted.set(hashPart, path);
      this.#prefixes[(hashPart.charCodeAt(0) << 8) | hashPart.charCodeAt(1)] = 1;
    }
  }

  /** What has been found so far. */
  get found(): ReadonlySet<StorePath> {
    return this.#found;
  }

  push(chunk: Buffer): void {
    if (this.#wanted.size === 0 || chunk.length === 0) return;
    const seam = this.#seam;
    if (this.#tailLength > 0) {
      const headLength = Math.min(TAIL_LENGTH, chunk.length);
      chunk.copy(seam, this.#tailLength, 0, headLength);
      this.#search(seam.subarray(0, this.#tailLength + headLength));
    }
    this.#search(chunk);
    this.#keepTail(chunk);
  }

  #keepTail(chunk: Buffer): void {
    const seam = this.#seam;
    if (chunk.length >= TAIL_LENGTH) {
      chunk.copy(seam, 0, chunk.length - TAIL_LENGTH);
      this.#tailLength = TAIL_LENGTH;
      return;
    }
    // The seam holds the old tail followed by this whole short chunk.
    if (this.#tailLength === 0) chunk.copy(seam, 0);
    const total = this.#tailLength + chunk.length;
    const surplus = Math.max(0, total - TAIL_LENGTH);
    seam.copyWithin(0, surplus, total);
    this.#tailLength = total - surplus;
  }

  /** Looks at every 32nd byte first and goes backward: a foreign byte rules out all windows that hold it. */
  #search(bytes: Buffer): void {
    const last = bytes.length - HASH_PART_LENGTH;
    const prefixes = this.#prefixes;
    let start = 0;
    // How many bytes from `start` on are known to be digits.
    let known = 0;
    while (start <= last) {
      let at = start + HASH_PART_LENGTH - 1;
      const stop = start + known;
      while (at >= stop && IS_NIX32[bytes[at] as number] === 1) at--;
      if (at >= stop) {
        known = start + HASH_PART_LENGTH - 1 - at;
        start = at + 1;
        continue;
      }
      if (prefixes[((bytes[start] as number) << 8) | (bytes[start + 1] as number)] === 1) {
        const path = this.#wanted.get(bytes.toString("latin1", start, start + HASH_PART_LENGTH));
        if (path !== undefined) this.#found.add(path);
      }
      start++;
      known = HASH_PART_LENGTH - 1;
    }
  }
}
