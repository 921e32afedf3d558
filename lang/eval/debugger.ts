import { DevshellError, type SourcePos } from "../../core/index.ts";
import { posOfExpr, type Expr } from "../syntax/index.ts";
import type { DebugControl } from "../value/debugging.ts";
import { evalError } from "../value/error.ts";
import { NO_POS, sourcePos, type Pos } from "../value/position.ts";
import { AttrSet, Thunk, type Env, type Slot } from "../value/value.ts";
import type { ExprPlace, Scope } from "./resolve.ts";
import { ancestor } from "./variable.ts";

/** What to do where evaluation stands still. */
export type DebugAnswer = "continue" | "step" | "quit";

export interface DebuggerOptions {
  /** Nothing stops within `builtins.tryEval`: `ignore-try`. */
  readonly ignoresTry: boolean;
  /** `debugger-on-trace`. */
  readonly stopsOnTrace: boolean;
  /** `debugger-on-warn`. */
  readonly stopsOnWarning: boolean;
  /** Called where evaluation stands still; it goes on when this returns. */
  onStop(stop: DebugStop): DebugAnswer;
}

/** An evaluation that stands still. */
export interface DebugStop {
  /** What is about to fail; `undefined` where nothing does. */
  readonly failure: DevshellError | undefined;
  /** Whether `builtins.break` is the reason. */
  readonly isBreakpoint: boolean;
  /** Whether `builtins.tryEval` tries this. */
  readonly isInTry: boolean;
  /** What is being evaluated, innermost first. Never empty. */
  readonly traces: readonly DebugTrace[];
}

/** One thing that is being evaluated. */
export interface DebugTrace {
  readonly message: string;
  readonly place: SourcePos | undefined;
  readonly isError: boolean;
  /** The variables around it by level, innermost first; the last are those of every file. */
  levels(): readonly DebugLevel[];
  /** The variables around it but those of every file; of `with`, what is known. */
  variables(): ReadonlyMap<string, Slot>;
}

export interface DebugLevel {
  readonly names: readonly string[];
  /** Of a `with` whose set is known: what it has. */
  readonly withNames?: readonly string[] | undefined;
  readonly isGlobal: boolean;
}

/** What is being evaluated, and how it is told. */
export interface DebugFrame {
  readonly message: () => string;
  /** Shown; `NO_POS` means the expression's own. */
  readonly pos: Pos;
  /** Whose variables are seen, in `env`. */
  readonly expr: Expr;
  /** The position of what is evaluated, which is not `expr` for a `let`. */
  readonly exprPos: Pos;
}

interface EnteredFrame extends DebugFrame {
  readonly env: Env;
}

/** Follows an evaluation, and lets the user look where it fails or is told to stop, as Nix's `--debugger`. */
export class Debugger implements DebugControl {
  readonly places = new WeakMap<Expr, ExprPlace>();
  isLeaving = false;
  isLooking = false;
  readonly #options: DebuggerOptions;
  readonly #globalNames: readonly string[];
  /** Outermost first. */
  readonly #frames: EnteredFrame[] = [];
  /** Whose code it is that a thunk holds. */
  readonly #exprs = new WeakMap<object, Expr>();
  #tries = 0;
  #isMuted = false;
  #isStepping = false;

  /** @param globalNames the variables of every file; more may be added later */
  constructor(options: DebuggerOptions, globalNames: readonly string[]) {
    this.#options = options;
    this.#globalNames = globalNames;
  }

  /** How much is being evaluated, to be given to {@link leave}. */
  get depth(): number {
    return this.#frames.length;
  }

