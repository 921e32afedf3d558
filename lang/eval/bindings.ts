import { nameLambda, type AttrDef, type AttrsExpr, type LetExpr, type WithExpr } from "../syntax/index.ts";
import { addFrame, evalError } from "../value/error.ts";
import { force, forceAttrs, forceStringNoContext, runThunk } from "../value/force.ts";
import { showPos, type Pos } from "../value/position.ts";
import { Layout, Shape, shapeOf, shapeOfPlaced } from "../value/shape.ts";
import { sharedTemplate, slotsLike, template } from "../value/slots.ts";
import { suggest } from "../value/suggest.ts";
import { AttrSet, EMPTY_SET, Thunk, placedAnew, type Env, type Slot, type Value } from "../value/value.ts";
import { type Code, type Compiler, type Delay } from "./code.ts";
import { frameMaker } from "./frame.ts";
import { selector } from "./select.ts";
import { quoteAttrName } from "../value/literal.ts";

/** Sets of more names than this make their slots when asked for. */
const EAGER_NAMES = 48;

/** Makes the slots of some definitions: given the inner and outer environment and the `inherit (…)` sources. */
type MakeSlot = (inner: Env, outer: Env, sources: readonly Slot[]) => Slot;

const NO_SOURCES: readonly Slot[] = [];

/** @param isNested whether the definitions see an environment of their own, and what they inherit the one around */
function compileDefs(attrs: AttrsExpr, compiler: Compiler, isNested: boolean): MakeSlot[] {
  return attrs.defs.map((def) => compileDef(def, compiler, isNested));
}

function compileDef(def: AttrDef, compiler: Compiler, isNested: boolean): MakeSlot {
  switch (def.kind) {
    case "plain":
      return compiler.define(def);
    case "inherited": {
      const delay = compiler.delay(def.value);
      return isNested ? (_inner, outer) => delay(outer) : delay;
    }
    case "inheritedFrom": {
      const index =
        def.value.kind === "select" && def.value.object.kind === "inheritFrom" ? def.value.object.index : 0;
      const { name, pos } = def;
      let code: Code | undefined;
      if (compiler.isFullyLazy)
        return (_inner, _outer, sources) => new Thunk((code ??= inheritCode(name, pos)), sources[index]);
      const select = selector(name);
      return (_inner, _outer, sources) => {
        const source = sources[index]!;
        if (source instanceof AttrSet) {
          const slot = select(source);
          if (slot !== undefined) return placedAnew(slot);
        }
        return new Thunk((code ??= inheritCode(name, pos)), source);
      };
    }
  }
}

/** Selects from the source of an `inherit (…)`; such a thunk's data is the source, not an environment. */
function inheritCode(name: string, pos: Pos): (data: Env) => Value {
  const select = selector(name);
  return (data) => {
    const source = data as unknown as Slot;
    let value: Value;
    try {
      value = force(source, pos);
    } catch (error) {
      throw addFrame(
        addFrame(error, "while selecting an attribute", pos),
        `while evaluating the attribute '${quoteAttrName(name)}'`,
        pos,
      );
    }
    let attrPos = 0;
    try {
      const set = forceAttrs(value, pos, "while selecting an attribute");
      const slot = select(set);
      if (slot === undefined)
        throw evalError("missingAttribute", `attribute '${quoteAttrName(name)}' missing`, 0, {
          suggestions: suggest(name, set.flatten().shape.names),
        });
      if (!(slot instanceof Thunk)) return slot;
      if (slot.code === null) return slot.data as Value;
      attrPos = set.posOf(name);
      return runThunk(slot, attrPos || pos);
    } catch (error) {
      const inner = attrPos === 0 ? error : addFrame(error, `from the definition of '${name}'`, attrPos);
      throw addFrame(inner, `while evaluating the attribute '${quoteAttrName(name)}'`, pos);
    }
  };
}

function compileSources(attrs: AttrsExpr, compiler: Compiler): ((env: Env) => readonly Slot[]) | undefined {
  if (attrs.inheritFrom.length === 0) return undefined;
  const delays = attrs.inheritFrom.map((source) => compiler.delay(source));
  if (delays.length === 1) {
    const only = delays[0]!;
    return (env) => [only(env)];
  }
  return (env) => delays.map((delay) => delay(env));
}

