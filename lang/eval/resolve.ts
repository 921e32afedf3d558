import {
  type AttrName,
  type AttrsExpr,
  type DeferredExpr,
  type Expr,
  type VarExpr,
  type WithPlace,
} from "../syntax/index.ts";
import { undefinedVariable } from "./undefinedVariable.ts";

/** One environment at run time: an array whose slot 0 is the surrounding one. */
export interface Frame {
  readonly level: number;
  /** Slots used so far, slot 0 included. */
  size: number;
}

/** Names one construct brings; several may share an environment. */
export interface Scope {
  readonly up: Scope | undefined;
  readonly frame: Frame;
  /** `undefined` for a `with`. */
  readonly names: ReadonlyMap<string, number> | undefined;
  readonly withSlot: number;
  readonly withPos: number;
  /** Where the sets of the `with`s around lie, innermost first; found when first asked for. */
  withs: readonly WithPlace[] | undefined;
}

export interface Globals {
  /** Every name visible in every file → index. */
  readonly indexOf: ReadonlyMap<string, number>;
}

/** Where an expression stands: the scope around it, and the level of the environment it is evaluated in. */
export interface ExprPlace {
  readonly scope: Scope;
  readonly level: number;
}

/**
 * Finds for every variable where its value will lie, and checks that there is one: as in Nix, an undefined variable
 * is an error of the whole file.
 *
 * A `let` or `with` that is evaluated once per environment (the body of a function, the branches of its `if`) puts
 * its variables into that environment instead of making another; so do the arguments of `x: y: …`.
 *
 * @param outerNames names in the environment the expression is evaluated in (`scopedImport`), from slot 1 on
 * @param places gets every expression's place, for a debugger; each function has an environment of its own then
 * @returns slots of the outermost environment
 * @throws EvalError of kind `undefinedVariable`
 */
export function resolve(
  expr: Expr,
  globals: Globals,
  outerNames: readonly string[] = [],
  places?: WeakMap<Expr, ExprPlace>,
): number {
  const frame: Frame = { level: 0, size: 1 + outerNames.length };
  const names = new Map(outerNames.map((name, i) => [name, i + 1]));
  const scope: Scope = { up: undefined, frame, names, withSlot: 0, withPos: 0, withs: undefined };
  const resolver = places === undefined ? new Resolver(globals) : new PlaceRecorder(globals, places);
  resolver.visit(expr, scope, frame, true);
  return frame.size;
}

// Counted loops, not iterators: most files are read before V8 has compiled this well; a fifth of the whole pass.
class Resolver {
  readonly #globals: Globals;
  /** Whether the arguments of `x: y: …` share an environment. */
  protected readonly isSharing: boolean = true;

  constructor(globals: Globals) {
    this.#globals = globals;
  }

  /** @param isOnce whether it is evaluated at most once per environment of `frame` */
  visit(expr: Expr, scope: Scope, frame: Frame, isOnce: boolean): void {
    switch (expr.kind) {
      case "int":
      case "float":
      case "string":
      case "path":
      case "curPos":
      case "inheritFrom":
        return;
      case "var":
        this.#variable(expr, scope, frame);
        return;
      case "select":
        this.visit(expr.object, scope, frame, false);
        this.#path(expr.path, scope, frame);
        if (expr.fallback !== undefined) this.visit(expr.fallback, scope, frame, false);
        return;
      case "hasAttr":
        this.visit(expr.object, scope, frame, false);
        this.#path(expr.path, scope, frame);
        return;
      case "call":
        this.visit(expr.fn, scope, frame, false);
        for (let i = 0; i < expr.args.length; i++) this.visit(expr.args[i]!, scope, frame, false);
        return;
      case "lambda": {
        const inner: Frame = { level: frame.level + 1, size: 1 };
        const names = new Map<string, number>();
        if (expr.argument !== undefined) names.set(expr.argument, inner.size++);
        for (const formal of expr.formals ?? []) names.set(formal.name, inner.size++);
        let body = expr.body;
        if (expr.formals === undefined && this.isSharing)
          while (body.kind === "lambda" && body.formals === undefined) {
            names.set(body.argument!, inner.size++);
            body = body.body;
          }
        const innerScope: Scope = {
          up: scope,
          frame: inner,
          names,
          withSlot: 0,
          withPos: 0,
          withs: undefined,
        };
        for (const formal of expr.formals ?? [])
          if (formal.fallback !== undefined) this.visit(formal.fallback, innerScope, inner, false);
        this.visit(body, innerScope, inner, true);
        expr.frameSize = inner.size;
        return;
      }
      case "let": {
        const own: Frame = isOnce ? frame : { level: frame.level + 1, size: 1 };
        expr.slot = own.size;
        own.size += expr.attrs.defs.length;
        const innerScope = this.#recursiveScope(expr.attrs, scope, own, expr.slot);
        this.#definitions(expr.attrs, innerScope, own, scope, frame);
        this.visit(expr.body, innerScope, own, true);
        if (own !== frame) expr.frameSize = own.size;
        return;
      }
      case "with": {
        this.visit(expr.attrs, scope, frame, false);
        const own: Frame = isOnce ? frame : { level: frame.level + 1, size: 1 };
        expr.slot = own.size++;
        const innerScope: Scope = {
          up: scope,
          frame: own,
          names: undefined,
          withSlot: expr.slot,
          withPos: expr.pos,
          withs: undefined,
        };
        this.visit(expr.body, innerScope, own, true);
        if (own !== frame) expr.frameSize = own.size;
        return;
      }
      case "if":
        this.visit(expr.condition, scope, frame, false);
        this.visit(expr.consequent, scope, frame, isOnce);
        this.visit(expr.alternate, scope, frame, isOnce);
        return;
      case "assert":
        this.visit(expr.condition, scope, frame, false);
        this.visit(expr.body, scope, frame, isOnce);
        return;
      case "attrs":
        if (expr.isRecursive) {
          const own: Frame = { level: frame.level + 1, size: 1 + expr.defs.length };
          const innerScope = this.#recursiveScope(expr, scope, own, 1);
          this.#definitions(expr, innerScope, own, scope, frame);
        } else this.#definitions(expr, scope, frame, scope, frame);
        return;
      case "list":
        for (let i = 0; i < expr.items.length; i++) this.visit(expr.items[i]!, scope, frame, false);
        return;
      case "not":
        this.visit(expr.operand, scope, frame, false);
        return;
      case "concat":
        for (let i = 0; i < expr.parts.length; i++) this.visit(expr.parts[i]!.expr, scope, frame, false);
        return;
      case "deferred":
        expr.resolve = (expanded) => {
          this.visit(expanded, scope, frame, false);
        };
        return;
      case "binary":
        this.visit(expr.left, scope, frame, false);
        this.visit(expr.right, scope, frame, false);
        return;
    }
  }

