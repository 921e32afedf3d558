import { lstatSync } from "node:fs";
import { fsPath, type ByteString } from "../../core/index.ts";

/** Where a tree in the store came from. */
export interface TreeOrigin {
  /** What stands for the tree in messages: a work tree's directory, or `«git+https://…»`. */
  readonly shown: ByteString;
  /** A Git work tree: only what Git tracks in it is in the store. */
  readonly isWorkTree: boolean;
}

/** The trees that were fetched, so that messages can name what the user knows instead of the store. */
export class TreeDisplay {
  #storePrefix: string;
  readonly #origins = new Map<ByteString, TreeOrigin>();

  constructor(storeDir: string) {
    this.#storePrefix = `${storeDir}/`;
  }

  useStore(storeDir: string): void {
    this.#storePrefix = `${storeDir}/`;
  }

  add(storePath: ByteString, origin: TreeOrigin): void {
    this.#origins.set(storePath, origin);
  }

  /** A path of a fetched tree, as messages name it. */
  show(path: ByteString): ByteString | undefined {
    const found = this.#find(path);
    return found === undefined ? undefined : `${found.origin.shown}${found.rest}`;
  }

  /** Why a path of a fetched tree is not there. */
  explainMissing(path: ByteString): ByteString | undefined {
    const found = this.#find(path);
    if (found === undefined || found.rest === "") return undefined;
    const { shown, isWorkTree } = found.origin;
    const name = found.rest.slice(1);
    if (!isWorkTree) return `'${shown}${found.rest}' does not exist`;
    if (lstatSync(fsPath(`${shown}/${name}`), { throwIfNoEntry: false }) === undefined)
      return `Path '${name}' does not exist in Git repository "${shown}".`;
    return `Path '${name}' in the repository "${shown}" is not tracked by Git.\n\nTo make it visible to Nix, run:\n\ngit -C "${shown}" add -N "${name}"`;
  }

  #find(path: ByteString): { readonly origin: TreeOrigin; readonly rest: ByteString } | undefined {
    if (this.#origins.size === 0 || !path.startsWith(this.#storePrefix)) return undefined;
    const slash = path.indexOf("/", this.#storePrefix.length);
    const end = slash < 0 ? path.length : slash;
    const origin = this.#origins.get(path.slice(0, end));
    return origin === undefined ? undefined : { origin, rest: path.slice(end) };
  }
}
