import { checkInterrupt } from "../../core/index.ts";
import {
  posOfExpr,
  printExpr,
  type AttrName,
  type HasAttrExpr,
  type SelectExpr,
  type VarExpr,
} from "../syntax/index.ts";
import { calls } from "../value/callDepth.ts";
import { addFrame, evalError } from "../value/error.ts";
import { isUnderEvaluation } from "../value/blackhole.ts";
import { force, forceAttrs, forceStringNoContext, runThunk } from "../value/force.ts";
import { NO_POS, sourceOf, type Pos } from "../value/position.ts";
import { quoteAttrName } from "../value/literal.ts";
import type { Layout } from "../value/shape.ts";
import { suggest } from "../value/suggest.ts";
import { AttrSet, Thunk, placedAnew, type Env, type Slot, type Value } from "../value/value.ts";
import { delayed, type Code, type Compiler, type Delay } from "./code.ts";
import { INTERNAL_PREFIX } from "./internalFiles.ts";
import { asLocal, readLocal } from "./variable.ts";

/** Finds an attribute, remembering where the last layout had it. */
export function selector(name: string): (set: AttrSet) => Slot | undefined {
  let layout: Layout | undefined;
  let index = -1;
  return (set) => {
    if (set.base !== null) return set.get(name);
    const found = set.shape.layout;
    if (found !== layout) {
      layout = found;
      index = found.find(name);
    }
    if (index < 0) return undefined;
    const slot = set.values[index];
    return slot === undefined ? set.slotAt(index) : slot;
  };
}

/**
 * `x.a` where `x` is evaluated already: what is there, else a thunk. One function that does all: there are tens of
 * thousands.
 */
export function delaySelect(object: VarExpr, name: string, expr: SelectExpr, compiler: Compiler): Delay {
  const { depth, slot } = object;
  let layout: Layout | undefined;
  let index = -1;
  let later: Delay | undefined;
  return (env) => {
    let at = env;
    for (let k = depth; k > 0; k--) at = at[0] as Env;
    let set = at[slot] as Slot | undefined;
    if (set instanceof Thunk && set.code === null) set = set.data as Value;
    if (set instanceof AttrSet) {
      let found: Slot | undefined;
      if (set.base !== null) found = set.get(name);
      else {
        const its = set.shape.layout;
        if (its !== layout) {
          layout = its;
          index = its.find(name);
        }
        if (index >= 0) {
          found = set.values[index];
          if (found === undefined) found = set.slotAt(index);
        }
      }
      // What is under evaluation is to be blamed on where it was written, as `x.a` itself does when it is forced.
      if (found !== undefined && !isUnderEvaluation(found)) return placedAnew(found);
    }
    return (later ??= delayed(expr, compiler))(env);
  };
}

export function compileSelect(expr: SelectExpr, compiler: Compiler): Code {
  const [first] = expr.path;
  if (expr.path.length === 1 && typeof first === "string")
    return expr.fallback === undefined
      ? compileSelectOne(expr, first, compiler)
      : compileSelectOr(expr, first, compiler);
  return expr.path.length === 1 && expr.fallback === undefined && !compiler.isDebugged
    ? compileSelectComputed(expr, compiler)
    : compileSelectPath(expr, compiler);
}

/** `set.${name}`, without what longer paths need; anything unusual goes their way, with all evaluated again. */
function compileSelectComputed(expr: SelectExpr, compiler: Compiler): Code {
  const object = compiler.compile(expr.object);
  const name = compiler.compile(expr.path[0] as Exclude<AttrName, string>);
  const general = compileSelectPath(expr, compiler);
  return (env) => {
    let slot: Slot | undefined;
    const { depth } = calls;
    try {
      const set = object(env);
      const key = set instanceof AttrSet ? name(env) : undefined;
      if (typeof key === "string") slot = (set as AttrSet).get(key);
    } catch {
      // What failed fails again, with its frames; what was interrupted must not begin again.
      checkInterrupt();
      calls.depth = depth;
    }
    if (slot === undefined) return general(env);
    if (!(slot instanceof Thunk)) return slot;
    return slot.code === null ? (slot.data as Value) : general(env);
  };
}

const SELECTING = "while selecting an attribute";

