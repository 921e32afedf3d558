import {
  AttrSet,
  EMPTY_SET,
  Lambda,
  Layout,
  NO_POS,
  PrimOp,
  PrimOpApp,
  Shape,
  claimWords,
  evalError,
  force,
  forceAttrs,
  forceFunction,
  forceList,
  forceStringNoContext,
  getAttr,
  positionValue,
  shapeOf,
  fitted,
  template,
  type FlatAttrSet,
  type Formal,
  type Pos,
  type Slot,
} from "../value/index.ts";
import { EAGER_ITEMS, define1, define2, delayCall2, delaySlotCall2, type Definition } from "./define.ts";

const PAIR = "in a {name=...; value=...;} pair";

export const ATTRIBUTE_BUILTINS: readonly Definition[] = [
  define1("attrNames", "set", "The names of a set's attributes, sorted.", (_, set) =>
    forceAttrs(set, NO_POS, "while evaluating the argument passed to builtins.attrNames").sortedNames(),
  ),
  define1("attrValues", "set", "The values of a set's attributes, sorted by name.", (_, set) => {
    const flat = forceAttrs(
      set,
      NO_POS,
      "while evaluating the argument passed to builtins.attrValues",
    ).flatten();
    const order = flat.shape.order();
    claimWords(order.length);
    const values = new Array<Slot>(order.length);
    for (let i = 0; i < order.length; i++) values[i] = flat.values[order[i]!]!;
    return values;
  }),
  define2(
    "getAttr",
    "s set",
    "The attribute of a set with a name; fails when there is none.",
    (_, s, set) => {
      const name = forceStringNoContext(
        s,
        NO_POS,
        "while evaluating the first argument passed to builtins.getAttr",
      );
      const attrs = forceAttrs(
        set,
        NO_POS,
        "while evaluating the second argument passed to builtins.getAttr",
      );
      return force(getAttr(attrs, name, "in the attribute set under consideration"));
    },
  ),
  define2("hasAttr", "s set", "Whether a set has an attribute.", (_, s, set) => {
    const name = forceStringNoContext(
      s,
      NO_POS,
      "while evaluating the first argument passed to builtins.hasAttr",
    );
    return forceAttrs(set, NO_POS, "while evaluating the second argument passed to builtins.hasAttr").has(
      name,
    );
  }),
  define2("unsafeGetAttrPos", "s set", "Where an attribute was written, or `null`.", (_, s, set) => {
    const name = forceStringNoContext(
      s,
      NO_POS,
      "while evaluating the first argument passed to builtins.unsafeGetAttrPos",
    );
    const attrs = forceAttrs(
      set,
      NO_POS,
      "while evaluating the second argument passed to builtins.unsafeGetAttrPos",
    );
    return positionValue(attrs.posOf(name));
  }),
  define2(
    "removeAttrs",
    "set list",
    "A set without the attributes named in a list.",
    (_, set, list) => {
      const attrs = forceAttrs(
        set,
        NO_POS,
        "while evaluating the first argument passed to builtins.removeAttrs",
      );
      const names = forceList(
        list,
        NO_POS,
        "while evaluating the second argument passed to builtins.removeAttrs",
      );
      const context = "while evaluating the values of the second argument passed to builtins.removeAttrs";
      const removed = new Set<string>();
      for (let i = 0; i < names.length; i++) {
        const name = forceStringNoContext(names[i]!, NO_POS, context);
        if (attrs.has(name)) removed.add(name);
      }
      return removed.size === 0 ? attrs.copy() : attrs.filterNames((name) => !removed.has(name));
    },
    { isGlobal: true },
  ),
  define1(
    "listToAttrs",
    "e",
    "The set of a list of `{ name, value }`; of equal names the first counts.",
    (_, e) => {
      const items = forceList(e, NO_POS, "while evaluating the argument passed to builtins.listToAttrs");
      claimWords(items.length * WORDS_OF_PAIR);
      // A few names are found as fast without, and share their layout with other sets.
      const index = items.length > FEW_NAMES ? new Map<string, number>() : undefined;
      const names: string[] = [];
      const values: Slot[] = [];
      const positions: Pos[] = [];
      // Where the last layout has its two names: most lists are made by one function.
      let layout: Layout | undefined;
      let nameAt = -1;
      let valueAt = -1;
      let withoutValue: AttrSet | undefined;
      for (let i = 0; i < items.length; i++) {
        const pair = forceAttrs(
          items[i]!,
          NO_POS,
          "while evaluating an element of the list passed to builtins.listToAttrs",
        );
        if (pair.base !== null) pair.flatten();
        const { shape } = pair;
        if (shape.layout !== layout) {
          layout = shape.layout;
          nameAt = layout.find("name");
          valueAt = layout.find("value");
        }
        const nameSlot = nameAt < 0 ? getAttr(pair, "name", PAIR) : pair.slotAt(nameAt);
        const name =
          typeof nameSlot === "string"
            ? nameSlot
            : forceStringNoContext(
                nameSlot,
                shape.positions?.[nameAt] ?? NO_POS,
                "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs",
              );
        if (index === undefined ? names.includes(name) : index.has(name)) continue;
        index?.set(name, names.length);
        names.push(name);
        if (valueAt < 0) withoutValue ??= pair;
        values.push(valueAt < 0 ? null : pair.slotAt(valueAt));
        positions.push(shape.positions?.[valueAt] ?? NO_POS);
      }
      // Nix looks at the values after all names.
      if (withoutValue !== undefined) getAttr(withoutValue, "value", PAIR);
      if (index === undefined) return setOf(fitted(names), fitted(values), fitted(positions));
      return new AttrSet(new Shape(new Layout(fitted(names), index), fitted(positions)), fitted(values));
    },
  ),
  define2("intersectAttrs", "e1 e2", "The attributes of `e2` whose names are in `e1` too.", (_, e1, e2) => {
    const left = forceAttrs(
      e1,
      NO_POS,
      "while evaluating the first argument passed to builtins.intersectAttrs",
    );
    const right = forceAttrs(
      e2,
      NO_POS,
      "while evaluating the second argument passed to builtins.intersectAttrs",
    );
    return intersect(left.flatten(), right);
  }),
  define2(
    "catAttrs",
    "attr list",
    "The values of an attribute, of those sets in a list that have it.",
    (_, attr, list) => {
      const name = forceStringNoContext(
        attr,
        NO_POS,
        "while evaluating the first argument passed to builtins.catAttrs",
      );
      const items = forceList(
        list,
        NO_POS,
        "while evaluating the second argument passed to builtins.catAttrs",
      );
      const found: Slot[] = [];
      for (let i = 0; i < items.length; i++) {
        const value = forceAttrs(
          items[i]!,
          NO_POS,
          "while evaluating an element in the list passed as second argument to builtins.catAttrs",
        ).get(name);
        if (value !== undefined) found.push(value);
      }
      return fitted(found);
    },
  ),
  define1(
    "functionArgs",
    "f",
    "The names of the attributes a function takes, and whether each has a default.",
    (_, f) => {
      const fn = force(f);
      if (fn instanceof PrimOp || fn instanceof PrimOpApp) return EMPTY_SET;
      if (!(fn instanceof Lambda)) throw evalError("type", "'functionArgs' requires a function");
      const { formals } = fn.code;
      return formals === undefined || formals.length === 0 ? EMPTY_SET : formalsSet(formals);
    },
  ),
  define2("mapAttrs", "f attrset", "The set of `f name value` for each attribute.", (_, f, attrset) => {
    const attrs = forceAttrs(
      attrset,
      NO_POS,
      "while evaluating the second argument passed to builtins.mapAttrs",
    ).flatten();
    const { shape, values } = attrs;
    if (values.length === 0) return attrs;
    claimWords(values.length);
    const names = shape.names;
    // Nix gives the mapped attributes no positions.
    const mappedShape = shape.layout.bare;
    const isEager = values.length >= EAGER_ITEMS;
    const makeSlot = (i: number): Slot => delaySlotCall2(f, names[i]!, values[i]!, isEager);
    if (values.length > EAGER_SIZE) return new AttrSet(mappedShape, template(values.length), null, makeSlot);
    const mapped = values.slice();
    for (let i = 0; i < mapped.length; i++) mapped[i] = makeSlot(i);
    return new AttrSet(mappedShape, mapped);
  }),
  define2("zipAttrsWith", "f list", "Merges sets: `f name values` for each name.", (_, f, list) => {
    const fn = forceFunction(
      f,
      NO_POS,
      "while evaluating the first argument passed to builtins.zipAttrsWith",
    );
    const items = forceList(
      list,
      NO_POS,
      "while evaluating the second argument passed to builtins.zipAttrsWith",
    );
    const found = new Map<string, Slot[]>();
    for (let i = 0; i < items.length; i++) {
      const { shape, values } = forceAttrs(
        items[i]!,
        NO_POS,
        "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith",
      ).flatten();
      for (let j = 0; j < values.length; j++) {
        const name = shape.names[j]!;
        const group = found.get(name);
        if (group === undefined) found.set(name, [values[j]!]);
        else group.push(values[j]!);
      }
    }
    const names = [...found.keys()];
    return setOf(
      names,
      names.map((name) => delayCall2(fn, name, found.get(name)!)),
    );
  }),
];

