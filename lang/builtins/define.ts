import {
  FUNCTION_POS,
  Lambda,
  NO_POS,
  Thunk,
  call1,
  call2,
  callPlaces,
  calls,
  evalError,
  primOp1,
  primOp2,
  primOp3,
  runThunk,
  tooDeep,
  type Env,
  type EvalError,
  type Pos,
  type PrimOp,
  type PrimOp1,
  type PrimOp2,
  type PrimOp3,
  type Slot,
  type Value,
} from "../value/index.ts";

/** A builtin and whether it is also a global variable without `builtins.` (besides its `__name`). */
export interface Definition {
  readonly primOp: PrimOp;
  readonly isGlobal: boolean;
  /** Present only where this experimental feature is on. */
  readonly feature?: string | undefined;
}

interface Options {
  readonly isGlobal?: boolean;
  readonly feature?: string;
  readonly addsFrame?: boolean;
}

/** @param parameters their names, separated by a space */
export function define1(
  name: string,
  parameters: string,
  doc: string,
  run: PrimOp1,
  options: Options = {},
): Definition {
  const primOp = primOp1(name, run, { doc, parameters: [parameters], addsFrame: options.addsFrame ?? true });
  return { primOp, isGlobal: options.isGlobal ?? false, feature: options.feature };
}

export function define2(
  name: string,
  parameters: string,
  doc: string,
  run: PrimOp2,
  options: Options = {},
): Definition {
  const primOp = primOp2(name, run, {
    doc,
    parameters: parameters.split(" "),
    addsFrame: options.addsFrame ?? true,
  });
  return { primOp, isGlobal: options.isGlobal ?? false, feature: options.feature };
}

export function define3(
  name: string,
  parameters: string,
  doc: string,
  run: PrimOp3,
  options: Options = {},
): Definition {
  const primOp = primOp3(name, run, {
    doc,
    parameters: parameters.split(" "),
    addsFrame: options.addsFrame ?? true,
  });
  return { primOp, isGlobal: options.isGlobal ?? false, feature: options.feature };
}

/** An `EvalError` of a builtin's own; the frame "while calling the '…' builtin" gives its place. */
export function failure(message: string): EvalError {
  return evalError("eval", message, NO_POS);
}

class Call {
  readonly fn: Value;
  readonly first: Slot;
  readonly second: Slot | undefined;
  constructor(fn: Value, first: Slot, second: Slot | undefined) {
    this.fn = fn;
    this.first = first;
    this.second = second;
  }
}

/** A delayed call past the limit is blamed on who asks for it, not on where the function was written. */
function checkLimit(): void {
  if (calls.depth > calls.limit) throw tooDeep(NO_POS);
}

// A thunk's data is typed as an environment; these two codes are only ever given a Call.
function runCall1(data: Env, pos: Pos): Value {
  const { fn, first } = data as unknown as Call;
  checkLimit();
  return call1(fn, first, pos === FUNCTION_POS ? functionPos(fn) : pos);
}

function runCall2(data: Env, pos: Pos): Value {
  const { fn, first, second } = data as unknown as Call;
  checkLimit();
  return call2(fn, first, second!, pos === FUNCTION_POS ? functionPos(fn) : pos);
}

callPlaces.set(runCall1, (data) => functionPos((data as unknown as Call).fn));
callPlaces.set(runCall2, (data) => functionPos((data as unknown as Call).fn));

/** Where a function was written: the place of calls that builtins delay, for what forces everything. */
export function functionPos(fn: Value): Pos {
  return fn instanceof Lambda ? fn.code.pos : NO_POS;
}

/** Lists and sets from this size on are filled with values, not thunks, where computing them costs no more. */
export const EAGER_ITEMS = 32;

/** `fn first`, when needed. @param isEager now, if it is cheap and cannot fail */
export function delayCall1(fn: Value, first: Slot, isEager = false): Slot {
  if (fn instanceof Lambda) {
    const { delay1 } = fn.code;
    if (delay1 !== undefined) return delay1(fn.env, first, isEager);
  }
  return new Thunk(runCall1, new Call(fn, first, undefined));
}

/** `fn first second`, when needed. @param isEager now, if it is cheap and cannot fail */
export function delayCall2(fn: Value, first: Slot, second: Slot, isEager = false): Slot {
  if (fn instanceof Lambda) {
    const { delay2 } = fn.code;
    if (delay2 !== undefined) return delay2(fn.env, first, second, isEager);
  }
  return new Thunk(runCall2, new Call(fn, first, second));
}

class SlotCall {
  readonly fn: Slot;
  readonly first: Slot;
  readonly second: Slot;
  constructor(fn: Slot, first: Slot, second: Slot) {
    this.fn = fn;
    this.first = first;
    this.second = second;
  }
}

function runSlotCall2(data: Env, pos: Pos): Value {
  const { fn, first, second } = data as unknown as SlotCall;
  const known = fn instanceof Thunk ? forceFunctionSlot(fn) : fn;
  return call2(known, first, second, pos === FUNCTION_POS ? NO_POS : pos);
}

function forceFunctionSlot(fn: Thunk): Value {
  return fn.code === null ? (fn.data as Value) : runThunk(fn, NO_POS);
}

/** Like `delayCall2` for a function that is itself not evaluated yet; one written in place has no place, as in Nix. */
export function delaySlotCall2(fn: Slot, first: Slot, second: Slot, isEager = false): Slot {
  const known = fn instanceof Thunk && fn.code === null ? (fn.data as Value) : fn;
  if (known instanceof Lambda && (known !== fn || known.code.delay2 !== undefined))
    return delayCall2(known, first, second, isEager);
  return new Thunk(runSlotCall2, new SlotCall(fn, first, second));
}
