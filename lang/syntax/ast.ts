import { canonicalPath } from "../value/path.ts";
import type { Pos } from "../value/position.ts";

/** The syntax tree, close to Nix's own: arithmetic and `<` are calls of `__sub`, `__lessThan` and so on. */
export type Expr =
  | IntExpr
  | FloatExpr
  | StringExpr
  | PathExpr
  | VarExpr
  | SelectExpr
  | HasAttrExpr
  | CallExpr
  | LambdaExpr
  | LetExpr
  | WithExpr
  | IfExpr
  | AssertExpr
  | AttrsExpr
  | ListExpr
  | NotExpr
  | ConcatExpr
  | BinaryExpr
  | CurPosExpr
  | InheritFromExpr
  | DeferredExpr;

export interface IntExpr {
  readonly kind: "int";
  readonly value: number | bigint;
}

export interface FloatExpr {
  readonly kind: "float";
  readonly value: number;
}

export interface StringExpr {
  readonly kind: "string";
  readonly text: string;
}

/** A path literal: made absolute when it is used, since most of a package collection's never are. */
export interface PathExpr {
  readonly kind: "path";
  readonly literal: string;
  /** What it is relative to; "" when it is absolute. */
  readonly base: string;
  /** It began with the home directory: such a path keeps its dots, as in Nix. */
  readonly isHome?: true;
}

/** The absolute path; keeps a last slash when it is the start of `/a/${x}`. */
export function pathOf(expr: PathExpr): string {
  const { base, literal } = expr;
  if (expr.isHome === true) return literal;
  const canonical = canonicalPath(base === "" ? literal : `${base}/${literal}`);
  return literal.length > 1 && literal.endsWith("/") && canonical !== "/" ? `${canonical}/` : canonical;
}

/** Where the value of a name lies, filled in by `resolve`. */
export const UNRESOLVED = -1;
export const GLOBAL = -2;
export const FROM_WITH = -3;

/** More slots than any environment has. */
const SLOTS = 2 ** 24;

/** A class of few fields: a package tree has hundreds of thousands. */
export class VarExpr {
  declare readonly kind: "var";
  readonly name: string;
  readonly pos: Pos;
  /** What `resolve` found: the depth and the slot in one, or the sets to look in. */
  place: number | readonly WithPlace[];

  constructor(name: string, pos: Pos) {
    this.name = name;
    this.pos = pos;
    this.place = UNRESOLVED;
  }

  /** Environments to go up, or one of `UNRESOLVED`, `GLOBAL`, `FROM_WITH`. */
  get depth(): number {
    const place = this.place;
    if (typeof place !== "number") return FROM_WITH;
    if (place >= 0) return Math.floor(place / SLOTS);
    return place === UNRESOLVED ? UNRESOLVED : GLOBAL;
  }

  /** In the environment; for `GLOBAL` among the global variables. */
  get slot(): number {
    const place = this.place;
    if (typeof place !== "number") return 0;
    return place >= 0 ? place % SLOTS : GLOBAL - place;
  }

  /** For `FROM_WITH`: the sets to look in, innermost first. */
  get withs(): readonly WithPlace[] {
    return typeof this.place === "number" ? [] : this.place;
  }

  /** The same variable, named elsewhere. */
  at(pos: Pos): VarExpr {
    const variable = new VarExpr(this.name, pos);
    variable.place = this.place;
    return variable;
  }

  placeLocal(depth: number, slot: number): void {
    this.place = depth * SLOTS + slot;
  }

  placeGlobal(index: number): void {
    this.place = GLOBAL - index;
  }

  placeInWiths(withs: readonly WithPlace[]): void {
    this.place = withs;
  }
}
Object.defineProperty(VarExpr.prototype, "kind", { value: "var" });

/** Where the set of an enclosing `with` lies. */
export interface WithPlace {
  readonly depth: number;
  readonly slot: number;
  readonly pos: Pos;
}

/** A name written out, or an expression that gives one. */
export type AttrName = string | Expr;

export interface SelectExpr {
  readonly kind: "select";
  readonly object: Expr;
  readonly path: readonly AttrName[];
  readonly fallback: Expr | undefined;
  readonly pos: Pos;
}

export interface HasAttrExpr {
  readonly kind: "hasAttr";
  readonly object: Expr;
  readonly path: readonly AttrName[];
  /** The object's: in a row of `?` each one's is that of the first. */
  readonly pos: Pos;
}

export interface CallExpr {
  readonly kind: "call";
  readonly fn: Expr;
  readonly args: Expr[];
  readonly pos: Pos;
}

export interface FormalExpr {
  readonly name: string;
  readonly pos: Pos;
  readonly fallback: Expr | undefined;
}

