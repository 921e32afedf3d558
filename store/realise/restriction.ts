import type { Socket } from "node:net";
import type { StorePath } from "../types.ts";

/** The system feature by which a derivation asks that its builder may use the store. */
export const RECURSIVE_NIX = "recursive-nix";

/** Serves the store's protocol to one connection of a builder. */
export type ServeBuilder = (
  connection: Socket,
  options: {
    readonly restriction: Restriction;
    /** The builder runs as somebody who may not act as us. */
    readonly isStranger: boolean;
  },
) => Promise<void>;

/** What a builder that uses the store may see of it: its inputs, and what it added or had built since. */
export class Restriction {
  readonly #inputs: ReadonlySet<StorePath>;
  readonly #added = new Set<StorePath>();
  readonly #show: (path: StorePath) => Promise<void>;

  /** @param show lets the builder find a path's files */
  constructor(inputs: ReadonlySet<StorePath>, show: (path: StorePath) => Promise<void>) {
    this.#inputs = inputs;
    this.#show = show;
  }

  isAllowed(path: StorePath): boolean {
    return this.#inputs.has(path) || this.#added.has(path);
  }

  /** All that it may see. */
  paths(): StorePath[] {
    return [...this.#inputs, ...this.#added];
  }

  /** What is not among its inputs. */
  added(): ReadonlySet<StorePath> {
    return this.#added;
  }

  /** Lets the builder see paths from now on. */
  async add(paths: Iterable<StorePath>): Promise<void> {
    for (const path of paths) {
      if (this.isAllowed(path)) continue;
      await this.#show(path);
      this.#added.add(path);
    }
  }
}
