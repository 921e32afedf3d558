import { claimWords } from "./heap.ts";
import { NO_POS, type Pos } from "./position.ts";
import { EMPTIED_SHAPE, EMPTY_SHAPE, Layout, Shape, shapeOf } from "./shape.ts";
import { fitted, slotsLike } from "./slots.ts";

/**
 * An attribute set: a shape with values, on top of further layers when `//` put a small set over a big one.
 * Immutable as seen from outside; inside, layers are flattened and slots made when first asked for.
 * Generic only so that this file knows no values: `value.ts` names it `AttrSet`.
 */
export class AttrSetOf<S> {
  shape: Shape;
  /** Parallel to `shape.names`; `undefined` where `makeSlot` has yet to make it. */
  values: (S | undefined)[];
  /** What few sets have: one field, since there are so many sets. */
  rest: Rest<S> | null;

  constructor(
    shape: Shape,
    values: (S | undefined)[],
    base: AttrSetOf<S> | null = null,
    makeSlot: ((index: number) => S) | null = null,
  ) {
    this.shape = shape;
    this.values = values;
    this.rest = base === null && makeSlot === null ? null : new Rest(base, makeSlot);
  }

  /** The layer below; names found there are hidden by ours. */
  get base(): AttrSetOf<S> | null {
    return this.rest === null ? null : this.rest.base;
  }

  get makeSlot(): ((index: number) => S) | null {
    return this.rest === null ? null : this.rest.makeSlot;
  }

  /** Names must be distinct. */
  static of<S>(names: readonly string[], values: S[], positions?: readonly Pos[]): AttrSetOf<S> {
    return new AttrSetOf<S>(names.length === 0 ? EMPTY_SHAPE : shapeOf(names, positions), values);
  }

  static fromMap<S>(entries: ReadonlyMap<string, S>): AttrSetOf<S> {
    return AttrSetOf.of([...entries.keys()], [...entries.values()]);
  }

  static fromRecord<S>(record: Readonly<Record<string, S>>): AttrSetOf<S> {
    return AttrSetOf.of(Object.keys(record), Object.values(record));
  }

  /** A set of which nothing is left: only what prints `«repeated»` tells it from `{ }`. */
  static emptied<S>(): AttrSetOf<S> {
    return new AttrSetOf<S>(EMPTIED_SHAPE, []);
  }

  get isEmptied(): boolean {
    return this.shape === EMPTIED_SHAPE;
  }

  get(name: string): S | undefined {
    if (this.rest !== null && ++this.rest.searches > this.rest.enough) this.#settle(this.rest);
    // eslint-disable-next-line typescript/no-this-alias
    let layer: AttrSetOf<S> | null = this;
    do {
      const i = layer.shape.layout.find(name);
      if (i >= 0) {
        const slot = layer.values[i];
        return slot === undefined ? layer.slotAt(i) : slot;
      }
      layer = layer.base;
    } while (layer !== null);
    return undefined;
  }

  has(name: string): boolean {
    // eslint-disable-next-line typescript/no-this-alias
    let layer: AttrSetOf<S> | null = this;
    do {
      if (layer.shape.layout.find(name) >= 0) return true;
      layer = layer.base;
    } while (layer !== null);
    return false;
  }

  /** Where an attribute was written; `NO_POS` if unknown or absent. */
  posOf(name: string): Pos {
    // eslint-disable-next-line typescript/no-this-alias
    let layer: AttrSetOf<S> | null = this;
    do {
      const i = layer.shape.layout.find(name);
      if (i >= 0) return layer.shape.positions?.[i] ?? NO_POS;
      layer = layer.base;
    } while (layer !== null);
    return NO_POS;
  }

  get size(): number {
    return (this.base === null ? this : this.flatten()).values.length;
  }

  /** Writes a forced value back, so that the next reader meets no thunk. */
  writeBack(name: string, value: S): void {
    const i = this.shape.layout.find(name);
    if (i >= 0) this.values[i] = value;
  }

  /** The slot at an index of this layer, made now if it was not yet. */
  slotAt(index: number): S {
    const known = this.values[index];
    if (known !== undefined) return known;
    const made = this.makeSlot!(index);
    this.values[index] = made;
    return made;
  }

  /** Puts all layers into one and makes all slots; `shape` and `values` are then the whole set. */
  flatten(): FlatAttrSetOf<S> {
    if (this.base !== null) this.#compact();
    else if (this.makeSlot !== null) this.#makeAll();
    return this as unknown as FlatAttrSetOf<S>;
  }

