import { checkInterrupt } from "../../core/index.ts";
import { printValue } from "../print/index.ts";
import {
  AttrSet,
  ContextString,
  Float,
  NO_POS,
  PathValue,
  addFrame,
  call1,
  calls,
  claimWords,
  coerceToString,
  debugging,
  describeValue,
  evalError,
  force,
  forceAttrs,
  forceDeep,
  forceFunction,
  forceList,
  forceString,
  forceStringNoContext,
  getAttr,
  shapeOf,
  isCatchable,
  isInteger,
  isStringValue,
  lessThan,
  pathUse,
  textOf,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, define2, type Definition } from "./define.ts";

const TRY_SHAPE = shapeOf(["success", "value"]);

export function controlBuiltins(runtime: Runtime): readonly Definition[] {
  const message = (slot: Slot, frame: string): string =>
    coerceToString(runtime, slot, new Set(), NO_POS, frame);
  const trace = (e1: Slot, e2: Slot): Value => {
    const value = force(e1);
    runtime.host.trace(isStringValue(value) ? textOf(value) : printValue(value));
    debugging.control?.told("trace");
    return force(e2);
  };
  return [
    define1(
      "abort",
      "s",
      "Ends the evaluation with a message.",
      (_, s) => {
        const text = message(s, "while evaluating the error message passed to builtins.abort");
        throw evalError("abort", `evaluation aborted with the following error message: '${text}'`);
      },
      { isGlobal: true },
    ),
    define1(
      "throw",
      "s",
      "Fails with a message; `tryEval` can catch it.",
      (_, s) => {
        throw evalError("throw", message(s, "while evaluating the error message passed to builtin.throw"));
      },
      { isGlobal: true },
    ),
    define1(
      "tryEval",
      "e",
      "Evaluates a value, catching `throw` and `assert`: `{ success, value }`.",
      (_, e) => {
        const { depth } = calls;
        const { control } = debugging;
        try {
          return new AttrSet(TRY_SHAPE, [
            true,
            control === undefined ? force(e) : control.attempt(() => force(e)),
          ]);
        } catch (error) {
          calls.depth = depth;
          if (isCatchable(error) && control?.isLeaving !== true)
            return new AttrSet(TRY_SHAPE, [false, false]);
          throw error;
        }
      },
    ),
    define2(
      "addErrorContext",
      "context value",
      "A value whose failure shows a message in its trace.",
      (_, context, value) => {
        const { depth } = calls;
        try {
          return force(value);
        } catch (error) {
          checkInterrupt();
          calls.depth = depth;
          const text = coerceToString(
            runtime,
            context,
            new Set(),
            NO_POS,
            "while evaluating the error message passed to builtins.addErrorContext",
            { copyToStore: false },
          );
          throw addFrame(error, text, NO_POS, true);
        }
      },
      { addsFrame: false },
    ),
    define2("seq", "e1 e2", "Evaluates `e1`, then returns `e2`.", (_, e1, e2) => {
      force(e1);
      return force(e2);
    }),
    define2("deepSeq", "e1 e2", "Evaluates `e1` and all it holds, then returns `e2`.", (_, e1, e2) => {
      forceDeep(e1);
      return force(e2);
    }),
    define2("trace", "e1 e2", "Shows `e1` on standard error, then returns `e2`.", (_, e1, e2) =>
      trace(e1, e2),
    ),
    define2("traceVerbose", "e1 e2", "Like `trace` when `trace-verbose` is on.", (_, e1, e2) =>
      runtime.settings.traceVerbose ? trace(e1, e2) : force(e2),
    ),
    define2("warn", "e1 e2", "Shows a warning, then returns `e2`.", (_, e1, e2) => {
      const text = forceString(
        e1,
        NO_POS,
        "while evaluating the first argument; the message passed to builtins.warn",
      );
      runtime.host.warn(text, true);
      debugging.control?.told("warning");
      if (runtime.settings.abortOnWarn)
        throw evalError("abort", "aborting to reveal stack trace of warning, as abort-on-warn is set");
      return force(e2);
    }),
    define1("getEnv", "s", "The value of an environment variable, or an empty string.", (_, s) => {
      const name = forceStringNoContext(
        s,
        NO_POS,
        "while evaluating the first argument passed to builtins.getEnv",
      );
      if (runtime.settings.isPure || runtime.settings.isRestricted) return "";
      return runtime.host.environmentVariable(name) ?? "";
    }),
    define1(
      "break",
      "v",
      "Returns its argument; with `--debugger`, evaluation stands still there first.",
      (_, v) => {
        debugging.control?.breakpoint();
        return force(v);
      },
      { isGlobal: true },
    ),
    define1(
      "genericClosure",
      "attrset",
      "The closure of `startSet` under `operator`, whose elements differ in `key`.",
      (_, attrset) => genericClosure(attrset),
    ),
  ];
}

const IN_ARGUMENT = "in the attrset passed as argument to builtins.genericClosure";

/** An element in two lists and a set of keys. */
const WORDS_OF_ELEMENT = 8;