export function compileLet(expr: LetExpr, compiler: Compiler): Code {
  const makers = compileDefs(expr.attrs, compiler, true);
  const sourcesOf = compileSources(expr.attrs, compiler);
  const body = compiler.compile(expr.body);
  const { slot, frameSize } = expr;
  const count = makers.length;
  const fill = (inner: Env, outer: Env): void => {
    const sources = sourcesOf === undefined ? NO_SOURCES : sourcesOf(inner);
    for (let i = 0; i < count; i++) inner[slot + i] = makers[i]!(inner, outer, sources);
  };
  if (frameSize === 0)
    return (env) => {
      fill(env, env);
      return body(env);
    };
  const newFrame = frameMaker(frameSize);
  return (env) => {
    const inner = newFrame(env);
    fill(inner, env);
    return body(inner);
  };
}

export function compileWith(expr: WithExpr, compiler: Compiler): Code {
  const set = compiler.delay(expr.attrs);
  const body = compiler.compile(expr.body);
  const { slot, frameSize } = expr;
  if (frameSize === 0)
    return (env) => {
      env[slot] = set(env);
      return body(env);
    };
  const newFrame = frameMaker(frameSize);
  return (env) => {
    const inner = newFrame(env);
    inner[slot] = set(env);
    return body(inner);
  };
}

export function compileAttrs(expr: AttrsExpr, compiler: Compiler): Code {
  if (expr.isRecursive) return compileRecursive(expr, compiler);
  const shape = shapeOfPlaced(expr.defs, expr.index);
  const count = expr.defs.length;
  if (expr.dynamic.length > 0) {
    const makers = compileDefs(expr, compiler, false);
    const sourcesOf = compileSources(expr, compiler);
    const addDynamic = compileDynamic(expr, compiler);
    return (env) => {
      const sources = sourcesOf === undefined ? NO_SOURCES : sourcesOf(env);
      return addDynamic(
        new AttrSet(
          shape,
          makers.map((make) => make(env, env, sources)),
        ),
        env,
      );
    };
  }
  if (count > EAGER_NAMES) return compileBig(expr, shape, compiler);
  const makers = compileDefs(expr, compiler, false);
  return expr.inheritFrom.length > 0
    ? setWithSources(shape, makers, compileSources(expr, compiler)!)
    : plainSet(shape, makers);
}

// Functions of their own, so that what they give holds no more than it needs.
function setWithSources(
  shape: Shape,
  makers: readonly MakeSlot[],
  sourcesOf: (env: Env) => readonly Slot[],
): Code {
  const empty = sharedTemplate(makers.length);
  return (env) => {
    const sources = sourcesOf(env);
    const values = slotsLike<Slot>(empty);
    for (let i = 0; i < makers.length; i++) values[i] = makers[i]!(env, env, sources);
    return new AttrSet(shape, values);
  };
}

function plainSet(shape: Shape, makers: readonly MakeSlot[]): Code {
  switch (makers.length) {
    case 0:
      return () => EMPTY_SET;
    case 1:
      return setOf1(shape, makers[0]!);
    case 2:
      return setOf2(shape, makers[0]!, makers[1]!);
    case 3:
      return setOf3(shape, makers[0]!, makers[1]!, makers[2]!);
    default:
      return setOfMany(shape, makers);
  }
}

function setOf1(shape: Shape, m0: MakeSlot): Code {
  return (env) => new AttrSet(shape, [m0(env, env, NO_SOURCES)]);
}

function setOf2(shape: Shape, m0: MakeSlot, m1: MakeSlot): Code {
  return (env) => new AttrSet(shape, [m0(env, env, NO_SOURCES), m1(env, env, NO_SOURCES)]);
}

function setOf3(shape: Shape, m0: MakeSlot, m1: MakeSlot, m2: MakeSlot): Code {
  return (env) =>
    new AttrSet(shape, [m0(env, env, NO_SOURCES), m1(env, env, NO_SOURCES), m2(env, env, NO_SOURCES)]);
}

function setOfMany(shape: Shape, makers: readonly MakeSlot[]): Code {
  const empty = sharedTemplate(makers.length);
  return (env) => {
    const values = slotsLike<Slot>(empty);
    for (let i = 0; i < makers.length; i++) values[i] = makers[i]!(env, env, NO_SOURCES);
    return new AttrSet(shape, values);
  };
}

/** A set whose slots are compiled and made when first asked for. */
function compileBig(expr: AttrsExpr, shape: Shape, compiler: Compiler): Code {
  const empty = template(expr.defs.length);
  const makers: (MakeSlot | undefined)[] = empty.slice();
  const sourcesOf = compileSources(expr, compiler);
  return (env) => {
    const sources = sourcesOf === undefined ? NO_SOURCES : sourcesOf(env);
    return new AttrSet(shape, empty.slice(), null, (index) => {
      const make = (makers[index] ??= compileDef(expr.defs[index]!, compiler, false));
      return make(env, env, sources);
    });
  };
}

