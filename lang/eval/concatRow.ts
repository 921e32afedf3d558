import { posOfExpr, type BinaryExpr, type Expr } from "../syntax/index.ts";
import { addFrame } from "../value/error.ts";
import { forceList } from "../value/force.ts";
import { isLong, itemsOf, joinLists } from "../value/growingList.ts";
import { claimWords } from "../value/heap.ts";
import type { Pos } from "../value/position.ts";
import { isList, type Env, type Slot, type Value } from "../value/value.ts";
import type { Code, Compiler } from "./code.ts";

export const CONCATENATED = "while evaluating one of the elements to concatenate";
export const IN_LEFT_OPERAND = "in the left operand of '++'";
export const IN_RIGHT_OPERAND = "in the right operand of '++'";

/** The lists of `a ++ (b ++ (c ++ d))`. */
export function listsOf(expr: BinaryExpr): Expr[] {
  const lists = [expr.left];
  let last = expr.right;
  for (; last.kind === "binary" && last.operator === "++"; last = last.right) lists.push(last.left);
  lists.push(last);
  return lists;
}

/** `a ++ b ++ c`: joined at once, with the frames and in the order of joining the last two first. */
export function compileConcatRow(expr: BinaryExpr, exprs: readonly Expr[], compiler: Compiler): Code {
  const codes = exprs.map((list) => compiler.compile(list));
  const last = codes.length - 1;
  const positions: Pos[] = [];
  let operand: Expr = expr;
  for (; operand.kind === "binary" && operand.operator === "++"; operand = operand.right)
    positions.push(operand.pos);
  positions.push(posOfExpr(operand));
  /** @param level of operators around */
  const inRightOperands = (error: unknown, level: number): unknown => {
    let framed = error;
    for (; level > 0; level--) framed = addFrame(framed, IN_RIGHT_OPERAND, positions[level]);
    return framed;
  };
  const evaluate = (index: number, env: Env): Value => {
    try {
      return codes[index]!(env);
    } catch (error) {
      const framed = index === last ? error : addFrame(error, IN_LEFT_OPERAND, posOfExpr(exprs[index]!));
      throw inRightOperands(framed, index);
    }
  };
  const checked = (value: Value, level: number): readonly Slot[] => {
    if (isList(value)) return value;
    try {
      return forceList(value, positions[level]!, CONCATENATED);
    } catch (error) {
      throw inRightOperands(error, level);
    }
  };
  return (env) => {
    const values: Value[] = [];
    for (let i = 0; i <= last; i++) values.push(evaluate(i, env));
    const lists: (readonly Slot[])[] = [];
    let words = 0;
    for (let level = last - 1; level >= 0; level--) {
      const left = checked(values[level]!, level);
      if (level === last - 1) {
        const right = checked(values[last]!, level);
        if (right.length > 0) lists.push(right);
        words += right.length;
      }
      if (left.length > 0) lists.push(left);
      words += left.length;
    }
    if (lists.length === 1) return lists[0]!;
    claimWords(words);
    return joinReversed(lists);
  };
}

/** Lists that are joined by one call: its arguments take room on the stack. */
const MAX_JOINED = 1 << 10;

/** @param lists the last one first */
function joinReversed(lists: (readonly Slot[])[]): readonly Slot[] {
  const right = lists[0];
  const left = lists.at(-1);
  if (right === undefined || left === undefined) return [];
  if (lists.length === 2) return joinLists(left, right);
  // The longer end may be a list that grows, by all the rest.
  if (isLong(right) && right.length >= left.length) return joinLists(joinAtOnce(lists.slice(1)), right);
  if (isLong(left)) return joinLists(left, joinAtOnce(lists.slice(0, -1)));
  return joinAtOnce(lists);
}

/** @param lists the last one first; turned round */
function joinAtOnce(lists: (readonly Slot[])[]): readonly Slot[] {
  lists.reverse();
  for (let i = 0; i < lists.length; i++) lists[i] = itemsOf(lists[i]!);
  if (lists.length > MAX_JOINED) return lists.flat() as Slot[];
  return ([] as Slot[]).concat(...lists);
}
