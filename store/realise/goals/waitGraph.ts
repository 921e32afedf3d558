interface Waiting {
  readonly others: readonly string[];
  readonly fail: (error: Error) => void;
}

/** Work that waits for other work, which in the end waits for it. */
export class WaitCycle extends Error {
  readonly keys: readonly string[];

  constructor(keys: readonly string[]) {
    super("cycle");
    this.keys = keys;
  }
}

/**
 * Who waits for whom among work of one kind. What a cache says may go in a circle: all would then wait for each other
 * for ever. A circle is looked for only when nobody works, which is seldom before there is one.
 */
export class WaitGraph {
  readonly #waiting = new Map<string, Waiting>();
  #working = 0;
  #isAboutToLook = false;

  /** Work that may {@link wait}. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
      this.#breakCycle();
    }
  }

  /**
   * Waits, within the work that has this key, for that of others.
   * @throws {WaitCycle} where they wait for this one; then what they are to end with is not waited for
   */
  async wait<T>(key: string, others: readonly string[], done: Promise<T>): Promise<T> {
    const { promise: stuck, reject: fail } = Promise.withResolvers<never>();
    this.#waiting.set(key, { others, fail });
    this.#working--;
    this.#breakCycle();
    try {
      return await Promise.race([done, stuck]);
    } finally {
      this.#working++;
      this.#waiting.delete(key);
    }
  }

  /** In a turn of its own: in a long chain it is all the time that one has ended, and the next is about to begin. */
  #breakCycle(): void {
    if (this.#working > 0 || this.#waiting.size === 0 || this.#isAboutToLook) return;
    this.#isAboutToLook = true;
    setImmediate(() => {
      this.#isAboutToLook = false;
      if (this.#working > 0) return;
      const cycle = this.#findCycle();
      const [first] = cycle;
      if (first !== undefined) this.#waiting.get(first)?.fail(new WaitCycle(cycle));
    });
  }

  /** @returns nothing where those who wait are about to go on */
  #findCycle(): readonly string[] {
    const left = new Set<string>();
    for (const root of this.#waiting.keys()) {
      const stack = left.has(root) ? [] : [{ key: root, next: 0 }];
      const open = new Set([root]);
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const other = this.#waiting.get(frame.key)?.others[frame.next++];
        if (other === undefined) {
          left.add(frame.key);
          open.delete(frame.key);
          stack.pop();
        } else if (open.has(other)) {
          const keys = stack.map(({ key }) => key);
          return keys.slice(keys.indexOf(other));
        } else if (!left.has(other) && this.#waiting.has(other)) {
          open.add(other);
          stack.push({ key: other, next: 0 });
        }
      }
    }
    return [];
  }
}