export interface LambdaExpr {
  readonly kind: "lambda";
  readonly argument: string | undefined;
  readonly formals: readonly FormalExpr[] | undefined;
  readonly hasEllipsis: boolean;
  readonly body: Expr;
  readonly pos: Pos;
  /** The attribute or variable it is bound to, set when that is known. */
  name: string | undefined;
  /** Slots of its environment; 0 for the inner of functions that share one (`x: y: …`). */
  frameSize: number;
}

export interface LetExpr {
  readonly kind: "let";
  readonly attrs: AttrsExpr;
  readonly body: Expr;
  /** Its first variable's slot. */
  slot: number;
  /** Slots of the environment it makes; 0 where it shares the surrounding one. */
  frameSize: number;
}

export interface WithExpr {
  readonly kind: "with";
  readonly attrs: Expr;
  readonly body: Expr;
  readonly pos: Pos;
  slot: number;
  frameSize: number;
}

export interface IfExpr {
  readonly kind: "if";
  readonly condition: Expr;
  readonly consequent: Expr;
  readonly alternate: Expr;
  readonly pos: Pos;
}

export interface AssertExpr {
  readonly kind: "assert";
  readonly condition: Expr;
  readonly body: Expr;
  readonly pos: Pos;
}

export interface AttrDef {
  readonly name: string;
  readonly value: Expr;
  readonly pos: Pos;
  /** `inherited`: from the surrounding scope; `inheritedFrom`: selects from an `InheritFromExpr`. */
  readonly kind: "plain" | "inherited" | "inheritedFrom";
}

export interface DynamicAttr {
  readonly name: Expr;
  readonly value: Expr;
  readonly pos: Pos;
}

export interface AttrsExpr {
  readonly kind: "attrs";
  isRecursive: boolean;
  defs: AttrDef[];
  dynamic: readonly DynamicAttr[];
  /** The sources of `inherit (…)`, in the order written. */
  inheritFrom: readonly Expr[];
  pos: Pos;
  /** Name → index into `defs`, once there are many; kept of a big set alone when all are added. */
  index: Map<string, number> | undefined;
}

export interface ListExpr {
  readonly kind: "list";
  readonly items: readonly Expr[];
}

export interface NotExpr {
  readonly kind: "not";
  readonly operand: Expr;
}

export interface ConcatPart {
  readonly pos: Pos;
  readonly expr: Expr;
}

/** String interpolation (`isString`), or `a + b`, or a path with interpolation. */
export interface ConcatExpr {
  readonly kind: "concat";
  readonly parts: readonly ConcatPart[];
  readonly isString: boolean;
  readonly pos: Pos;
}

export type BinaryOperator = "==" | "!=" | "&&" | "||" | "->" | "//" | "++";

export interface BinaryExpr {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly left: Expr;
  readonly right: Expr;
  readonly pos: Pos;
}

export interface CurPosExpr {
  readonly kind: "curPos";
  readonly pos: Pos;
}

export interface InheritFromExpr {
  readonly kind: "inheritFrom";
  index: number;
  readonly pos: Pos;
}

/**
 * `callPackage ../path { }` or `a.b` in a big set within a `with`: seen to be well-formed, and parsed when it is asked
 * for. Most of a package collection never is; and as any variable may be the `with`'s, none can be undefined.
 */
export interface DeferredExpr {
  readonly kind: "deferred";
  readonly pos: Pos;
  /** Behind the semicolon. */
  readonly end: Pos;
  readonly parse: (pos: Pos, end: Pos) => Expr;
  /** Set by `resolve`. */
  resolve: ((expr: Expr) => void) | undefined;
}

/** The expression itself, its variables resolved if those around it are. */
export function expand(deferred: DeferredExpr): Expr {
  const expr = deferred.parse(deferred.pos, deferred.end);
  deferred.resolve?.(expr);
  return expr;
}

/** The position errors name for an expression; 0 where it has none. */
export function posOfExpr(expr: Expr): Pos {
  switch (expr.kind) {
    case "var":
    case "select":
    case "call":
    case "lambda":
    case "with":
    case "if":
    case "assert":
    case "attrs":
    case "concat":
    case "binary":
    case "hasAttr":
    case "curPos":
    case "inheritFrom":
      return expr.pos;
    case "deferred":
      return posOfExpr(expand(expr));
    case "not":
      return posOfExpr(expr.operand);
    case "list":
      return expr.items[0] === undefined ? 0 : posOfExpr(expr.items[0]);
    case "int":
    case "float":
    case "string":
    case "path":
    case "let":
      return 0;
  }
}