  #recursiveScope(attrs: AttrsExpr, up: Scope, frame: Frame, firstSlot: number): Scope {
    const names = new Map<string, number>();
    for (let i = 0; i < attrs.defs.length; i++) names.set(attrs.defs[i]!.name, firstSlot + i);
    return { up, frame, names, withSlot: 0, withPos: 0, withs: undefined };
  }

  /** Definitions see `scope`, except those of a plain `inherit`, which see the surrounding one. */
  #definitions(attrs: AttrsExpr, scope: Scope, frame: Frame, outer: Scope, outerFrame: Frame): void {
    for (const source of attrs.inheritFrom) this.visit(source, scope, frame, false);
    let later: DeferredExpr["resolve"];
    for (let i = 0; i < attrs.defs.length; i++) {
      const def = attrs.defs[i]!;
      if (def.kind === "inherited") this.visit(def.value, outer, outerFrame, false);
      else if (def.kind === "plain") {
        // One function for all: there are thousands.
        if (def.value.kind === "deferred")
          def.value.resolve = later ??= (expanded) => {
            this.visit(expanded, scope, frame, false);
          };
        else this.visit(def.value, scope, frame, false);
      }
    }
    for (const def of attrs.dynamic) {
      this.visit(def.name, scope, frame, false);
      this.visit(def.value, scope, frame, false);
    }
  }

  #path(path: readonly AttrName[], scope: Scope, frame: Frame): void {
    for (let i = 0; i < path.length; i++) {
      const name = path[i]!;
      if (typeof name !== "string") this.visit(name, scope, frame, false);
    }
  }

  #variable(expr: VarExpr, scope: Scope, frame: Frame): void {
    let isWithin = false;
    for (let at: Scope | undefined = scope; at !== undefined; at = at.up) {
      if (at.names === undefined) {
        isWithin = true;
        continue;
      }
      const slot = at.names.get(expr.name);
      if (slot !== undefined) {
        expr.placeLocal(frame.level - at.frame.level, slot);
        return;
      }
    }
    const global = this.#globals.indexOf.get(expr.name);
    if (global !== undefined) {
      expr.placeGlobal(global);
      return;
    }
    if (!isWithin) throw undefinedHere(expr, scope, this.#globals);
    expr.placeInWiths((scope.withs ??= withsAround(scope)));
  }
}

/** Keeps where each expression stands. */
class PlaceRecorder extends Resolver {
  readonly #places: WeakMap<Expr, ExprPlace>;
  protected override readonly isSharing = false;

  constructor(globals: Globals, places: WeakMap<Expr, ExprPlace>) {
    super(globals);
    this.#places = places;
  }

  override visit(expr: Expr, scope: Scope, frame: Frame, isOnce: boolean): void {
    this.#places.set(expr, { scope, level: frame.level });
    super.visit(expr, scope, frame, isOnce);
  }
}

/** One list for all variables of a scope. */
function withsAround(scope: Scope): WithPlace[] {
  const withs: WithPlace[] = [];
  for (let at: Scope | undefined = scope; at !== undefined; at = at.up)
    if (at.names === undefined)
      withs.push({ depth: scope.frame.level - at.frame.level, slot: at.withSlot, pos: at.withPos });
  return withs.slice();
}

function undefinedHere(expr: VarExpr, scope: Scope, globals: Globals): Error {
  const visible = new Set<string>();
  for (let at: Scope | undefined = scope; at !== undefined; at = at.up)
    for (const name of at.names?.keys() ?? []) visible.add(name);
  for (const name of globals.indexOf.keys()) if (!name.startsWith("__")) visible.add(name);
  return undefinedVariable(expr.name, expr.pos, visible);
}