/** `x.a` of a local variable: as `compileSelectOne`, which reads any object. */
function compileSelectLocal(object: VarExpr, expr: SelectExpr, name: string): Code {
  const { depth, slot: objectSlot, pos: objectPos } = object;
  const { pos } = expr;
  let layout: Layout | undefined;
  let index = -1;
  return (env) => {
    let set: Value;
    try {
      set = readLocal(env, depth, objectSlot, objectPos);
    } catch (error) {
      throw addFrame(error, SELECTING, objectPos);
    }
    if (set instanceof AttrSet && set.base === null) {
      const found = set.shape.layout;
      if (found !== layout) {
        layout = found;
        index = found.find(name);
      }
      if (index >= 0) {
        let slot = set.values[index];
        if (slot === undefined) slot = set.slotAt(index);
        if (!(slot instanceof Thunk)) return slot;
        if (slot.code === null) return (set.values[index] = slot.data as Value);
        return runAttribute(slot, set, index, name, pos);
      }
    }
    return selectSlow(set, name, pos);
  };
}

/** Forces an attribute and writes its value back. */
function runAttribute(slot: Thunk, set: AttrSet, index: number, name: string, pos: Pos): Value {
  try {
    const value = forceLast(slot, set, name, pos);
    set.values[index] = value;
    return value;
  } catch (error) {
    throw selectFrames(error, set.posOf(name), quoteAttrName(name), quoteAttrName(name), pos);
  }
}

function compileSelectOne(expr: SelectExpr, name: string, compiler: Compiler): Code {
  const local = asLocal(expr.object, compiler);
  if (local !== undefined) return compileSelectLocal(local, expr, name);
  const object = compiler.compile(expr.object);
  const objectPos = posOfExpr(expr.object);
  const { pos } = expr;
  let layout: Layout | undefined;
  let index = -1;
  return (env) => {
    let set: Value;
    try {
      set = object(env);
    } catch (error) {
      throw addFrame(error, SELECTING, objectPos);
    }
    if (set instanceof AttrSet && set.base === null) {
      const found = set.shape.layout;
      if (found !== layout) {
        layout = found;
        index = found.find(name);
      }
      if (index >= 0) {
        let slot = set.values[index];
        if (slot === undefined) slot = set.slotAt(index);
        if (!(slot instanceof Thunk)) return slot;
        if (slot.code === null) return (set.values[index] = slot.data as Value);
        return runAttribute(slot, set, index, name, pos);
      }
    }
    return selectSlow(set, name, pos);
  };
}

function selectSlow(object: Value, name: string, pos: Pos): Value {
  let found: AttrSet | undefined;
  try {
    const set = forceAttrs(object, pos, SELECTING);
    const slot = set.get(name);
    if (slot === undefined) throw missingAttribute(set, name);
    found = set;
    return slot instanceof Thunk ? forceLast(slot, set, name, pos) : slot;
  } catch (error) {
    const attrPos = found === undefined ? NO_POS : found.posOf(name);
    throw selectFrames(error, attrPos, quoteAttrName(name), quoteAttrName(name), pos);
  }
}

function missingAttribute(set: AttrSet, name: string): Error {
  return evalError("missingAttribute", `attribute '${quoteAttrName(name)}' missing`, NO_POS, {
    suggestions: suggest(name, set.flatten().shape.names),
  });
}

function selectFrames(error: unknown, attrPos: Pos, reached: string, path: string, pos: Pos): unknown {
  let framed = error;
  if (attrPos !== NO_POS && !isInternal(attrPos))
    framed = addFrame(framed, `from the definition of '${reached}'`, attrPos);
  return addFrame(framed, `while evaluating the attribute '${path}'`, pos);
}

/** Our own files are not worth a line of a user's trace. */
function isInternal(pos: Pos): boolean {
  const origin = sourceOf(pos)?.origin;
  return origin?.kind === "file" && origin.path.startsWith(INTERNAL_PREFIX);
}

function compileSelectOr(expr: SelectExpr, name: string, compiler: Compiler): Code {
  const object = compiler.compile(expr.object);
  const objectPos = posOfExpr(expr.object);
  const select = selector(name);
  const fallback = compiler.lazy(expr.fallback!);
  const { pos } = expr;
  return (env) => {
    let set: Value;
    try {
      set = object(env);
    } catch (error) {
      throw addFrame(error, SELECTING, objectPos);
    }
    if (set instanceof AttrSet) {
      const slot = select(set);
      if (slot !== undefined) {
        if (!(slot instanceof Thunk)) return slot;
        if (slot.code === null) return slot.data as Value;
        try {
          return forceLast(slot, set, name, pos);
        } catch (error) {
          throw selectFrames(error, set.posOf(name), quoteAttrName(name), quoteAttrName(name), pos);
        }
      }
    }
    try {
      return fallback.run(env);
    } catch (error) {
      throw selectFrames(error, NO_POS, "", quoteAttrName(name), pos);
    }
  };
}