function compileRecursive(expr: AttrsExpr, compiler: Compiler): Code {
  const shape = shapeOfPlaced(expr.defs, expr.index);
  const overrides = expr.defs.findIndex((def) => def.name === "__overrides");
  // What may yet be overridden must not be read while the set is made.
  const makers =
    overrides < 0
      ? compileDefs(expr, compiler, true)
      : expr.defs.map((def) =>
          def.kind === "plain" ? compiler.define(def, true) : compileDef(def, compiler, true),
        );
  const sourcesOf = compileSources(expr, compiler);
  const addDynamic = expr.dynamic.length === 0 ? undefined : compileDynamic(expr, compiler);
  const count = makers.length;
  const newFrame = frameMaker(count + 1);
  return (env) => {
    const inner = newFrame(env);
    const sources = sourcesOf === undefined ? NO_SOURCES : sourcesOf(inner);
    for (let i = 0; i < count; i++) inner[i + 1] = makers[i]!(inner, env, sources);
    let set = new AttrSet(shape, inner.slice(1, count + 1) as Slot[]);
    if (overrides >= 0) set = applyOverrides(set, inner, overrides);
    return addDynamic === undefined ? set : addDynamic(set, inner);
  };
}

/** `rec { __overrides = { … }; }`: the overriding values are seen by the other definitions too. */
function applyOverrides(set: AttrSet, inner: Env, index: number): AttrSet {
  const given = forceAttrs(set.values[index]!, 0, "while evaluating the `__overrides` attribute");
  const names = [...set.shape.names];
  const positions = [...(set.shape.positions ?? [])];
  const values = [...set.values] as Slot[];
  given.forEachSorted((name, slot, pos) => {
    const at = set.shape.find(name);
    if (at >= 0) {
      values[at] = slot;
      positions[at] = pos;
      inner[at + 1] = slot;
    } else {
      names.push(name);
      positions.push(pos);
      values.push(slot);
    }
  });
  return new AttrSet(shapeOf(names, positions), values);
}

/** Past this many names the shapes of `{ ${name} = …; }` are not kept. */
const MAX_DYNAMIC_SHAPES = 512;

interface CompiledDynamic {
  readonly name: Code;
  readonly value: Delay;
  readonly pos: Pos;
  readonly setName: (name: string) => void;
}

/** `{ ${name} = value; }`, as loops make them: sets of the same name share their shape. */
function oneDynamic({
  name: nameCode,
  value,
  pos,
  setName,
}: CompiledDynamic): (set: AttrSet, env: Env) => AttrSet {
  const shapes = new Map<string, Shape>();
  const positions = [pos];
  return (_empty, env) => {
    const computed = nameCode(env);
    if (computed === null) return AttrSet.emptied();
    const name = forceStringNoContext(computed, pos, "while evaluating the name of a dynamic attribute");
    setName(name);
    let shape = shapes.get(name);
    if (shape === undefined) {
      if (shapes.size < MAX_DYNAMIC_SHAPES) shapes.set(name, (shape = shapeOf([name], positions)));
      else shape = new Shape(new Layout([name]), positions);
    }
    return new AttrSet(shape, [value(env)]);
  };
}

/** Adds `${name} = value` definitions to a set: after `rec` and `__overrides`, in the order written. */
function compileDynamic(expr: AttrsExpr, compiler: Compiler): (set: AttrSet, env: Env) => AttrSet {
  const dynamic: readonly CompiledDynamic[] = expr.dynamic.map((def) => ({
    name: compiler.compile(def.name),
    value: compiler.delay(def.value),
    pos: def.pos,
    setName: (name) => {
      nameLambda(def.value, name);
    },
  }));
  if (dynamic.length === 1 && expr.defs.length === 0) return oneDynamic(dynamic[0]!);
  return (set, env) => {
    const names = [...set.shape.names];
    const positions = [...(set.shape.positions ?? [])];
    const values = [...set.values] as Slot[];
    const seen = new Map(names.map((name, i) => [name, i]));
    for (const { name: nameCode, value, pos, setName } of dynamic) {
      const computed = nameCode(env);
      if (computed === null) continue;
      const name = forceStringNoContext(computed, pos, "while evaluating the name of a dynamic attribute");
      const known = seen.get(name);
      if (known !== undefined)
        throw evalError(
          "eval",
          `dynamic attribute '${quoteAttrName(name)}' already defined at ${showPos(positions[known] ?? 0)}`,
          pos,
        );
      setName(name);
      seen.set(name, names.length);
      names.push(name);
      positions.push(pos);
      values.push(value(env));
    }
    return names.length === 0 ? AttrSet.emptied() : new AttrSet(shapeOf(names, positions), values);
  };
}
