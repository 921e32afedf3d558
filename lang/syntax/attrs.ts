import { evalError, type EvalError } from "../value/error.ts";
import { showPos, type Pos } from "../value/position.ts";
import type { AttrDef, AttrName, AttrsExpr, DynamicAttr, Expr } from "./ast.ts";
import { showAttrPath } from "./print.ts";

/** Past this many definitions names are looked up in a map. */
const LINEAR_DEFS = 6;

/** Past this many the set that is made of them is searched by the same map: all-packages.nix has ten thousand. */
const KEPT_INDEX_DEFS = 48;

/** Most sets have neither; they share these. */
const NO_DYNAMIC: readonly DynamicAttr[] = [];
const NO_SOURCES: readonly Expr[] = [];

export function newAttrs(pos: Pos): AttrsExpr {
  return {
    kind: "attrs",
    isRecursive: false,
    defs: [],
    dynamic: NO_DYNAMIC,
    inheritFrom: NO_SOURCES,
    pos,
    index: undefined,
  };
}

/** Adds `a = value`. @returns whether it is a definition now: not part of another, nor one whose name is computed */
export function addAttr(attrs: AttrsExpr, name: string, value: Expr, pos: Pos): boolean {
  const def: AttrDef = { name, value, pos, kind: "plain" };
  if (findDef(attrs, name) !== undefined) return mergeDef(attrs, [name], def);
  pushDef(attrs, def);
  nameLambda(value, name);
  return true;
}

/** Adds `a.b.c = value`, making or entering the sets in between. @returns as `addAttr` */
export function addAttrPath(attrs: AttrsExpr, path: readonly AttrName[], value: Expr, pos: Pos): boolean {
  let target = attrs;
  for (let i = 0; i < path.length - 1; i++) {
    const name = path[i]!;
    let nested: AttrsExpr;
    if (typeof name === "string") {
      const known = findDef(target, name);
      if (known === undefined) {
        nested = newAttrs(0);
        pushDef(target, { name, value: nested, pos, kind: "plain" });
      } else if (known.value.kind === "attrs") nested = known.value;
      else throw duplicate(path.slice(0, i + 1), pos, known.pos);
    } else {
      nested = newAttrs(0);
      target.dynamic = [...target.dynamic, { name, value: nested, pos }];
    }
    target = nested;
  }
  const last = path[path.length - 1]!;
  if (typeof last === "string") return mergeDef(target, path, { name: last, value, pos, kind: "plain" });
  target.dynamic = [...target.dynamic, { name: last, value, pos }];
  return false;
}

/** Adds one definition of an `inherit`. */
export function addInherited(attrs: AttrsExpr, def: AttrDef): void {
  const known = findDef(attrs, def.name);
  if (known !== undefined) throw duplicate([def.name], def.pos, known.pos);
  pushDef(attrs, def);
}

/** Two sets written for one name become one; anything else written twice is an error. */
function mergeDef(attrs: AttrsExpr, path: readonly AttrName[], def: AttrDef): boolean {
  const known = findDef(attrs, def.name);
  if (known === undefined) {
    pushDef(attrs, def);
    nameLambda(def.value, def.name);
    return true;
  }
  const target = known.value;
  const added = def.value;
  if (target.kind !== "attrs" || added.kind !== "attrs") throw duplicate(path, def.pos, known.pos);
  const shift = target.inheritFrom.length;
  for (const inner of added.defs) {
    if (inner.kind === "inheritedFrom" && inner.value.kind === "select") {
      const from = inner.value.object;
      // Names of one `inherit (…)` share their source: it must be shifted once only.
      const value =
        from.kind === "inheritFrom"
          ? { ...inner.value, object: { ...from, index: from.index + shift } }
          : inner.value;
      mergeDef(target, [...path, inner.name], { ...inner, value });
    } else mergeDef(target, [...path, inner.name], inner);
  }
  if (added.dynamic.length > 0) target.dynamic = [...target.dynamic, ...added.dynamic];
  if (added.inheritFrom.length > 0) target.inheritFrom = [...target.inheritFrom, ...added.inheritFrom];
  return false;
}

function findDef(attrs: AttrsExpr, name: string): AttrDef | undefined {
  const { defs } = attrs;
  if (defs.length <= LINEAR_DEFS) {
    for (let i = 0; i < defs.length; i++) if (defs[i]!.name === name) return defs[i];
    return undefined;
  }
  attrs.index ??= new Map(defs.map((def, at) => [def.name, at]));
  const at = attrs.index.get(name);
  return at === undefined ? undefined : defs[at];
}

function pushDef(attrs: AttrsExpr, def: AttrDef): void {
  const size = attrs.defs.push(def);
  attrs.index?.set(def.name, size - 1);
}

/** Gives back what only the adding of definitions needs: the room for further ones, and a small set's index. */
export function trimAttrs(attrs: AttrsExpr): void {
  attrs.defs = attrs.defs.slice();
  if (attrs.defs.length <= KEPT_INDEX_DEFS) attrs.index = undefined;
}

/** A function is called by the name it is bound to, and so are the functions it gives (`f = x: y: …`). */
export function nameLambda(expr: Expr, name: string): void {
  for (let inner = expr; inner.kind === "lambda"; inner = inner.body) inner.name = name;
}

function duplicate(path: readonly AttrName[], pos: Pos, previous: Pos): EvalError {
  return evalError("parse", `attribute '${showAttrPath(path)}' already defined at ${showPos(previous)}`, pos);
}
