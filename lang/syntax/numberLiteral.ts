import { evalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";

export function integerOf(text: string, pos: Pos): number | bigint {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const big = BigInt(text);
  if (big >= 2n ** 63n) throw evalError("parse", `invalid integer '${text}'`, pos);
  return big;
}

export function floatOf(text: string, pos: Pos): number {
  const value = Number(text);
  if (isOutOfRange(text, value)) throw evalError("parse", `invalid float '${text}'`, pos);
  return value;
}

const LEAST_NORMAL = 2.2250738585072014e-308;

/** What C's `strtod` calls out of range: too large, or too small to be kept in full. */
function isOutOfRange(literal: string, value: number): boolean {
  if (!Number.isFinite(value)) return true;
  return value < LEAST_NORMAL && /[1-9]/.test(literal.replace(/e.*/i, ""));
}
