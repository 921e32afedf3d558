import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import { AttrSetOf, type FlatAttrSetOf } from "./attrs.ts";
import type { Pos } from "./position.ts";
import { EMPTY_SHAPE } from "./shape.ts";

/**
 * A value in weak head normal form. Integers are `number` while |n| ≤ 2^53 − 1 and `bigint` beyond, to 64 bits;
 * strings are byte strings, plain when they have no context.
 */
export type Value =
  | number
  | bigint
  | boolean
  | null
  | string
  | Float
  | ContextString
  | PathValue
  | readonly Slot[]
  | AttrSet
  | Lambda
  | PrimOp
  | PrimOpApp;

/** Where a value is kept: itself, or what will give it. */
export type Slot = Value | Thunk;

/** The variables in scope: `[outer environment, slot, slot, …]`. A plain array is the fastest we measured. */
export type Env = unknown[];

export type AttrSet = AttrSetOf<Slot>;
/** The class of attribute sets, to make and to recognise them. */
export const AttrSet = AttrSetOf<Slot>;
export type FlatAttrSet = FlatAttrSetOf<Slot>;
export const EMPTY_SET: AttrSet = new AttrSet(EMPTY_SHAPE, []);

export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A string that refers to store paths. */
export class ContextString {
  readonly text: ByteString;
  /** Never empty: a string without context is a plain JavaScript string. */
  readonly context: ReadonlySet<ContextElement>;
  constructor(text: ByteString, context: ReadonlySet<ContextElement>) {
    this.text = text;
    this.context = context;
  }
}

export class PathValue {
  /** Absolute, canonical (a literal `/a/${x}`'s first part keeps its last slash). */
  readonly path: ByteString;
  constructor(path: ByteString) {
    this.path = path;
  }
}

/** @param pos of what asks for the value: there a call takes place that was put off */
export type ThunkCode = (data: Env, pos: Pos) => Value;

/**
 * A value not computed yet. `code` is `null` once it is; then `data` holds the value, before that the environment.
 * Two fields: a third costs a sixth more memory on whole package trees.
 */
export class Thunk {
  code: ThunkCode | null;
  data: unknown;
  constructor(code: ThunkCode, data: unknown) {
    this.code = code;
    this.data = data;
  }
}

export interface Formal {
  readonly name: string;
  readonly hasDefault: boolean;
  readonly pos: Pos;
}

/** What all values of one lambda expression share. */
export interface LambdaCode {
  /** The name it was bound to; `undefined` when anonymous. */
  readonly name: string | undefined;
  readonly pos: Pos;
  /** The name of the whole argument (`x: …`, `args@{ … }: …`). */
  readonly argument: string | undefined;
  /** `undefined` for `x: …`. In the order written. */
  readonly formals: readonly Formal[] | undefined;
  readonly hasEllipsis: boolean;
  call1(env: Env, argument: Slot, pos: Pos): Value;
  /** For `x: y: …`: both at once, without the function in between. */
  readonly call2: ((env: Env, first: Slot, second: Slot, pos: Pos) => Value) | undefined;
  /** The same of three or more, with three arguments. */
  readonly call3: ((env: Env, first: Slot, second: Slot, third: Slot, pos: Pos) => Value) | undefined;
  /**
   * As `call1`, when needed: a thunk that holds the call's own environment, or, `isEager`, the value where it is cheap.
   * `undefined` where calls leave frames.
   */
  readonly delay1: ((env: Env, argument: Slot, isEager: boolean) => Slot) | undefined;
  readonly delay2: ((env: Env, first: Slot, second: Slot, isEager: boolean) => Slot) | undefined;
  /** Of `list: x: list ++ e` where `e` does not read `list`: gives `e`, given what the function would be given. */
  readonly appended: ((env: Env, list: readonly Slot[], second: Slot) => readonly Slot[]) | undefined;
}

/** A function written in the language. */
export class Lambda {
  readonly code: LambdaCode;
  readonly env: Env;
  constructor(code: LambdaCode, env: Env) {
    this.code = code;
    this.env = env;
  }
}

/**
 * The implementation of a builtin function; `pos` is the call's. It gives a value in weak head normal form, never a
 * thunk (`force` what it hands on). Arguments arrive unevaluated.
 */
export type PrimOp1 = (pos: Pos, a: Slot) => Value;
export type PrimOp2 = (pos: Pos, a: Slot, b: Slot) => Value;
export type PrimOp3 = (pos: Pos, a: Slot, b: Slot, c: Slot) => Value;

export class PrimOp {
  readonly name: string;
  readonly arity: 1 | 2 | 3;
  readonly run: PrimOp1 | PrimOp2 | PrimOp3;
  readonly doc: string | undefined;
  /** The names of its parameters, for documentation. */
  readonly parameters: readonly string[];
  /** False for the few builtins whose failure needs no "while calling the '…' builtin". */
  readonly addsFrame: boolean;

  constructor(
    name: string,
    arity: 1 | 2 | 3,
    run: PrimOp1 | PrimOp2 | PrimOp3,
    options: {
      readonly doc?: string;
      readonly parameters?: readonly string[];
      readonly addsFrame?: boolean;
    } = {},
  ) {
    this.name = name;
    this.arity = arity;
    this.run = run;
    this.doc = options.doc;
    this.parameters = options.parameters ?? [];
    this.addsFrame = options.addsFrame ?? true;
  }
}

/** A builtin function with some, not all, of its arguments. */
export class PrimOpApp {
  readonly primOp: PrimOp;
  readonly first: Slot;
  /** Only for a function of three. */
  readonly second: Slot | undefined;
  constructor(primOp: PrimOp, first: Slot, second?: Slot) {
    this.primOp = primOp;
    this.first = first;
    this.second = second;
  }
}

/** One line to define a builtin: `primOp1("head", (pos, list) => …)`. */
export function primOp1(
  name: string,
  run: PrimOp1,
  options?: ConstructorParameters<typeof PrimOp>[3],
): PrimOp {
  return new PrimOp(name, 1, run, options);
}

export function primOp2(
  name: string,
  run: PrimOp2,
  options?: ConstructorParameters<typeof PrimOp>[3],
): PrimOp {
  return new PrimOp(name, 2, run, options);
}

export function primOp3(
  name: string,
  run: PrimOp3,
  options?: ConstructorParameters<typeof PrimOp>[3],
): PrimOp {
  return new PrimOp(name, 3, run, options);
}

export function isFunctionValue(value: Value): value is Lambda | PrimOp | PrimOpApp {
  return value instanceof Lambda || value instanceof PrimOp || value instanceof PrimOpApp;
}

/**
 * What a name of its own holds for what is found in a set: a function in a place of its own, as functions are equal
 * only where one place holds both.
 */
export function placedAnew(found: Slot): Slot {
  const value = found instanceof Thunk ? (found.code === null ? (found.data as Value) : undefined) : found;
  if (typeof value !== "object" || value === null || !isFunctionValue(value)) return found;
  const place = new Thunk(placed, value);
  place.code = null;
  return place;
}

const placed: ThunkCode = (data) => data as unknown as Value;

export function isList(value: Value): value is readonly Slot[] {
  return Array.isArray(value);
}

export function isInteger(value: Value): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

export function isStringValue(value: Value): value is string | ContextString {
  return typeof value === "string" || value instanceof ContextString;
}
