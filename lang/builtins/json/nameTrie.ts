/** Objects with more names than this are not looked for in the trie. */
const MAX_DEPTH = 40;
const MAX_NODES = 20_000;

/**
 * The names of an object read so far. Records of one kind repeat their names in the same order, so the next name is
 * guessed from the last object that came this way, and records share what the builder makes of their names.
 */
export class NameNode<S> {
  readonly name: string;
  readonly depth: number;
  readonly parent: NameNode<S> | undefined;
  /** The name that followed last time. */
  guess: NameNode<S> | undefined;
  /** What the builder made of the names up to here, once an object ended here. */
  shape: S | undefined;
  /** Whether a name occurs twice. */
  readonly hasRepeated: boolean;
  #children: Map<string, NameNode<S>> | undefined;

  constructor(name: string, parent: NameNode<S> | undefined) {
    this.name = name;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.hasRepeated = parent !== undefined && (parent.hasRepeated || parent.holds(name));
  }

  holds(name: string): boolean {
    // eslint-disable-next-line typescript/no-this-alias
    for (let node: NameNode<S> = this; node.parent !== undefined; node = node.parent)
      if (node.name === name) return true;
    return false;
  }

  /** In the order read. */
  names(): string[] {
    const names = new Array<string>(this.depth);
    // eslint-disable-next-line typescript/no-this-alias
    for (let node: NameNode<S> = this; node.parent !== undefined; node = node.parent)
      names[node.depth - 1] = node.name;
    return names;
  }

  child(name: string): NameNode<S> | undefined {
    return this.#children?.get(name);
  }

  addChild(name: string): NameNode<S> {
    const child = new NameNode(name, this);
    (this.#children ??= new Map()).set(name, child);
    return child;
  }
}

/** All objects of one text. */
export class NameTrie<S> {
  readonly root = new NameNode<S>("", undefined);
  #count = 0;

  /** The node for one more name; `undefined` where the trie is not worth while. */
  next(node: NameNode<S>, name: string): NameNode<S> | undefined {
    let next = node.child(name);
    if (next === undefined) {
      if (node.depth >= MAX_DEPTH || this.#count >= MAX_NODES) return undefined;
      this.#count++;
      next = node.addChild(name);
    }
    node.guess = next;
    return next;
  }
}
