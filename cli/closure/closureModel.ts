/** A store path of a closure as it is shown. */
export interface ClosureNode {
  readonly path: string;
  /** Without directory and digest. */
  readonly name: string;
  /** Of its own files. */
  readonly sizeBytes: number;
  readonly references: readonly string[];
  /** Nothing keeps it in the store. */
  readonly isDead?: boolean | undefined;
}

/** A closure, to be asked which path needs which. */
export class ClosureModel {
  readonly roots: readonly string[];
  readonly totalBytes: number;
  readonly #nodes: ReadonlyMap<string, ClosureNode>;
  readonly #referrers = new Map<string, string[]>();
  readonly #closureBytes = new Map<string, number>();

  constructor(nodes: readonly ClosureNode[], roots: readonly string[]) {
    this.#nodes = new Map(nodes.map((node) => [node.path, node]));
    this.roots = roots;
    this.totalBytes = nodes.reduce((sum, node) => sum + node.sizeBytes, 0);
    for (const { path, references } of nodes)
      for (const reference of references) {
        if (reference === path || !this.#nodes.has(reference)) continue;
        const list = this.#referrers.get(reference);
        if (list === undefined) this.#referrers.set(reference, [path]);
        else list.push(path);
      }
  }

  all(): readonly ClosureNode[] {
    return [...this.#nodes.values()];
  }

  node(path: string): ClosureNode | undefined {
    return this.#nodes.get(path);
  }

  /** What it needs itself. */
  referencesOf(path: string): readonly ClosureNode[] {
    return this.#known((this.#nodes.get(path)?.references ?? []).filter((each) => each !== path));
  }

  /** What needs it. */
  referrersOf(path: string): readonly ClosureNode[] {
    return this.#known(this.#referrers.get(path) ?? []);
  }

  /** Of all that it needs, itself included. */
  closureBytesOf(path: string): number {
    const known = this.#closureBytes.get(path);
    if (known !== undefined) return known;
    const seen = new Set([path]);
    let sum = 0;
    for (const each of seen) {
      const node = this.#nodes.get(each);
      if (node === undefined) continue;
      sum += node.sizeBytes;
      for (const reference of node.references) seen.add(reference);
    }
    this.#closureBytes.set(path, sum);
    return sum;
  }

  #known(paths: readonly string[]): readonly ClosureNode[] {
    return paths.flatMap((path) => this.#nodes.get(path) ?? []);
  }
}