  /** The names in byte order. */
  sortedNames(): string[] {
    const { names } = this.flatten().shape;
    return this.shape.order().map((i) => names[i]!);
  }

  /** Visits attributes in the byte order of their names. */
  forEachSorted(visit: (name: string, slot: S, pos: Pos) => void): void {
    const flat = this.flatten();
    const { names, positions } = flat.shape;
    for (const i of flat.shape.order()) visit(names[i]!, flat.values[i]!, positions?.[i] ?? NO_POS);
  }

  /** The same set as another object, as builtins give that Nix has copy what they are given. */
  copy(): AttrSetOf<S> {
    return new AttrSetOf<S>(this.shape, this.values, this.base, this.makeSlot);
  }

  /** A set of the same names and positions with other values. */
  mapSlots(map: (name: string, slot: S) => S): AttrSetOf<S> {
    const { shape, values } = this.flatten();
    const mapped = values.slice();
    for (let i = 0; i < values.length; i++) mapped[i] = map(shape.names[i]!, values[i]!);
    return new AttrSetOf<S>(shape, mapped);
  }

  /** The attributes whose names pass, with their positions. */
  filterNames(keep: (name: string) => boolean): AttrSetOf<S> {
    const { shape, values } = this.flatten();
    const names: string[] = [];
    const kept: S[] = [];
    const positions: Pos[] = [];
    for (let i = 0; i < values.length; i++) {
      const name = shape.names[i]!;
      if (!keep(name)) continue;
      names.push(name);
      kept.push(values[i]!);
      positions.push(shape.positions?.[i] ?? NO_POS);
    }
    if (names.length === values.length) return this;
    if (names.length === 0) return AttrSetOf.emptied();
    return new AttrSetOf<S>(
      shapeOf(fitted(names), shape.positions === undefined ? undefined : fitted(positions)),
      fitted(kept),
    );
  }

  #makeAll(): void {
    const makeSlot = this.makeSlot!;
    const values = this.values;
    for (let i = 0; i < values.length; i++) if (values[i] === undefined) values[i] = makeSlot(i);
    this.rest = this.base === null ? null : new Rest(this.base, null);
  }

  /** Puts layers into one that were searched more often than that costs: `lib`, a third of a million times in NixOS. */
  #settle(rest: Rest<S>): void {
    let size = this.values.length;
    let isLazy = this.makeSlot !== null;
    for (let layer = rest.base; layer !== null; layer = layer.base) {
      size += layer.values.length;
      if (layer.makeSlot !== null) isLazy = true;
    }
    if (rest.base === null || (isLazy && size > MOST_SLOTS)) rest.enough = Infinity;
    else if (rest.searches > size) this.#compact();
    else rest.enough = size;
  }

  #compact(): void {
    const layers: AttrSetOf<S>[] = [];
    for (let layer: AttrSetOf<S> | null = this.base; layer !== null; layer = layer.base) layers.push(layer);
    layers.reverse();
    const bottom = layers[0]!;
    claimWords(bottom.values.length * WORDS_OF_NAME);
    if (bottom.makeSlot !== null) bottom.#makeAll();
    const names = bottom.shape.names.slice();
    const values = bottom.values.slice();
    const positions = bottom.shape.positions?.slice() ?? new Array<Pos>(names.length).fill(NO_POS);
    const index = new Map<string, number>();
    for (let i = 0; i < names.length; i++) index.set(names[i]!, i);
    for (const layer of [...layers.slice(1), this]) {
      if (layer.makeSlot !== null) layer.#makeAll();
      for (let j = 0; j < layer.values.length; j++) {
        const name = layer.shape.names[j]!;
        const pos = layer.shape.positions?.[j] ?? NO_POS;
        const i = index.get(name);
        if (i === undefined) {
          index.set(name, names.length);
          names.push(name);
          values.push(layer.values[j]);
          positions.push(pos);
        } else {
          values[i] = layer.values[j];
          positions[i] = pos;
        }
      }
    }
    this.shape = new Shape(new Layout(names, index), positions);
    this.values = values;
    this.rest = null;
  }
}

class Rest<S> {
  readonly base: AttrSetOf<S> | null;
  readonly makeSlot: ((index: number) => S) | null;
  /** How often the layers were searched, and when it is asked whether that is too often. */
  searches = 0;
  enough = SEARCHES;

  constructor(base: AttrSetOf<S> | null, makeSlot: ((index: number) => S) | null) {
    this.base = base;
    this.makeSlot = makeSlot;
  }
}

/** A set whose layers are one and whose slots are all made. */
export interface FlatAttrSetOf<S> extends AttrSetOf<S> {
  values: S[];
}

