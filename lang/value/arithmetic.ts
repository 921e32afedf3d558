import { describeValue, showType } from "./describe.ts";
import { evalError } from "./error.ts";
import type { Pos } from "./position.ts";
import { Float, isInteger, type Value } from "./value.ts";

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** The integer value of a bigint in 64-bit range: a number while that is exact. */
export function integerOf(value: bigint): number | bigint {
  return value <= MAX_SAFE && value >= -MAX_SAFE ? Number(value) : value;
}

export function isInt64(value: bigint): boolean {
  return value <= MAX_INT && value >= MIN_INT;
}

const SAFE = Number.MAX_SAFE_INTEGER;
/** Products of floats below this are surely products of 64 bits. */
const SURELY_INT64 = 9.2e18;

/**
 * The `try…` functions compute what can be computed at once: two integers with a result in range; else they give
 * `undefined`, and the builtin of that name says what is wrong.
 */
export function tryAdd(a: unknown, b: unknown): number | bigint | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    return sum <= SAFE && sum >= -SAFE ? sum : fitted(BigInt(a) + BigInt(b));
  }
  return isIntegers(a, b) ? fitted(BigInt(a) + BigInt(b as bigint)) : undefined;
}

export function trySubtract(a: unknown, b: unknown): number | bigint | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    return difference <= SAFE && difference >= -SAFE ? difference : fitted(BigInt(a) - BigInt(b));
  }
  return isIntegers(a, b) ? fitted(BigInt(a) - BigInt(b as bigint)) : undefined;
}

export function tryMultiply(a: unknown, b: unknown): number | bigint | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    // "+ 0" turns −0 into 0.
    if (product <= SAFE && product >= -SAFE) return product + 0;
    const exact = BigInt(a) * BigInt(b);
    return product < SURELY_INT64 && product > -SURELY_INT64 ? exact : fitted(exact);
  }
  return isIntegers(a, b) ? fitted(BigInt(a) * BigInt(b as bigint)) : undefined;
}

export function tryDivide(a: unknown, b: unknown): number | bigint | undefined {
  if (b === 0) return undefined;
  if (typeof a === "number" && typeof b === "number") return Math.trunc(a / b) + 0;
  return isIntegers(a, b) ? fitted(BigInt(a) / BigInt(b as bigint)) : undefined;
}

function isIntegers(a: unknown, b: unknown): a is number | bigint {
  return (typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint");
}

function fitted(result: bigint): number | bigint | undefined {
  return isInt64(result) ? integerOf(result) : undefined;
}

export function add(a: number | bigint, b: number | bigint, pos: Pos): number | bigint {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return checked(BigInt(a) + BigInt(b), "adding", a, "+", b, pos);
}

/** `a - b` of integers or floats. */
export function subtract(a: Value, b: Value, pos: Pos): Value {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  if (isInteger(a) && isInteger(b)) return checked(BigInt(a) - BigInt(b), "subtracting", a, "-", b, pos);
  return new Float(numberOf(a, pos) - numberOf(b, pos));
}

export function multiply(a: Value, b: Value, pos: Pos): Value {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    // "+ 0" turns −0 into 0.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  if (isInteger(a) && isInteger(b)) return checked(BigInt(a) * BigInt(b), "multiplying", a, "*", b, pos);
  return new Float(numberOf(a, pos) * numberOf(b, pos));
}

export function divide(a: Value, b: Value, pos: Pos): Value {
  if (numberOf(b, pos) === 0) throw evalError("eval", "division by zero", pos);
  if (typeof a === "number" && typeof b === "number") return Math.trunc(a / b) + 0;
  if (isInteger(a) && isInteger(b)) return checked(BigInt(a) / BigInt(b), "dividing", a, "/", b, pos);
  return new Float(numberOf(a, pos) / numberOf(b, pos));
}

function checked(
  result: bigint,
  doing: string,
  a: number | bigint,
  sign: string,
  b: number | bigint,
  pos: Pos,
): number | bigint {
  if (!isInt64(result)) throw evalError("eval", `integer overflow in ${doing} ${a} ${sign} ${b}`, pos);
  return integerOf(result);
}

function numberOf(value: Value, pos: Pos): number {
  if (value instanceof Float) return value.value;
  if (isInteger(value)) return Number(value);
  throw evalError("type", `expected an integer but found ${showType(value)}: ${describeValue(value)}`, pos);
}