function genericClosure(argument: Slot): Value {
  const set = forceAttrs(
    argument,
    NO_POS,
    "while evaluating the first argument passed to builtins.genericClosure",
  );
  const start = forceList(
    getAttr(set, "startSet", IN_ARGUMENT),
    NO_POS,
    "while evaluating the 'startSet' attribute passed as argument to builtins.genericClosure",
  );
  if (start.length === 0) return start;
  const operator = forceFunction(
    getAttr(set, "operator", IN_ARGUMENT),
    NO_POS,
    "while evaluating the 'operator' attribute passed as argument to builtins.genericClosure",
  );
  const work: Slot[] = start.slice();
  const result: Slot[] = [];
  const keys = new KeySet();
  for (let i = 0; i < work.length; i++) {
    const item = work[i]!;
    let element: AttrSet;
    let key: Slot;
    try {
      element = forceAttrs(item, NO_POS, "");
      key = getAttr(element, "key", "");
    } catch (error) {
      throw addFrame(error, `in genericClosure element ${describeValue(item)}`);
    }
    if (!keys.add(force(key), element)) continue;
    result.push(element);
    try {
      const more = forceList(
        call1(operator, element, NO_POS),
        NO_POS,
        "while evaluating the return value of the `operator` passed to builtins.genericClosure",
      );
      claimWords(WORDS_OF_ELEMENT + more.length);
      for (let j = 0; j < more.length; j++) {
        const next = force(more[j]!);
        // Most of what is found has been met: it need not wait for its turn to be told so.
        if (!(next instanceof AttrSet && keys.knows(next.get("key")))) work.push(next);
      }
    } catch (error) {
      throw addFrame(error, `while calling operator on genericClosure element ${describeValue(element)}`);
    }
  }
  return result;
}

type KeyKind = "string" | "path" | "number" | "nan" | "other";

/** Keys seen, equal when neither is less than the other. All must be comparable with each other. */
class KeySet {
  #kind: KeyKind | undefined;
  readonly #plain = new Set<string | number | bigint>();
  /** Sorted, for keys that are lists. */
  readonly #sorted: { readonly key: Value; readonly element: AttrSet }[] = [];
  #first: { readonly key: Value; readonly element: AttrSet } | undefined;

  /** @returns whether the key is new */
  add(key: Value, element: AttrSet): boolean {
    if (typeof key === "number" && this.#kind === "number") return this.#isNew(key);
    if (key instanceof Float && Number.isNaN(key.value)) return this.#addNan(key, element);
    const kind = kindOf(key);
    if (this.#kind === undefined) {
      this.#kind = kind;
      this.#first = { key, element };
    } else if (this.#kind === "nan" && kind === "number") return false;
    else if (this.#kind !== kind) return this.#fail(key, element);
    if (kind === "other") return this.#addSorted(key, element);
    return this.#isNew(plainKey(key));
  }

  /** Whether it is known without evaluation that the key of a slot would not be new. */
  knows(slot: Slot | undefined): boolean {
    const kind = typeof slot;
    return (kind === "number" || kind === "string") && kind === this.#kind && this.#plain.has(slot as string);
  }

  /** What is not a number is no less than anything and nothing is less than it, so it equals all other numbers. */
  #addNan(key: Float, element: AttrSet): boolean {
    this.#kind ??= "nan";
    if (this.#kind !== "nan" && this.#kind !== "number") return this.#fail(key, element);
    if (this.#first !== undefined) return false;
    this.#first = { key, element };
    return true;
  }

  #isNew(key: string | number | bigint): boolean {
    const before = this.#plain.size;
    return this.#plain.add(key).size !== before;
  }

  #addSorted(key: Value, element: AttrSet): boolean {
    let low = 0;
    let high = this.#sorted.length;
    try {
      while (low < high) {
        const middle = (low + high) >> 1;
        if (lessThan(this.#sorted[middle]!.key, key, NO_POS)) low = middle + 1;
        else high = middle;
      }
      const found = this.#sorted[low];
      if (found !== undefined && !lessThan(key, found.key, NO_POS)) return false;
    } catch {
      return this.#fail(key, element);
    }
    this.#sorted.splice(low, 0, { key, element });
    return true;
  }

  #fail(key: Value, element: AttrSet): never {
    const known = this.#sorted.length > 0 ? this.#sorted : [this.#first!];
    const other = known.find((entry) => !canCompare(key, entry.key)) ?? known[0]!;
    try {
      lessThan(key, other.key, NO_POS);
    } catch (error) {
      addFrame(error, `with element ${describeValue(other.element)}`);
      throw addFrame(error, `while comparing element ${describeValue(element)}`);
    }
    throw new Error("keys that could not be compared can be");
  }
}

function canCompare(a: Value, b: Value): boolean {
  try {
    lessThan(a, b, NO_POS);
    return true;
  } catch {
    return false;
  }
}

function kindOf(key: Value): KeyKind {
  if (typeof key === "string" || key instanceof ContextString) return "string";
  if (isInteger(key) || key instanceof Float) return "number";
  return key instanceof PathValue ? "path" : "other";
}

function plainKey(key: Value): string | number | bigint {
  if (typeof key === "string" || typeof key === "number" || typeof key === "bigint") return key;
  if (key instanceof ContextString) return key.text;
  if (!(key instanceof PathValue)) return (key as Float).value;
  pathUse.tell?.(key.path);
  return key.path;
}
