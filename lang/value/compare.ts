import { calls, enterLevel } from "./callDepth.ts";
import { describeValue, showType } from "./describe.ts";
import { addFrame, evalError } from "./error.ts";
import { force } from "./force.ts";
import { pathUse } from "./pathUse.ts";
import { NO_POS, type Pos } from "./position.ts";
import {
  AttrSet,
  ContextString,
  Float,
  PathValue,
  Thunk,
  isFunctionValue,
  isInteger,
  isList,
  type Slot,
  type Value,
} from "./value.ts";

/** `==`. Functions are never equal, unless a set or list holds the very same one. */
export function equalValues(left: Slot, right: Slot, pos: Pos): boolean {
  // The same thunk (or object) on both sides is equal whatever it holds, as in Nix, which compares addresses first.
  if (left === right && typeof left === "object" && left !== null) {
    force(left, pos);
    return true;
  }
  let a: Value;
  let b: Value;
  if (isWaiting(left) || isWaiting(right)) {
    enterLevel(pos);
    a = force(left, pos);
    b = force(right, pos);
    calls.depth--;
  } else {
    a = force(left, pos);
    b = force(right, pos);
  }
  switch (typeof a) {
    case "string":
      return typeof b === "string" ? a === b : b instanceof ContextString && a === b.text;
    case "boolean":
      return a === b;
    case "number":
    case "bigint":
      if (isInteger(b)) return a === b;
      return b instanceof Float && Number(a) === b.value;
    default:
      break;
  }
  if (a === null) return b === null;
  if (a instanceof AttrSet || isList(a)) {
    enterLevel(pos);
    const isEqual =
      a instanceof AttrSet
        ? b instanceof AttrSet && equalSets(a, b, pos)
        : isList(b) && equalLists(a, b, pos);
    calls.depth--;
    return isEqual;
  }
  if (a instanceof ContextString)
    return typeof b === "string" ? a.text === b : b instanceof ContextString && a.text === b.text;
  if (a instanceof PathValue) return b instanceof PathValue && pathText(a) === pathText(b);
  if (a instanceof Float)
    return b instanceof Float ? a.value === b.value : isInteger(b) && a.value === Number(b);
  return false;
}

/** What is still to be evaluated: a level deeper, as all that comparing does. */
function isWaiting(slot: Slot): boolean {
  return slot instanceof Thunk && slot.code !== null;
}

function pathText({ path }: PathValue): string {
  pathUse.tell?.(path);
  return path;
}

function equalLists(a: readonly Slot[], b: readonly Slot[], pos: Pos): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!equalValues(a[i]!, b[i]!, pos)) return false;
  return true;
}

/** Whether all that two sets hold is equal: also of the same set all is evaluated, as in Nix. */
export function equalSets(a: AttrSet, b: AttrSet, pos: Pos): boolean {
  if (isDerivation(a) && isDerivation(b)) {
    const left = a.get("outPath");
    const right = b.get("outPath");
    if (left !== undefined && right !== undefined) return equalValues(left, right, pos);
  }
  const flatA = a.flatten();
  const flatB = b.flatten();
  if (flatA.values.length !== flatB.values.length) return false;
  const names = flatA.shape.names;
  for (const i of flatA.shape.order()) {
    const j = flatB.shape.find(names[i]!);
    if (j < 0 || !equalValues(flatA.values[i]!, flatB.values[j]!, pos)) return false;
  }
  return true;
}

/** A set with `type = "derivation"`. */
export function isDerivation(value: Value): value is AttrSet {
  if (!(value instanceof AttrSet)) return false;
  const type = value.get("type");
  return type !== undefined && force(type, value.posOf("type")) === "derivation";
}

interface Difference {
  readonly left: Slot;
  readonly right: Slot;
  /** Lists around it. */
  readonly levels: number;
}

/**
 * The first elements of two lists that are not equal; in lists of the same length within them, theirs. (To ask at
 * every level whether all within is equal would take time by the square of the depth.)
 */
function firstDifference(a: readonly Slot[], b: readonly Slot[], pos: Pos): Difference | undefined {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a[i]!;
    const right = b[i]!;
    calls.depth++;
    const x = force(left, pos);
    const y = force(right, pos);
    calls.depth--;
    if (left !== right && isList(x) && isList(y) && x.length === y.length) {
      enterLevel(pos);
      const inner = firstDifference(x, y, pos);
      calls.depth--;
      if (inner !== undefined) return { ...inner, levels: inner.levels + 1 };
    } else if (!equalValues(left, right, pos)) return { left, right, levels: 1 };
  }
  return undefined;
}

/** `<`: numbers, strings, paths, and lists of them. */
export function lessThan(left: Slot, right: Slot, pos: Pos): boolean {
  const a = force(left, pos);
  const b = force(right, pos);
  if (typeof a === "number" && typeof b === "number") return a < b;
  if (typeof a === "string" && typeof b === "string") return a < b;
  if ((isInteger(a) || a instanceof Float) && (isInteger(b) || b instanceof Float)) {
    // An integer is rounded to be compared with a float, as C++ does.
    if (a instanceof Float) return a.value < (b instanceof Float ? b.value : Number(b));
    return b instanceof Float ? Number(a) < b.value : a < b;
  }
  const textA = typeof a === "string" ? a : a instanceof ContextString ? a.text : undefined;
  const textB = typeof b === "string" ? b : b instanceof ContextString ? b.text : undefined;
  if (textA !== undefined && textB !== undefined) return textA < textB;
  if (a instanceof PathValue && b instanceof PathValue) return pathText(a) < pathText(b);
  if (isList(a) && isList(b)) {
    const pair = firstDifference(a, b, pos);
    if (pair === undefined) return a.length < b.length;
    try {
      return lessThan(pair.left, pair.right, NO_POS);
    } catch (error) {
      let framed = error;
      for (let level = 0; level < pair.levels; level++)
        framed = addFrame(framed, "while comparing two list elements");
      throw framed;
    }
  }
  const isSameKind = isFunctionValue(a) ? isFunctionValue(b) : showType(a) === showType(b);
  throw evalError(
    "type",
    isSameKind
      ? `cannot compare ${showType(a)} with ${showType(b)}; values of that type are incomparable (values are ${describeValue(a)} and ${describeValue(b)})`
      : `cannot compare ${showType(a)} with ${showType(b)}; values are ${describeValue(a)} and ${describeValue(b)}`,
    pos,
  );
}
