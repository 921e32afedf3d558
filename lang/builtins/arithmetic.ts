import {
  Float,
  NO_POS,
  add,
  divide,
  force,
  forceFloat,
  forceInt,
  integerOf,
  isInteger,
  lessThan,
  multiply,
  subtract,
  type Slot,
  type Value,
} from "../value/index.ts";
import { formatFloat } from "../print/floats.ts";
import { define1, define2, failure, type Definition } from "./define.ts";

export const ARITHMETIC_BUILTINS: readonly Definition[] = [
  define2("add", "e1 e2", "The sum of two numbers.", (_, e1, e2) => {
    const a = force(e1);
    const b = force(e2);
    if (typeof a === "number" && typeof b === "number") return add(a, b, NO_POS);
    if (a instanceof Float || b instanceof Float)
      return new Float(
        forceFloat(a, NO_POS, "while evaluating the first argument of the addition") +
          forceFloat(b, NO_POS, "while evaluating the second argument of the addition"),
      );
    const first = forceInt(a, NO_POS, "while evaluating the first argument of the addition");
    return add(first, forceInt(b, NO_POS, "while evaluating the second argument of the addition"), NO_POS);
  }),
  define2("sub", "e1 e2", "The difference of two numbers.", (_, e1, e2) =>
    withNumbers(
      e1,
      e2,
      "the first argument of the subtraction",
      "the second argument of the subtraction",
      subtract,
    ),
  ),
  define2("mul", "e1 e2", "The product of two numbers.", (_, e1, e2) =>
    withNumbers(
      e1,
      e2,
      "the first argument of the multiplication",
      "the second argument of the multiplication",
      multiply,
    ),
  ),
  define2("div", "e1 e2", "The quotient of two numbers; of integers, rounded towards zero.", (_, e1, e2) => {
    const a = force(e1);
    const b = force(e2);
    if (forceFloat(b, NO_POS, "while evaluating the second operand of the division") === 0)
      throw failure("division by zero");
    if (a instanceof Float || b instanceof Float)
      forceFloat(a, NO_POS, "while evaluating the first operand of the division");
    else forceInt(a, NO_POS, "while evaluating the first operand of the division");
    return divide(a, b, NO_POS);
  }),
  define2("lessThan", "e1 e2", "Whether `e1 < e2`.", (_, e1, e2) => lessThan(force(e1), force(e2), NO_POS)),
  bitwise("bitAnd", "The bitwise AND of two integers.", (a, b) => a & b),
  bitwise("bitOr", "The bitwise OR of two integers.", (a, b) => a | b),
  bitwise("bitXor", "The bitwise XOR of two integers.", (a, b) => a ^ b),
  define1("ceil", "number", "The smallest integer not less than a number.", (_, number) =>
    round(number, "ceil"),
  ),
  define1("floor", "number", "The largest integer not greater than a number.", (_, number) =>
    round(number, "floor"),
  ),
];

type Operator = (a: Value, b: Value, pos: number) => Value;

function withNumbers(e1: Slot, e2: Slot, first: string, second: string, operator: Operator): Value {
  const a = force(e1);
  const b = force(e2);
  if (typeof a === "number" && typeof b === "number") return operator(a, b, NO_POS);
  const isFloat = a instanceof Float || b instanceof Float;
  const check = isFloat ? forceFloat : forceInt;
  // Nix leaves out a word for float multiplications.
  const firstName = isFloat && operator === multiply ? "the first of the multiplication" : first;
  check(a, NO_POS, `while evaluating ${firstName}`);
  check(b, NO_POS, `while evaluating ${second}`);
  return operator(a, b, NO_POS);
}

function bitwise(name: string, doc: string, operator: (a: bigint, b: bigint) => bigint): Definition {
  return define2(name, "e1 e2", doc, (_, e1, e2) => {
    const a = forceInt(e1, NO_POS, `while evaluating the first argument passed to builtins.${name}`);
    const b = forceInt(e2, NO_POS, `while evaluating the second argument passed to builtins.${name}`);
    return integerOf(operator(BigInt(a), BigInt(b)));
  });
}

const ISSUE = "Due to a bug (see https://github.com/NixOS/nix/issues/12899)";
const OUTLOOK = "\n\tFuture Nix versions might implement the correct behavior.";

/** Integers beyond 2^53 went through a float in Nix, which now refuses them. */
function round(slot: Slot, name: "ceil" | "floor"): Value {
  const number = forceFloat(slot, NO_POS, `while evaluating the first argument passed to builtins.${name}`);
  const value = force(slot);
  const rounded = name === "ceil" ? Math.ceil(number) : Math.floor(number);
  if (rounded >= -(2 ** 63) && rounded < 2 ** 63) {
    const result = integerOf(BigInt(rounded));
    if (isInteger(value) && value !== result)
      throw failure(
        `${ISSUE} a loss of precision occurred in previous Nix versions because the NixInt argument ${value} was rounded to ${result}.${OUTLOOK}`,
      );
    return result;
  }
  if (isInteger(value))
    throw failure(
      `${ISSUE} the NixInt argument ${value} caused undefined behavior in previous Nix versions.${OUTLOOK}`,
    );
  throw failure(`NixFloat argument ${formatFloat(number)} is not in the range of NixInt`);
}
