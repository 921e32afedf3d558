import type { Socket } from "node:net";
import { DevshellError } from "../../../core/index.ts";
import type { OutputName, StorePath } from "../../types.ts";

/** The system feature by which a derivation asks that its builder may use the store. */
export const RECURSIVE_NIX = "recursive-nix";

/** The system feature by which it asks that its builder says what its outputs are, in place of leaving them behind. */
export const BUILDER_RPC = "builder-rpc-v0";

/** Serves the store's protocol to one connection of a builder. */
export type ServeBuilder = (
  connection: Socket,
  options: {
    readonly restriction: Restriction;
    /** The builder runs as somebody who may not act as us. */
    readonly isStranger: boolean;
    /** Aborted once the builder has ended, whatever it still had asked for. */
    readonly signal: AbortSignal;
  },
) => Promise<void>;

/** What a builder that uses the store may see of it: its inputs, and what it added or had built since. */
export class Restriction {
  readonly #inputs: ReadonlySet<StorePath>;
  readonly #added = new Set<StorePath>();
  /** On their way: a builder may ask for the same twice at a time. */
  readonly #coming = new Map<StorePath, Promise<void>>();
  readonly #submitted = new Map<OutputName, StorePath>();
  /** The builder says what its outputs are. */
  readonly isSubmitting: boolean;
  readonly #show: (path: StorePath) => Promise<void>;

  /** @param show lets the builder find a path's files */
  constructor(
    inputs: ReadonlySet<StorePath>,
    show: (path: StorePath) => Promise<void>,
    isSubmitting = false,
  ) {
    this.#inputs = inputs;
    this.isSubmitting = isSubmitting;
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
    for (const path of paths) if (!this.isAllowed(path)) await (this.#coming.get(path) ?? this.#bring(path));
  }

  #bring(path: StorePath): Promise<void> {
    const coming = this.#show(path)
      .then(() => void this.#added.add(path))
      .finally(() => this.#coming.delete(path));
    this.#coming.set(path, coming);
    return coming;
  }

  /** What the builder says its outputs are, so far. */
  submitted(): ReadonlyMap<OutputName, StorePath> {
    return this.#submitted;
  }

  /** @throws {DevshellError} `SUBMIT_DUPLICATE` */
  submit(output: OutputName, path: StorePath): void {
    const known = this.#submitted.get(output);
    if (known !== undefined)
      throw new DevshellError(
        "SUBMIT_DUPLICATE",
        `Attempted to submit duplicate output '${output}' (old '${known}', new '${path}')`,
      );
    this.#submitted.set(output, path);
  }
}