/** An attribute with its place in an index. */
const WORDS_OF_PAIR = 8;

/** Up to so many items `listToAttrs` searches the names one by one. */
const FEW_NAMES = 8;

/** Up to this size mapped attributes are made at once; beyond, when asked for. */
const EAGER_SIZE = 8;

/** The attributes of `right` that `left` names too; in one walk over the smaller. */
function intersect(left: FlatAttrSet, right: AttrSet): AttrSet {
  const names: string[] = [];
  const values: Slot[] = [];
  const positions: Pos[] = [];
  if (right.base !== null || left.values.length < right.values.length) {
    const leftNames = left.shape.names;
    for (let k = 0; k < leftNames.length; k++) {
      const name = leftNames[k]!;
      for (let layer: AttrSet | null = right; layer !== null; layer = layer.base) {
        const i = layer.shape.find(name);
        if (i < 0) continue;
        names.push(name);
        values.push(layer.slotAt(i));
        positions.push(layer.shape.positions?.[i] ?? NO_POS);
        break;
      }
    }
  } else {
    const { shape, values: rightValues } = right.flatten();
    for (let i = 0; i < rightValues.length; i++) {
      const name = shape.names[i]!;
      if (left.shape.find(name) < 0) continue;
      names.push(name);
      values.push(rightValues[i]!);
      positions.push(shape.positions?.[i] ?? NO_POS);
    }
  }
  if (names.length === 0 && left.values.length > 0 && right.size > 0) return AttrSet.emptied();
  return setOf(fitted(names), fitted(values), fitted(positions));
}

function setOf(names: string[], values: Slot[], positions?: readonly Pos[]): AttrSet {
  if (names.length === 0) return EMPTY_SET;
  const known = positions?.some((pos) => pos !== NO_POS) === true ? positions : undefined;
  return new AttrSet(shapeOf(names, known), values);
}

const formalsSets = new WeakMap<readonly Formal[], AttrSet>();

/** One set for each function expression, so that all of its callers share a shape. */
function formalsSet(formals: readonly Formal[]): AttrSet {
  let set = formalsSets.get(formals);
  if (set === undefined) {
    set = AttrSet.of(
      formals.map((formal) => formal.name),
      formals.map((formal) => formal.hasDefault),
      formals.map((formal) => formal.pos),
    );
    formalsSets.set(formals, set);
  }
  return new AttrSet(set.shape, set.values);
}
