import { NO_POS, type Pos } from "./position.ts";
import { sharedTemplate } from "./slots.ts";

/** Up to this many names are searched one by one. Measured: 6 to 10 are alike. */
const LINEAR_NAMES = 8;
/** Up to this many, a layout gets an index only where it is searched often. */
const SEARCHED_NAMES = 48;
const SEARCHES = 8;
const MAX_PLANS = 64;
const MAX_PLAN_NAMES = 64;

/**
 * The names of attribute sets in the order of their values. Sets with the same names share it wherever they were
 * written, so that selects can remember a name's index by its identity: the thousands of options of NixOS are a few
 * dozen layouts.
 */
export class Layout {
  readonly names: readonly string[];
  #index: Map<string, number> | undefined;
  #searches = 0;
  #order: readonly number[] | undefined = undefined;
  #bare: Shape | undefined = undefined;
  /** The first plan; many have no other. */
  #plan: MergePlan | undefined = undefined;
  #plans: Map<Layout, MergePlan> | undefined = undefined;

  /** @param index each name's index, where the caller has it */
  constructor(names: readonly string[], index?: Map<string, number>) {
    this.names = names;
    this.#index = index;
  }

  /** The shape of sets whose attributes' places are not known. */
  get bare(): Shape {
    return (this.#bare ??= new Shape(this, undefined));
  }

  /** The index of a name, or -1. */
  find(name: string): number {
    const names = this.names;
    if (this.#index === undefined) {
      if (names.length <= LINEAR_NAMES || (names.length <= SEARCHED_NAMES && this.#searches++ < SEARCHES)) {
        for (let i = 0; i < names.length; i++) if (names[i] === name) return i;
        return -1;
      }
      const index = new Map<string, number>();
      for (let i = 0; i < names.length; i++) index.set(names[i]!, i);
      this.#index = index;
    }
    return this.#index.get(name) ?? -1;
  }

  /** Indexes in the order of their names' bytes. */
  order(): readonly number[] {
    if (this.#order !== undefined) return this.#order;
    const names = this.names;
    const order = new Array<number>(names.length);
    let isSorted = true;
    for (let i = 0; i < names.length; i++) {
      order[i] = i;
      if (i > 0 && names[i - 1]! > names[i]!) isSorted = false;
    }
    if (!isSorted) order.sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
    this.#order = order;
    return order;
  }

  /** How `this // other` is laid out. */
  planMerge(other: Layout): MergePlan {
    if (this.#plan?.other === other) return this.#plan;
    const known = this.#plans?.get(other);
    if (known !== undefined) return known;
    const added: string[] = [];
    const targets = new Array<number>(other.names.length);
    for (let j = 0; j < targets.length; j++) {
      const name = other.names[j]!;
      let i = this.find(name);
      if (i < 0) {
        i = this.names.length + added.length;
        added.push(name);
      }
      targets[j] = i;
    }
    const layout = added.length === 0 ? this : layoutOf(this.names.concat(added));
    const { length } = layout.names;
    const plan = {
      other,
      layout,
      targets,
      empty: length <= MAX_PLAN_NAMES ? sharedTemplate(length) : undefined,
    };
    if (plan.empty === undefined) return plan;
    if (this.#plan === undefined) this.#plan = plan;
    else {
      this.#plans ??= new Map();
      if (this.#plans.size < MAX_PLANS) this.#plans.set(other, plan);
    }
    return plan;
  }
}

export interface MergePlan {
  /** The right side's. */
  readonly other: Layout;
  readonly layout: Layout;
  /** For each name of the right side, its index in the result. */
  readonly targets: readonly number[];
  /** What the result's values are copied from; `undefined` where the plan is not kept. */
  readonly empty: readonly undefined[] | undefined;
}

interface Placed {
  readonly pos: Pos;
}

/** A layout, and where each attribute was written; shared by all sets made in the same place. */
export class Shape {
  readonly layout: Layout;
  #positions: readonly Pos[] | undefined;
  /** What the positions are taken from when they are asked for, as most never are. */
  #placed: readonly Placed[] | undefined;
  /** What this was merged from, until its positions are asked for: most never are. */
  #left: Shape | undefined = undefined;
  #right: Shape | undefined = undefined;
  /** What was last put over this, and what that gave. */
  #other: Shape | undefined = undefined;
  #merged: Shape | undefined = undefined;

  constructor(layout: Layout, positions: readonly Pos[] | undefined, placed?: readonly Placed[]) {
    this.layout = layout;
    this.#positions = positions;
    this.#placed = placed;
  }

  get names(): readonly string[] {
    return this.layout.names;
  }

  /** Parallel to `names`; `undefined` when no attribute has a position. */
  get positions(): readonly Pos[] | undefined {
    if (this.#left !== undefined) this.#mergePositions(this.#left, this.#right!);
    if (this.#placed !== undefined) {
      this.#positions = this.#placed.map(({ pos }) => pos);
      this.#placed = undefined;
    }
    return this.#positions;
  }

  /** The index of a name, or -1. */
  find(name: string): number {
    return this.layout.find(name);
  }

  /** Indexes in the order of their names' bytes. */
  order(): readonly number[] {
    return this.layout.order();
  }

  /** The shape of `this // other`. @param plan their layouts' */
  mergedWith(other: Shape, plan: MergePlan): Shape {
    if (this.#other !== other) {
      this.#merged = this.#mergeWith(other, plan);
      this.#other = other;
    }
    return this.#merged!;
  }

  #mergeWith(other: Shape, { layout, targets }: MergePlan): Shape {
    if (!this.#hasPositions() && !other.#hasPositions()) return layout.bare;
    // A loop that sets the same names again and again must not make a chain of shapes.
    if (layout === this.layout && this.#hasPositionsOf(other, targets)) return this;
    const merged = new Shape(layout, undefined);
    merged.#left = this;
    merged.#right = other;
    return merged;
  }

  /** Whether all that `other` names was written where it was. */
  #hasPositionsOf(other: Shape, targets: readonly number[]): boolean {
    const { positions } = this;
    const others = other.positions;
    for (let j = 0; j < targets.length; j++)
      if ((positions?.[targets[j]!] ?? NO_POS) !== (others?.[j] ?? NO_POS)) return false;
    return true;
  }

  #hasPositions(): boolean {
    return this.#positions !== undefined || this.#placed !== undefined || this.#left !== undefined;
  }

  #mergePositions(left: Shape, right: Shape): void {
    const { targets } = left.layout.planMerge(right.layout);
    const { length } = left.layout.names;
    const positions = new Array<Pos>(this.layout.names.length);
    const leftPositions = left.positions;
    const rightPositions = right.positions;
    for (let i = 0; i < length; i++) positions[i] = leftPositions?.[i] ?? NO_POS;
    for (let j = 0; j < targets.length; j++) positions[targets[j]!] = rightPositions?.[j] ?? NO_POS;
    this.#positions = positions;
    this.#left = undefined;
    this.#right = undefined;
  }
}

const MAX_SHARED_NAMES = 40;
const MAX_SHARED = 1 << 16;
/** More layouts of the same first and last name are not searched. */
const MAX_ALIKE = 32;
/** Shared layouts by their first name and then their last. */
const shared = new Map<string, Map<string, Layout[]>>();
let sharedCount = 0;
const EMPTY_LAYOUT = new Layout([]);

/** The layout of these names, in this order: shared where they are few. They must be distinct. @param index as a `Layout` takes it */
export function layoutOf(names: readonly string[], index?: Map<string, number>): Layout {
  if (names.length === 0) return EMPTY_LAYOUT;
  if (names.length > MAX_SHARED_NAMES) return new Layout(names, index);
  const alike = layoutsAlike(names[0]!, names[names.length - 1]!);
  for (let i = 0; i < alike.length; i++) if (hasNames(alike[i]!, names)) return alike[i]!;
  const layout = new Layout(names);
  if (alike.length === MAX_ALIKE) alike.shift();
  else sharedCount++;
  alike.push(layout);
  return layout;
}

/** Shared layouts with these ends. */
function layoutsAlike(first: string, last: string): Layout[] {
  // Programs may compute names without end.
  if (sharedCount >= MAX_SHARED) {
    shared.clear();
    sharedCount = 0;
  }
  let byLast = shared.get(first);
  if (byLast === undefined) shared.set(first, (byLast = new Map()));
  let alike = byLast.get(last);
  if (alike === undefined) byLast.set(last, (alike = []));
  return alike;
}

/** Whether a layout with the same ends is that of these names. */
function hasNames(layout: Layout, names: readonly string[]): boolean {
  const known = layout.names;
  if (known.length !== names.length) return false;
  for (let i = 1; i < names.length - 1; i++) if (known[i] !== names[i]) return false;
  return true;
}

/** The shape of sets with these names. @param positions parallel to `names` */
export function shapeOf(names: readonly string[], positions?: readonly Pos[]): Shape {
  const layout = layoutOf(names);
  return positions === undefined ? layout.bare : new Shape(layout, positions);
}

/** The shape of sets with these attributes. @param index of each name, where there is one */
export function shapeOfPlaced(
  attributes: readonly (Placed & { readonly name: string })[],
  index: Map<string, number> | undefined,
): Shape {
  const layout = layoutOf(
    attributes.map(({ name }) => name),
    index,
  );
  return new Shape(layout, undefined, attributes);
}

export const EMPTY_SHAPE = EMPTY_LAYOUT.bare;

/** Of sets of which nothing is left: Nix allots them, where all others without attributes are one object. */
export const EMPTIED_SHAPE = new Shape(EMPTY_LAYOUT, undefined);
