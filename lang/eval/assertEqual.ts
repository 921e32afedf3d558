import { calls, enterLevel } from "../value/callDepth.ts";
import { equalValues, isDerivation } from "../value/compare.ts";
import { describeValue, showType, typeName } from "../value/describe.ts";
import { addFrame, evalError } from "../value/error.ts";
import { force } from "../value/force.ts";
import { formatFloat, quoteAttrName } from "../value/literal.ts";
import type { Pos } from "../value/position.ts";
import { AttrSet, Float, isInteger, isList, type Slot, type Value } from "../value/value.ts";

/** Says where two values differ that `==` found unequal. @throws EvalError of kind `assert` */
export function assertEqual(left: Slot, right: Slot, pos: Pos): void {
  const a = force(left, pos);
  const b = force(right, pos);
  const isNumber = (value: Value): boolean => isInteger(value) || value instanceof Float;
  if (isNumber(a) && isNumber(b) && typeName(a) !== typeName(b)) {
    if (equalValues(a, b, pos)) return;
    throw different(
      `${showType(a)} with value '${describeValue(a)}' is not equal to ${showType(b)} with value '${describeValue(b)}'`,
    );
  }
  if (typeName(a) !== typeName(b))
    throw different(
      `${showType(a)} of value '${describeValue(a)}' is not equal to ${showType(b)} of value '${describeValue(b)}'`,
    );
  if (isNumber(a)) {
    if (equalValues(a, b, pos)) return;
    throw different(
      `${showType(a)} with value '${describeNumber(a)}' is not equal to ${showType(b)} with value '${describeNumber(b)}'`,
    );
  }
  if ((isList(a) && isList(b)) || (a instanceof AttrSet && b instanceof AttrSet)) {
    enterLevel(pos);
    if (isList(a)) assertEqualLists(a, b as readonly Slot[], pos);
    else assertEqualSets(a as AttrSet, b as AttrSet, pos);
    calls.depth--;
    return;
  }
  const type = typeName(a);
  if (type === "lambda")
    throw different("distinct functions and immediate comparisons of identical functions compare as unequal");
  if (!equalValues(a, b, pos))
    throw different(
      `${NOUNS[type] ?? type} '${describeValue(a)}' is not equal to ${NOUNS[type] ?? type} '${describeValue(b)}'`,
    );
}

const NOUNS: Record<string, string> = { bool: "boolean" };

function different(message: string): Error {
  return evalError("assert", message);
}

function describeNumber(value: Value): string {
  return value instanceof Float ? formatFloat(value.value) : describeValue(value);
}

function assertEqualLists(a: readonly Slot[], b: readonly Slot[], pos: Pos): void {
  if (a.length !== b.length)
    throw different(
      `list of size '${a.length}' is not equal to list of size '${b.length}', left hand side is '${describeValue(a)}', right hand side is '${describeValue(b)}'`,
    );
  for (let i = 0; i < a.length; i++)
    try {
      assertEqual(a[i]!, b[i]!, pos);
    } catch (error) {
      throw addFrame(error, `while comparing list element ${i}`, pos);
    }
}

function assertEqualSets(a: AttrSet, b: AttrSet, pos: Pos): void {
  if (isDerivation(a) && isDerivation(b)) {
    const left = a.get("outPath");
    const right = b.get("outPath");
    if (left !== undefined && right !== undefined) {
      try {
        assertEqual(left, right, pos);
        return;
      } catch (error) {
        throw addFrame(error, "while comparing a derivation by its 'outPath' attribute", pos);
      }
    }
  }
  if (a.size !== b.size)
    throw different(
      `attribute names of attribute set '${describeValue(a)}' differs from attribute set '${describeValue(b)}'`,
    );
  for (const name of a.sortedNames()) {
    if (!b.has(name))
      throw different(
        `attribute name '${name}' is contained in '${describeValue(a)}', but not in '${describeValue(b)}'`,
      );
    try {
      assertEqual(a.get(name)!, b.get(name)!, pos);
    } catch (error) {
      let framed = error;
      if (b.posOf(name) !== 0) framed = addFrame(framed, "where right hand side is", b.posOf(name));
      if (a.posOf(name) !== 0) framed = addFrame(framed, "where left hand side is", a.posOf(name));
      throw addFrame(framed, `while comparing attribute '${quoteAttrName(name)}'`, pos);
    }
  }
}