  /** Says that something is being evaluated from now on. */
  enter(frame: DebugFrame, env: Env): void {
    this.#frames.push({ ...frame, env });
    if (this.#isStepping) this.#stopOrLeave();
  }

  leave(depth: number): void {
    this.#frames.length = depth;
  }

  /** What runs something that is being evaluated then. */
  around<T>(frame: DebugFrame, env: Env, run: () => T): () => T {
    return () => {
      const { depth } = this;
      this.enter(frame, env);
      try {
        return run();
      } finally {
        this.leave(depth);
      }
    };
  }

  remember(code: object, expr: Expr): void {
    this.#exprs.set(code, expr);
  }

  failed(error: DevshellError): void {
    // On "quit" it is thrown by whoever made it, with all that belongs to it.
    this.#stop(error, false);
  }

  breakpoint(): void {
    if (this.#stop(undefined, true) === "quit") throw evalError("eval", "breakpoint reached");
  }

  told(what: "trace" | "warning"): void {
    const { stopsOnTrace, stopsOnWarning } = this.#options;
    if (stopsOnTrace || (what === "warning" && stopsOnWarning)) this.#stopOrLeave();
  }

  attempt<T>(run: () => T): T {
    const wasMuted = this.#isMuted;
    if (this.#options.ignoresTry) this.#isMuted = true;
    this.#tries++;
    try {
      return run();
    } finally {
      this.#tries--;
      this.#isMuted = wasMuted;
    }
  }

  attribute<T>(
    { code, data }: { readonly code: unknown; readonly data: unknown },
    name: string,
    pos: Pos,
    run: () => T,
  ): T {
    const expr = typeof code === "function" ? this.#exprs.get(code) : undefined;
    if (expr === undefined) return run();
    const message = (): string => `while evaluating the attribute '${name}'`;
    return this.around({ message, pos, expr, exprPos: posOfExpr(expr) }, data as Env, run)();
  }

  #stopOrLeave(): void {
    if (this.#stop(undefined, false) !== "quit") return;
    throw new DevshellError("LANG_DEBUGGER_LEFT", "evaluation was left in the debugger");
  }

  #stop(failure: DevshellError | undefined, isBreakpoint: boolean): DebugAnswer {
    if (this.#frames.length === 0 || this.#isMuted || this.isLeaving) return "continue";
    // What is evaluated meanwhile, for the user to see, stops nowhere.
    this.#isMuted = true;
    this.isLooking = true;
    this.#isStepping = false;
    try {
      const traces = this.#traces(failure, isBreakpoint);
      const answer = this.#options.onStop({ failure, isBreakpoint, isInTry: this.#tries > 0, traces });
      this.#isStepping = answer === "step";
      this.isLeaving = answer === "quit";
      return answer;
    } finally {
      this.#isMuted = false;
      this.isLooking = false;
    }
  }

  #traces(failure: DevshellError | undefined, isBreakpoint: boolean): DebugTrace[] {
    const traces = this.#frames.map((frame): DebugTrace => this.#trace(frame)).reverse();
    const front = this.#frames.at(-1)!;
    if ((failure === undefined && !isBreakpoint) || front.exprPos === NO_POS) return traces;
    const message = failure?.message ?? "breakpoint reached";
    // The call of `break` has a trace of its own, with the place.
    const place = isBreakpoint ? undefined : (failure?.pos ?? sourcePos(front.exprPos));
    return [{ ...this.#trace(front), message, place, isError: true }, ...traces];
  }

  #trace({ message, pos, expr, exprPos, env }: EnteredFrame): DebugTrace {
    return {
      message: message(),
      place: sourcePos(pos === NO_POS ? exprPos : pos),
      isError: false,
      levels: () => this.#levels(expr, env),
      variables: () => this.#variables(expr, env),
    };
  }

  #levels(expr: Expr, env: Env): DebugLevel[] {
    const levels = this.#scopesOf(expr).map(({ scope, depth }): DebugLevel => {
      if (scope.names !== undefined) return { names: [...scope.names.keys()].sort(), isGlobal: false };
      return { names: [], withNames: withSet(scope, depth, env)?.sortedNames(), isGlobal: false };
    });
    const names = this.#globalNames.filter((name) => !name.startsWith("__")).sort();
    return [...levels, { names, isGlobal: true }];
  }

  #variables(expr: Expr, env: Env): Map<string, Slot> {
    const variables = new Map<string, Slot>();
    for (const { scope, depth } of this.#scopesOf(expr).reverse()) {
      if (scope.names === undefined)
        withSet(scope, depth, env)?.forEachSorted((name, slot) => variables.set(name, slot));
      const frame = ancestor(depth)(env);
      for (const [name, at] of scope.names ?? []) {
        const slot = frame[at] as Slot | undefined;
        // Of a `let` that is just being entered, not all are there.
        if (slot !== undefined) variables.set(name, slot);
      }
    }
    return variables;
  }

  /** Innermost first, with how many environments up each lies. */
  #scopesOf(expr: Expr): { readonly scope: Scope; readonly depth: number }[] {
    const place = this.places.get(expr);
    const scopes: { readonly scope: Scope; readonly depth: number }[] = [];
    for (let scope = place?.scope; scope !== undefined; scope = scope.up) {
      // A file's outermost scope brings nothing unless it was given names.
      if (scope.up === undefined && scope.names?.size === 0) break;
      scopes.push({ scope, depth: place!.level - scope.frame.level });
    }
    return scopes;
  }
}

/** The set of a `with`, where it is known. */
function withSet(scope: Scope, depth: number, env: Env): AttrSet | undefined {
  const slot = ancestor(depth)(env)[scope.withSlot] as Slot | undefined;
  const value = slot instanceof Thunk ? (slot.code === null ? slot.data : undefined) : slot;
  return value instanceof AttrSet ? value : undefined;
}
