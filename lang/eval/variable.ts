import { FROM_WITH, GLOBAL, type Expr, type VarExpr, type WithPlace } from "../syntax/index.ts";
import { addFrame } from "../value/error.ts";
import { force, forceAttrs, runThunk, variableReaders } from "../value/force.ts";
import type { Pos } from "../value/position.ts";
import type { Layout } from "../value/shape.ts";
import { AttrSet, Thunk, type Env, type Slot, type Value } from "../value/value.ts";
import type { Code, Compiler, Delay } from "./code.ts";
import { undefinedVariable } from "./undefinedVariable.ts";

/** Reads a variable, forced; the forced value is written back, so that the thunk is met once. */
export function compileVariable(expr: VarExpr, compiler: Compiler): Code {
  const { depth, slot, pos } = expr;
  switch (depth) {
    case GLOBAL: {
      const value = compiler.global(slot);
      return value instanceof Thunk ? forcing(value, pos) : (compiler.globalReader(slot) as Code);
    }
    case FROM_WITH:
      return compileWithLookup(expr);
    default:
      return localReader(depth, slot, pos);
  }
}

function forcing(thunk: Thunk, pos: Pos): Code {
  return () => force(thunk, pos);
}

/** A local variable that the code around it reads itself (`readLocal`): of all code that runs a third is that. */
export function asLocal(expr: Expr, compiler: Compiler): VarExpr | undefined {
  return expr.kind === "var" && expr.depth >= 0 && !compiler.isDebugged ? expr : undefined;
}

/** As the code of a local variable does. */
export function readLocal(env: Env, depth: number, slot: number, pos: Pos): Value {
  let at = env;
  for (let k = depth; k > 0; k--) at = at[0] as Env;
  const x = at[slot] as Slot;
  return x instanceof Thunk ? (at[slot] = x.code === null ? (x.data as Value) : runThunk(x, pos)) : x;
}

function localReader(depth: number, slot: number, pos: Pos): Code {
  switch (depth) {
    case 0:
      return (env) => {
        const x = env[slot] as Slot;
        return x instanceof Thunk ? (env[slot] = x.code === null ? (x.data as Value) : runThunk(x, pos)) : x;
      };
    case 1:
      return (env) => {
        const at = env[0] as Env;
        const x = at[slot] as Slot;
        return x instanceof Thunk ? (at[slot] = x.code === null ? (x.data as Value) : runThunk(x, pos)) : x;
      };
    case 2:
      return (env) => {
        const at = (env[0] as Env)[0] as Env;
        const x = at[slot] as Slot;
        return x instanceof Thunk ? (at[slot] = x.code === null ? (x.data as Value) : runThunk(x, pos)) : x;
      };
    default:
      return distantReader(depth, slot, pos);
  }
}

function distantReader(depth: number, slot: number, pos: Pos): Code {
  return (env) => {
    let at = env;
    for (let k = depth; k > 0; k--) at = at[0] as Env;
    const x = at[slot] as Slot;
    return x instanceof Thunk ? (at[slot] = x.code === null ? (x.data as Value) : runThunk(x, pos)) : x;
  };
}

/** The environment some levels up. */
export function ancestor(depth: number): (env: Env) => Env {
  switch (depth) {
    case 0:
      return (env) => env;
    case 1:
      return (env) => env[0] as Env;
    case 2:
      return (env) => (env[0] as Env)[0] as Env;
    default:
      return (env) => {
        let at = env;
        for (let k = depth; k > 0; k--) at = at[0] as Env;
        return at;
      };
  }
}

/** Reads a variable's slot as it is; `undefined` where it is not made yet (within its own `let` or `rec`). */
export function slotReader(depth: number, slot: number): (env: Env) => Slot | undefined {
  switch (depth) {
    case 0:
      return (env) => env[slot] as Slot;
    case 1:
      return (env) => (env[0] as Env)[slot] as Slot;
    case 2:
      return (env) => ((env[0] as Env)[0] as Env)[slot] as Slot;
    default:
      return (env) => {
        let at = env;
        for (let k = depth; k > 0; k--) at = at[0] as Env;
        return at[slot] as Slot;
      };
  }
}

/** The value of a variable or literal if it is known already, else `undefined`. */
export function peeker(expr: VarExpr, compiler: Compiler): ((env: Env) => Value | undefined) | undefined {
  if (expr.depth === GLOBAL) {
    const value = compiler.global(expr.slot);
    return value instanceof Thunk ? undefined : () => value;
  }
  if (expr.depth < 0) return undefined;
  const { depth, slot } = expr;
  return (env) => {
    let at = env;
    for (let k = depth; k > 0; k--) at = at[0] as Env;
    const x = at[slot] as Slot | undefined;
    return x instanceof Thunk ? (x.code === null ? (x.data as Value) : undefined) : x;
  };
}

