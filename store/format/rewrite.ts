/** Replaces texts in a byte stream by others of the same length, wherever chunks are cut. */
export class HashRewriter {
  readonly #rewrites: readonly { readonly from: Buffer; readonly to: Buffer }[];
  readonly #maxLength: number;
  readonly #offsets: number[] = [];
  #held: Buffer = Buffer.alloc(0);
  /** Offset in the stream of `#held[0]`. */
  #base = 0;

  constructor(rewrites: ReadonlyMap<string, string>) {
    this.#rewrites = [...rewrites].map(([from, to]) => {
      if (from.length !== to.length || from === "") throw new Error("a rewrite must keep the length");
      return { from: Buffer.from(from, "latin1"), to: Buffer.from(to, "latin1") };
    });
    this.#maxLength = Math.max(1, ...this.#rewrites.map(({ from }) => from.length));
  }

  /** Where something was replaced, in bytes from the start, ascending. */
  get offsets(): readonly number[] {
    return this.#offsets;
  }

  /** @returns finished bytes; the last few are held back until it is known what follows them */
  push(chunk: Uint8Array): Buffer[] {
    const bytes = Buffer.concat([this.#held, chunk]);
    const keep = Math.min(bytes.length, this.#maxLength - 1);
    this.#replace(bytes);
    const done = bytes.length - keep;
    this.#held = bytes.subarray(done);
    this.#base += done;
    return done > 0 ? [bytes.subarray(0, done)] : [];
  }

  end(): Buffer[] {
    const rest = this.#held;
    this.#base += rest.length;
    this.#held = Buffer.alloc(0);
    return rest.length > 0 ? [rest] : [];
  }

  /** Replaced text never starts a new match: digests hold no part of another text to find. */
  #replace(bytes: Buffer): void {
    const found: number[] = [];
    for (const { from, to } of this.#rewrites)
      for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + from.length)) {
        to.copy(bytes, at);
        found.push(this.#base + at);
      }
    this.#offsets.push(...found.sort((a, b) => a - b));
  }
}