/** A name of an attribute path: constant, or computed. */
type NameCode = string | ((env: Env) => string);

function compileNames(path: readonly AttrName[], compiler: Compiler): NameCode[] {
  return path.map((name) => {
    if (typeof name === "string") return name;
    const code = compiler.compile(name);
    const pos = posOfExpr(name);
    return (env) => {
      const value = code(env);
      return typeof value === "string"
        ? value
        : forceStringNoContext(value, pos, "while evaluating an attribute name");
    };
  });
}

function nameAt(name: NameCode, env: Env): string {
  return typeof name === "string" ? name : name(env);
}

function compileSelectPath(expr: SelectExpr, compiler: Compiler): Code {
  const object = compiler.compile(expr.object);
  const objectPos = posOfExpr(expr.object);
  const names = compileNames(expr.path, compiler);
  const selectors = names.map((name) => (typeof name === "string" ? selector(name) : undefined));
  const fallback = expr.fallback === undefined ? undefined : compiler.lazy(expr.fallback);
  const { pos, path } = expr;
  const last = names.length - 1;
  return (env) => {
    let value: Value;
    try {
      value = object(env);
    } catch (error) {
      throw addFrame(error, SELECTING, objectPos);
    }
    let reached = 0;
    let from: AttrSet | undefined;
    let fromName = "";
    try {
      for (let i = 0; i < names.length; i++) {
        const select = selectors[i];
        const name = nameAt(names[i]!, env);
        if (!(value instanceof AttrSet)) {
          if (fallback !== undefined) return fallback.run(env);
          value = forceAttrs(value, pos, SELECTING);
        }
        const slot: Slot | undefined = select === undefined ? value.get(name) : select(value);
        if (slot === undefined) {
          if (fallback !== undefined) return fallback.run(env);
          throw missingAttribute(value, name);
        }
        reached = i + 1;
        from = value;
        fromName = name;
        if (!(slot instanceof Thunk)) value = slot;
        else value = i === last ? forceLast(slot, value, name, pos) : force(slot, pos);
      }
      return value;
    } catch (error) {
      throw selectFrames(
        error,
        from?.posOf(fromName) ?? NO_POS,
        showReached(path.slice(0, reached), names, env),
        showReached(path, names, env),
        pos,
      );
    }
  };
}

/** Forces what is selected; where it was written is looked up only to be blamed for an infinite recursion. */
function forceLast(slot: Thunk, set: AttrSet, name: string, pos: Pos): Value {
  if (slot.code === null) return slot.data as Value;
  return runThunk(slot, isUnderEvaluation(slot) ? set.posOf(name) || pos : pos);
}

/** The path with its computed names, where they can be computed. */
function showReached(path: readonly AttrName[], names: readonly NameCode[], env: Env): string {
  return path
    .map((name, i) => {
      if (typeof name === "string") return quoteAttrName(name);
      try {
        return quoteAttrName(nameAt(names[i]!, env));
      } catch {
        return `"\${${printExpr(name)}}"`;
      }
    })
    .join(".");
}

export function compileHasAttr(expr: HasAttrExpr, compiler: Compiler): Code {
  const object = compiler.compile(expr.object);
  const { pos } = expr;
  const names = compileNames(expr.path, compiler);
  const selectors = names.map((name) => (typeof name === "string" ? selector(name) : undefined));
  return (env) => {
    let value: Value;
    try {
      value = object(env);
    } catch (error) {
      throw addFrame(error, "in the argument of '?'", pos);
    }
    for (let i = 0; i < names.length; i++) {
      const name = nameAt(names[i]!, env);
      if (!(value instanceof AttrSet)) return false;
      const select = selectors[i];
      if (i === names.length - 1) return select === undefined ? value.has(name) : select(value) !== undefined;
      const slot: Slot | undefined = select === undefined ? value.get(name) : select(value);
      if (slot === undefined) return false;
      value = force(slot, pos);
    }
    return true;
  };
}
