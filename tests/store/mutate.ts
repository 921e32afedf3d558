/** Numbers from a seed, so that what failed can be had again (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  of<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }
}

const EDGES = [0n, 1n, 2n, 7n, 8n, 255n, 1n << 20n, 1n << 24n, (1n << 31n) - 1n, 1n << 32n, 1n << 53n];
const LARGEST = (1n << 64n) - 1n;

/**
 * Bytes with a few faults: flipped bits, numbers at the edges of what they may be, pieces that are missing, twice there
 * or random; sometimes cut.
 * @param words numbers that mean something to the reader
 */
export function mutate(bytes: Buffer, random: Random, words: readonly number[] = []): Buffer {
  let mutated: Buffer = Buffer.from(bytes);
  for (let count = random.below(4); count > 0; count--) mutated = mutateOnce(mutated, random, words);
  return mutated;
}

function mutateOnce(bytes: Buffer, random: Random, words: readonly number[]): Buffer {
  if (bytes.length < 8) return Buffer.alloc(random.below(64), random.below(256));
  const at = random.below(bytes.length);
  const to = Math.min(bytes.length, at + random.below(64));
  const word = random.below(bytes.length >> 3) * 8;
  switch (random.below(9)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes.writeBigUInt64LE(random.of([...EDGES, LARGEST]), word);
      return bytes;
    case 2:
      if (words.length > 0) bytes.writeBigUInt64LE(BigInt(random.of(words)), word);
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 6: {
      const junk = Buffer.from(Array.from({ length: 1 + random.below(40) }, () => random.below(256)));
      return Buffer.concat([bytes.subarray(0, at), junk, bytes.subarray(at)]);
    }
    case 7: {
      const few = BigInt(Math.max(0, Number(bytes.readBigUInt64LE(word) & 0xffffn) + random.below(17) - 8));
      bytes.writeBigUInt64LE(few, word);
      return bytes;
    }
    default:
      bytes[at] = random.of([0, 10, 32, 33, 47, 46, 255]);
      return bytes;
  }
}

/** As {@link mutate} for what is made of texts: also words that mean something, and pieces of another input. */
export function mutateText(
  bytes: Buffer,
  random: Random,
  tokens: readonly Buffer[],
  other: Buffer = Buffer.alloc(0),
): Buffer {
  let mutated: Buffer = Buffer.from(bytes);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(mutated.length + 1);
    const to = Math.min(mutated.length, at + random.below(1 << random.below(8)));
    const token = tokens.length === 0 ? Buffer.alloc(0) : random.of(tokens);
    const from = random.below(other.length + 1);
    switch (random.below(6)) {
      case 0:
        mutated = Buffer.concat([mutated.subarray(0, at), token, mutated.subarray(at)]);
        break;
      case 1:
        mutated = Buffer.concat([mutated.subarray(0, at), token, mutated.subarray(to)]);
        break;
      case 2:
        mutated = Buffer.concat([mutated.subarray(0, at), other.subarray(from)]);
        break;
      case 3:
        // The same again and again: what is quadratic shows.
        if (mutated.length < 1 << 12)
          mutated = Buffer.concat([
            mutated.subarray(0, at),
            ...Array.from({ length: random.below(100) }, () => mutated.subarray(at, to)),
            mutated.subarray(at),
          ]);
        break;
      default:
        mutated = mutate(mutated, random);
    }
  }
  return mutated;
}