export function delayVariable(expr: VarExpr, compiler: Compiler): Delay {
  if (expr.depth === GLOBAL) return compiler.globalReader(expr.slot);
  return expr.depth === FROM_WITH ? thunksOf(compileVariable(expr, compiler)) : delayLocal(expr, compiler);
}

function thunksOf(code: Code): Delay {
  return (env) => new Thunk(code, env);
}

/** One function for all depths, that holds little: there are tens of thousands. */
function delayLocal(expr: VarExpr, compiler: Compiler): Delay {
  const { depth, slot } = expr;
  let later: Code | undefined;
  return (env) => {
    let at = env;
    for (let k = depth; k > 0; k--) at = at[0] as Env;
    const x = at[slot] as Slot | undefined;
    if (x instanceof Thunk) return x.code === null ? (x.data as Value) : x;
    return x === undefined ? new Thunk((later ??= readLater(expr, compiler)), env) : x;
  };
}

/** Reads a variable that was not made yet when it was named: a definition that comes after what names it. */
function readLater(expr: VarExpr, compiler: Compiler): Code {
  const code = compileVariable(expr, compiler);
  if (!compiler.isFullyLazy) variableReaders.set(code, slotReader(expr.depth, expr.slot));
  return code;
}

const WITH = "while evaluating the first subexpression of a with expression";

type Place = Pick<WithPlace, "depth" | "slot">;

/** One `with` that may have a variable, and where the last set's layout had it. Kept flat: lookups go through several. */
class WithSite {
  readonly depth: number;
  readonly slot: number;
  readonly pos: Pos;
  layout: Layout | undefined;
  index = -1;

  constructor({ depth, slot, pos }: WithPlace) {
    this.depth = depth;
    this.slot = slot;
    this.pos = pos;
  }
}

function compileWithLookup(expr: VarExpr): Code {
  const { name, pos } = expr;
  const [site, another] = expr.withs;
  if (site !== undefined && another === undefined) return compileOneWithLookup(expr, site);
  const sites = expr.withs.map((place) => new WithSite(place));
  return (env) => {
    for (let i = 0; i < sites.length; i++) {
      const site = sites[i]!;
      let at = env;
      for (let k = site.depth; k > 0; k--) at = at[0] as Env;
      let set = at[site.slot] as Slot;
      if (!(set instanceof AttrSet)) {
        set = forceAttrs(set, site.pos, WITH);
        at[site.slot] = set;
      }
      let found: Slot | undefined;
      if (set.base !== null) found = set.get(name);
      else {
        const { layout } = set.shape;
        if (layout !== site.layout) {
          site.layout = layout;
          site.index = layout.find(name);
        }
        if (site.index < 0) continue;
        found = set.values[site.index];
        if (found === undefined) found = set.slotAt(site.index);
      }
      if (found !== undefined) return found instanceof Thunk ? force(found, pos) : found;
    }
    throw notFound(expr, sites, env);
  };
}

/** As `compileWithLookup`, where there is one `with`, as there mostly is. */
function compileOneWithLookup(expr: VarExpr, site: WithPlace): Code {
  const { depth, slot } = site;
  let layout: Layout | undefined;
  let index = -1;
  return (env) => {
    let at = env;
    for (let k = depth; k > 0; k--) at = at[0] as Env;
    let set = at[slot] as Slot;
    if (!(set instanceof AttrSet)) {
      set = forceAttrs(set, site.pos, WITH);
      at[slot] = set;
    }
    let found: Slot | undefined;
    if (set.base !== null) found = set.get(expr.name);
    else {
      const its = set.shape.layout;
      if (its !== layout) {
        layout = its;
        index = its.find(expr.name);
      }
      if (index >= 0) {
        found = set.values[index];
        if (found === undefined) found = set.slotAt(index);
      }
    }
    if (found === undefined) throw notFound(expr, [site], env);
    return found instanceof Thunk ? force(found, expr.pos) : found;
  };
}

function notFound({ name, pos }: VarExpr, places: readonly Place[], env: Env): unknown {
  return undefinedVariable(name, pos, namesOf(places, env));
}

/** All that the sets of these `with`s have: they are forced by now. */
function namesOf(places: readonly Place[], env: Env): string[] {
  return places.flatMap(({ depth, slot }) => {
    const set = ancestor(depth)(env)[slot];
    return set instanceof AttrSet ? set.flatten().shape.names : [];
  });
}

/** Runs code; a failure gets a frame. */
export function framed(code: Code, message: string, pos: Pos): Code {
  return (env) => {
    try {
      return code(env);
    } catch (error) {
      throw addFrame(error, message, pos);
    }
  };
}
