/** Has pieces of work begin one after the other, in the order in which they came; they go on side by side. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** @param work calls what it is given once the next may begin; its end does, too */
  async take<T>(work: (onBegun: () => void) => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    try {
      return await work(resolve);
    } finally {
      resolve();
    }
  }
}
