/** Keys and indices from the spec's root. */
export type SpecPath = readonly (string | number)[];

/** Offsets in UTF-16 code units; the end is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A document as it stands in the text, whatever is wrong with it: what the schema says of it is another matter. */
export type SpecNode = MapNode | ListNode | ScalarNode;

export interface MapNode extends Span {
  readonly kind: "map";
  readonly entries: readonly MapEntry[];
}

/** The span is the key's and the value's together; of a TOML table all to the next header. */
export interface MapEntry extends Span {
  readonly key: string;
  readonly keySpan: Span;
  readonly value: SpecNode | undefined;
  /** Written in several places (TOML): `env.A = 1` and elsewhere `env.B = 2`. */
  readonly isScattered: boolean;
}

export interface ListNode extends Span {
  readonly kind: "list";
  readonly items: readonly SpecNode[];
}

export interface ScalarNode extends Span {
  readonly kind: "scalar";
  readonly value: unknown;
}

/** Where something in a document is. */
export interface NodePlace {
  readonly path: SpecPath;
  /** The key of the path's last step, rather than its value. */
  readonly isKey: boolean;
  readonly span: Span;
  readonly node: SpecNode | undefined;
}

export function entryAt(root: SpecNode | undefined, path: SpecPath): MapEntry | undefined {
  const parent = nodeAt(root, path.slice(0, -1));
  const key = path.at(-1);
  // the last of several wins: so do parsers
  return parent?.kind === "map" ? parent.entries.findLast((entry) => entry.key === key) : undefined;
}

export function nodeAt(root: SpecNode | undefined, path: SpecPath): SpecNode | undefined {
  let node = root;
  for (const key of path) {
    if (node?.kind === "map") node = node.entries.findLast((entry) => entry.key === String(key))?.value;
    else if (node?.kind === "list") node = node.items[Number(key)];
    else return undefined;
  }
  return node;
}

/** Where a path's key or value stands; the nearest that encloses it where it is absent. */
export function locatePath(root: SpecNode | undefined, path: SpecPath, isKey: boolean): Span {
  let span: Span = { start: root?.start ?? 0, end: root?.start ?? 0 };
  let node = root;
  for (const [n, key] of path.entries()) {
    const isLast = n === path.length - 1;
    if (node?.kind === "map") {
      const entry: MapEntry | undefined = node.entries.findLast(({ key: name }) => name === String(key));
      if (entry === undefined) return span;
      if (isLast && isKey) return entry.keySpan;
      const { value } = entry;
      span = value === undefined || value.end === value.start ? entry.keySpan : value;
      node = value;
    } else if (node?.kind === "list") {
      node = node.items[Number(key)];
      span = node ?? span;
    } else return span;
  }
  return span;
}

/** The innermost key or scalar that holds an offset. */
export function placeAt(root: SpecNode | undefined, offset: number): NodePlace | undefined {
  return placeWithin(root, offset, []);
}

function placeWithin(node: SpecNode | undefined, offset: number, path: SpecPath): NodePlace | undefined {
  switch (node?.kind) {
    case undefined:
      return undefined;
    case "scalar":
      return isWithin(node, offset) ? { path, isKey: false, span: node, node } : undefined;
    case "list":
      for (const [index, item] of node.items.entries()) {
        const place = placeWithin(item, offset, [...path, index]);
        if (place !== undefined) return place;
      }
      return undefined;
    case "map":
      // a TOML table's entries may stand anywhere: its own span says nothing
      for (const { key, keySpan, value } of node.entries) {
        const here = [...path, key];
        if (keySpan.end > keySpan.start && isWithin(keySpan, offset))
          return { path: here, isKey: true, span: keySpan, node: value };
        const place = placeWithin(value, offset, here);
        if (place !== undefined) return place;
      }
      return undefined;
  }
}

function isWithin({ start, end }: Span, offset: number): boolean {
  return offset >= start && offset <= end;
}
