import { RegexError, type ByteSet, type ParsedRegex, type RegexNode } from "./syntax.ts";

/** Instructions of the matching machine. `next` is the instruction that follows. */
export type Instruction =
  | { readonly op: "set"; readonly set: ByteSet; next: number }
  | { readonly op: "save"; readonly slot: number; next: number }
  | { readonly op: "bol"; next: number }
  | { readonly op: "eol"; next: number }
  /** Both ways are tried; the longest match wins, the first way among equals. */
  | { readonly op: "either"; readonly first: number; next: number; readonly branch: number }
  /** `body` first, and `next` only when that led to no match. `guard` ≥ 0 where the body can match nothing. */
  | { readonly op: "repeat"; body: number; readonly guard: number; next: number; readonly branch: number }
  | { readonly op: "accept" };

export interface RegexProgram {
  readonly instructions: readonly Instruction[];
  readonly start: number;
  readonly groupCount: number;
  /** How many repeats have a body that can match nothing. */
  readonly guardCount: number;
  readonly hasAlternatives: boolean;
  /** How many instructions have two ways on; `branch` numbers them. */
  readonly branchCount: number;
  /** The bytes a match can begin with; `undefined` where it can be empty. */
  readonly startSet: ByteSet | undefined;
}

/** Copies of repeated bodies, and so the machine's size. */
const MAX_INSTRUCTIONS = 400_000;

/** Compiles backwards: every node is given the instruction that follows it. */
export function compileRegex({ root, groupCount }: ParsedRegex): RegexProgram {
  const instructions: Instruction[] = [{ op: "accept" }];
  let guardCount = 0;
  let branchCount = 0;
  let hasAlternatives = false;
  const nullable = new Map<RegexNode, boolean>();
  const emit = (instruction: Instruction): number => {
    if (instructions.length >= MAX_INSTRUCTIONS) throw new RegexError("space");
    return instructions.push(instruction) - 1;
  };
  const guardOf = (body: RegexNode): number => (isNullable(body, nullable) ? guardCount++ : -1);
  const compile = (node: RegexNode, next: number): number => {
    switch (node.kind) {
      case "empty":
        return next;
      case "set":
        return emit({ op: "set", set: node.set, next });
      case "bol":
      case "eol":
        return emit({ op: node.kind, next });
      case "group": {
        const end = emit({ op: "save", slot: node.index * 2 + 1, next });
        return emit({ op: "save", slot: node.index * 2, next: compile(node.body, end) });
      }
      case "sequence":
        return node.items.reduceRight((following, item) => compile(item, following), next);
      case "alternatives": {
        hasAlternatives = true;
        const right = compile(node.right, next);
        return emit({ op: "either", first: compile(node.left, next), next: right, branch: branchCount++ });
      }
      case "repeat": {
        let at = next;
        const { body, min, max } = node;
        if (max === Infinity) {
          const loop: Instruction = {
            op: "repeat",
            body: -1,
            guard: guardOf(body),
            next,
            branch: branchCount++,
          };
          const index = emit(loop);
          loop.body = compile(body, index);
          // `x+` runs its body, then the loop; `x*` starts with the loop.
          at = min > 0 ? loop.body : index;
          for (let i = 1; i < min; i++) at = compile(body, at);
          return at;
        }
        for (let i = min; i < max; i++)
          at = emit({
            op: "repeat",
            body: compile(body, at),
            guard: guardOf(body),
            next,
            branch: branchCount++,
          });
        for (let i = 0; i < min; i++) at = compile(body, at);
        return at;
      }
    }
  };
  const start = compile(root, 0);
  return {
    instructions,
    start,
    groupCount,
    guardCount,
    hasAlternatives,
    branchCount,
    startSet: startSetOf(root, nullable),
  };
}

function startSetOf(root: RegexNode, nullable: Map<RegexNode, boolean>): ByteSet | undefined {
  return isNullable(root, nullable) ? undefined : firstBytes(root, nullable);
}

/** The bytes that can begin a match that is not empty. */
export function firstBytes(node: RegexNode, nullable: Map<RegexNode, boolean>): ByteSet {
  switch (node.kind) {
    case "empty":
    case "bol":
    case "eol":
      return new Uint8Array(256);
    case "set":
      return node.set;
    case "group":
    case "repeat":
      return node.kind === "repeat" && node.max === 0 ? new Uint8Array(256) : firstBytes(node.body, nullable);
    case "alternatives":
      return union(firstBytes(node.left, nullable), firstBytes(node.right, nullable));
    case "sequence": {
      let bytes: ByteSet = new Uint8Array(256);
      for (const item of node.items) {
        bytes = union(bytes, firstBytes(item, nullable));
        if (!isNullable(item, nullable)) break;
      }
      return bytes;
    }
  }
}

function union(a: ByteSet, b: ByteSet): ByteSet {
  return a.map((flag, byte) => flag | b[byte]!);
}

/** Whether a node can match the empty string. */
export function isNullable(node: RegexNode, known: Map<RegexNode, boolean>): boolean {
  const before = known.get(node);
  if (before !== undefined) return before;
  const result = ((): boolean => {
    switch (node.kind) {
      case "empty":
      case "bol":
      case "eol":
        return true;
      case "set":
        return false;
      case "group":
        return isNullable(node.body, known);
      case "sequence":
        return node.items.every((item) => isNullable(item, known));
      case "alternatives":
        return isNullable(node.left, known) || isNullable(node.right, known);
      case "repeat":
        return node.min === 0 || isNullable(node.body, known);
    }
  })();
  known.set(node, result);
  return result;
}
