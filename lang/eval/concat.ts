import type { ContextElement } from "../host.ts";
import { add } from "../value/arithmetic.ts";
import { coerceToString, makeString } from "../value/coerce.ts";
import { showType } from "../value/describe.ts";
import { evalError } from "../value/error.ts";
import { canonicalPath } from "../value/path.ts";
import type { Pos } from "../value/position.ts";
import type { Runtime } from "../value/runtime.ts";
import { Float, PathValue, isInteger, type Value } from "../value/value.ts";

const SEGMENT = "while evaluating a path segment";

/**
 * `a + b + …` and string interpolation in general: the first operand decides whether numbers are added, a path is
 * extended, or strings are joined.
 * @param isString interpolation: always a string
 */
export function concatValues(
  runtime: Runtime,
  values: readonly Value[],
  positions: readonly Pos[],
  isString: boolean,
  pos: Pos,
): Value {
  const first = values[0]!;
  if (!isString && (isInteger(first) || first instanceof Float)) return addNumbers(values, positions);
  const context = new Set<ContextElement>();
  if (!isString && first instanceof PathValue) {
    // The first part keeps its last slash, so that `/a/${x}` joins as written.
    let path = first.path;
    for (let i = 1; i < values.length; i++)
      path += coerceToString(runtime, values[i]!, context, positions[i]!, SEGMENT, { copyToStore: false });
    if (context.size > 0)
      throw evalError("eval", "a string that refers to a store path cannot be appended to a path", pos);
    return new PathValue(canonicalPath(path));
  }
  let text = "";
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    text +=
      typeof value === "string" ? value : coerceToString(runtime, value, context, positions[i]!, SEGMENT);
  }
  return makeString(text, context);
}

function addNumbers(values: readonly Value[], positions: readonly Pos[]): Value {
  let sum = values[0] as number | bigint | Float;
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (isInteger(sum)) {
      if (isInteger(value)) sum = add(sum, value, positions[i]!);
      else if (value instanceof Float) sum = new Float(Number(sum) + value.value);
      else throw evalError("type", `cannot add ${showType(value)} to an integer`, positions[i]);
    } else if (isInteger(value)) sum = new Float(sum.value + Number(value));
    else if (value instanceof Float) sum = new Float(sum.value + value.value);
    else throw evalError("type", `cannot add ${showType(value)} to a float`, positions[i]);
  }
  return sum;
}