/** A name with its value, its place and its index. */
const WORDS_OF_NAME = 8;

/** Layers that are searched less often stay. */
const SEARCHES = 64;

/** More slots are not made before they are asked for. */
const MOST_SLOTS = 1024;

/** Up to this size a left side is copied; past it a small right side becomes a layer. */
const COPY_SIZE = 24;

/** Deeper stacks of layers are put into one. */
const MAX_LAYERS = 24;

/**
 * `left // right`. Layers keep geometric sizes, so that growing a set in a loop stays cheap. A set whose slots are
 * made on demand stays a layer of its own: merging it would make them all (ten thousand, for a package collection).
 */
export function updateAttrs<S>(left: AttrSetOf<S>, right: AttrSetOf<S>): AttrSetOf<S> {
  if (isSmallUnderBig(left, right)) {
    const added = left.filterNames((name) => !right.has(name));
    return added.isEmptied ? right.copy() : updateAttrs(right, added);
  }
  if (right.base !== null) {
    if (!hasLazyLayer(right) || layersOf(left) + layersOf(right) > MAX_LAYERS) right = right.flatten();
    else return stack(left, right);
  }
  const rightSize = right.values.length;
  if (rightSize === 0) return left;
  if (left.base === null) {
    const leftSize = left.values.length;
    if (leftSize === 0) return right;
    if (
      left.makeSlot === null &&
      right.makeSlot === null &&
      (leftSize <= COPY_SIZE || rightSize * 2 >= leftSize)
    )
      return mergeFlat(left, right);
  }
  let top = right;
  let base: AttrSetOf<S> | null = left;
  while (
    base !== null &&
    top.makeSlot === null &&
    base.makeSlot === null &&
    top.values.length * 2 >= base.values.length
  ) {
    top = mergeFlat(base, top);
    base = base.base;
  }
  // The values are shared with the layer's own set, so that what one makes or forces the other has too.
  return base === null ? top : new AttrSetOf<S>(top.shape, top.values, base, top.makeSlot);
}

/** Sets of fewer names are copied, whichever side is the smaller one. */
const BIG_SIZE = 256;

/** Whether what `left` adds is better laid over `right`: sets that grow from the right would be copied each time. */
function isSmallUnderBig<S>(left: AttrSetOf<S>, right: AttrSetOf<S>): boolean {
  const most = left.values.length * 4;
  if (most === 0 || left.rest !== null) return false;
  let size = 0;
  for (let layer: AttrSetOf<S> | null = right; layer !== null; layer = layer.base)
    size += layer.values.length;
  return size >= BIG_SIZE && size > most && !hasLazyLayer(right);
}

function hasLazyLayer<S>(set: AttrSetOf<S>): boolean {
  for (let layer: AttrSetOf<S> | null = set; layer !== null; layer = layer.base)
    if (layer.makeSlot !== null) return true;
  return false;
}

function layersOf<S>(set: AttrSetOf<S>): number {
  let count = 0;
  for (let layer: AttrSetOf<S> | null = set; layer !== null; layer = layer.base) count++;
  return count;
}

/** Puts all layers of `top` over `base`. */
function stack<S>(base: AttrSetOf<S>, top: AttrSetOf<S>): AttrSetOf<S> {
  const below = top.base === null ? base : stack(base, top.base);
  return new AttrSetOf<S>(top.shape, top.values, below, top.makeSlot);
}

/** Merges two layers, leaving what is below `left` aside. */
function mergeFlat<S>(left: AttrSetOf<S>, right: AttrSetOf<S>): AttrSetOf<S> {
  if (left.makeSlot !== null) for (let i = 0; i < left.values.length; i++) left.slotAt(i);
  if (right.makeSlot !== null) for (let i = 0; i < right.values.length; i++) right.slotAt(i);
  const plan = left.shape.layout.planMerge(right.shape.layout);
  const { targets, empty } = plan;
  const shape = left.shape.mergedWith(right.shape, plan);
  claimWords(plan.layout.names.length);
  const leftSize = left.values.length;
  if (empty !== undefined && empty.length > leftSize) {
    const values = slotsLike<S | undefined>(empty);
    for (let i = 0; i < leftSize; i++) values[i] = left.values[i];
    for (let j = 0; j < targets.length; j++) values[targets[j]!] = right.values[j];
    return new AttrSetOf<S>(shape, values);
  }
  const values = left.values.slice();
  for (let j = 0; j < targets.length; j++) {
    const i = targets[j]!;
    if (i < leftSize) values[i] = right.values[j];
    else values.push(right.values[j]);
  }
  return new AttrSetOf<S>(shape, values);
}
