import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import { add } from "../value/arithmetic.ts";
import { coerceToString, makeString, type CoerceOptions } from "../value/coerce.ts";
import { showType } from "../value/describe.ts";
import { evalError } from "../value/error.ts";
import { canonicalPath } from "../value/path.ts";
import type { Pos } from "../value/position.ts";
import type { Runtime } from "../value/runtime.ts";
import {
  Float,
  PathValue,
  isInteger,
  isStringValue,
  type ContextString,
  type Value,
} from "../value/value.ts";

const SEGMENT = "while evaluating a path segment";

/** What is joined so far: each part is made a string before the next is evaluated. */
export class Joined {
  text: ByteString = "";
  readonly #runtime: Runtime;
  #context: Set<ContextElement> | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** @param copiesPaths a path stands for its copy in the store */
  add(value: Value, pos: Pos, copiesPaths: boolean): void {
    if (typeof value === "string") this.text += value;
    else
      this.text += coerceToString(
        this.#runtime,
        value,
        (this.#context ??= new Set()),
        pos,
        SEGMENT,
        copiesPaths ? COPIES : COPIES_NOT,
      );
  }

  toStringValue(): string | ContextString {
    return this.#context === undefined ? this.text : makeString(this.text, this.#context);
  }

  /** @param pos where the whole is */
  toPath(pos: Pos): PathValue {
    if (this.#context !== undefined && this.#context.size > 0)
      throw evalError("eval", "a string that refers to a store path cannot be appended to a path", pos);
    return new PathValue(canonicalPath(this.text));
  }
}

const COPIES: CoerceOptions = {};
const COPIES_NOT: CoerceOptions = { copyToStore: false };

/**
 * `a + b`: the first decides whether numbers are added, a path is extended, or strings are joined.
 * @param second evaluates `b`
 */
export function addValues(
  runtime: Runtime,
  first: Value,
  second: () => Value,
  parts: readonly { readonly pos: Pos }[],
  pos: Pos,
): Value {
  const firstPos = parts[0]!.pos;
  const secondPos = parts[1]!.pos;
  if (isInteger(first) || first instanceof Float) return addNumbers(first, second(), secondPos);
  const joined = new Joined(runtime);
  if (first instanceof PathValue) {
    // The first part keeps its last slash, so that `/a/${x}` joins as written.
    joined.text = first.path;
    joined.add(second(), secondPos, false);
    return joined.toPath(pos);
  }
  const isString = isStringValue(first);
  joined.add(first, firstPos, isString);
  joined.add(second(), secondPos, isString);
  return joined.toStringValue();
}

function addNumbers(first: number | bigint | Float, second: Value, pos: Pos): Value {
  if (isInteger(first)) {
    if (isInteger(second)) return add(first, second, pos);
    if (second instanceof Float) return new Float(Number(first) + second.value);
    throw evalError("type", `cannot add ${showType(second)} to an integer`, pos);
  }
  if (isInteger(second)) return new Float(first.value + Number(second));
  if (second instanceof Float) return new Float(first.value + second.value);
  throw evalError("type", `cannot add ${showType(second)} to a float`, pos);
}
