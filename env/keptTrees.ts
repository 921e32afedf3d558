import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Store, StorePath } from "../store/index.ts";
import { cacheDirectory, prepareCache } from "./cache/recordPaths.ts";

/** What was found of a tree when its files were looked at; as long as it is the same registration, it is so. */
export interface KeptTree {
  /** In seconds. */
  readonly registered: number;
  /** Bytes of its files that are other paths' too, by those paths. */
  readonly shared: Readonly<Record<StorePath, SharedBytes>>;
}

export interface SharedBytes {
  readonly sizeBytes: number;
  /** Of that other path: one that was deleted and fetched again has files of its own. */
  readonly registered: number;
}

/** A larger file is none of ours. */
const MAX_BYTES = 64 << 20;

/** Remembers them between runs: looking at every file of large trees takes a minute. What is damaged is forgotten. */
export class KeptTrees {
  readonly #file: string;
  readonly #trees: Map<StorePath, KeptTree>;
  #isChanged = false;

  private constructor(file: string, trees: Map<StorePath, KeptTree>) {
    this.#file = file;
    this.#trees = trees;
  }

  static read(store: Store): KeptTrees {
    const { storeDir, realStoreDir = storeDir } = store.settings;
    const place = Buffer.from(realStoreDir, "latin1").toString("base64url").slice(-100);
    const file = join(cacheDirectory(), `linked-trees-${place}.json`);
    return new KeptTrees(file, readTrees(file));
  }

  /** @returns `undefined` where nothing is known of this registration of the path */
  find(path: StorePath, registered: number): KeptTree | undefined {
    const known = this.#trees.get(path);
    return known?.registered === registered ? known : undefined;
  }

  add(path: StorePath, tree: KeptTree): void {
    this.#trees.set(path, tree);
    this.#isChanged = true;
  }

  /** Writes what was added, leaving out paths that are gone. A cache that cannot be written does no harm. */
  save(isValid: (path: StorePath) => boolean): void {
    if (!this.#isChanged) return;
    const kept = [...this.#trees].filter(([path]) => isValid(path));
    const temporary = `${this.#file}.tmp-${process.pid}`;
    try {
      prepareCache();
      writeFileSync(temporary, JSON.stringify({ version: 1, trees: Object.fromEntries(kept) }), {
        mode: 0o600,
      });
      renameSync(temporary, this.#file);
    } catch {
      rmSync(temporary, { force: true });
    }
    this.#isChanged = false;
  }
}

function readTrees(file: string): Map<StorePath, KeptTree> {
  try {
    const text = readFileSync(file, "utf8");
    if (text.length > MAX_BYTES) return new Map();
    const { version, trees } = JSON.parse(text) as { version?: unknown; trees?: unknown };
    if (version !== 1 || typeof trees !== "object" || trees === null) return new Map();
    return new Map(
      Object.entries(trees).filter((entry): entry is [StorePath, KeptTree] => isKeptTree(entry[1])),
    );
  } catch {
    return new Map();
  }
}

function isKeptTree(value: unknown): value is KeptTree {
  if (typeof value !== "object" || value === null) return false;
  const { registered, shared } = value as Partial<KeptTree>;
  return (
    typeof registered === "number" &&
    typeof shared === "object" &&
    shared !== null &&
    Object.values(shared).every(
      (part) =>
        typeof part === "object" &&
        part !== null &&
        typeof part.sizeBytes === "number" &&
        typeof part.registered === "number",
    )
  );
}
