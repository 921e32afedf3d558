import { bytesOfText, DevshellError, type ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import {
  AttrSet,
  ContextString,
  EMPTY_SET,
  EvalError,
  FUNCTION_POS,
  Float,
  Lambda,
  NO_POS,
  PathValue,
  PrimOp,
  Thunk,
  calls,
  checkLevels,
  describeFunction,
  evalError,
  force,
  isDerivation,
  isInteger,
  isList,
  isStringValue,
  isUnderEvaluation,
  peek,
  quoteAttrName,
  quoteString,
  textOf,
  type Slot,
  type Value,
} from "../value/index.ts";
import { formatFloat } from "./floats.ts";

export interface PrintOptions {
  /** Evaluate what is printed; else what is not evaluated is `«thunk»`. */
  readonly force?: boolean;
  /** With `force`: a derivation is `«derivation /nix/store/…drv»`. */
  readonly derivationPaths?: boolean;
  /** A set or list met again is `«repeated»` (the default). */
  readonly trackRepeated?: boolean;
  readonly maxDepth?: number;
  /** In all, not for each set or list. */
  readonly maxAttributes?: number;
  readonly maxItems?: number;
  readonly maxStringLength?: number;
  /** Spaces a level; 0 prints one line. */
  readonly prettyIndent?: number;
  /** What an error inside becomes: `«error: …»` (the default), or thrown, or thrown only for the value itself. */
  readonly errors?: "print" | "throw" | "throwTopLevel";
  /** Gets the contexts of the strings printed. */
  readonly context?: Set<ContextElement>;
  /** Colours a part, for a terminal. */
  readonly paint?: (part: PrintedPart, text: ByteString) => ByteString;
}

/** What is told apart by colours; `mark` is what stands for a value, `constant` a number, a Boolean or null. */
export type PrintedPart =
  | "string"
  | "constant"
  | "path"
  | "derivation"
  | "function"
  | "mark"
  | "error"
  | "elided";

/**
 * A value as the language writes it, in bytes (`«` and `»` are UTF-8): `nix eval`, `nix repl`, `builtins.trace` and
 * `nix-instantiate --eval` (there with `--strict`: `force`).
 */
export function printValue(slot: Slot, options: PrintOptions = {}): ByteString {
  return new Printer(options).run(slot);
}

class Printer {
  readonly #options: PrintOptions;
  readonly #seen = new Set<unknown>();
  readonly #indentStep: number;
  #indent = "";
  #attributes = 0;
  #items = 0;
  /** The bracket of a set or list that fails while its layout is chosen: Nix shows it before the error. */
  #begun = "";

  constructor(options: PrintOptions) {
    this.#options = options;
    this.#indentStep = options.prettyIndent ?? 0;
  }

  run(slot: Slot): ByteString {
    return this.#print(slot, 0);
  }

  #print(slot: Slot, depth: number): ByteString {
    checkLevels(depth, NO_POS);
    const callDepth = calls.depth;
    try {
      const value = this.#options.force === true ? force(slot, FUNCTION_POS) : peek(slot);
      if (value !== undefined) return this.#value(value, slot, depth);
      if (isUnderEvaluation(slot)) return this.#paint("error", special("«potential infinite recursion»"));
      return this.#paint("mark", special("«thunk»"));
    } catch (error) {
      const mode = this.#options.errors ?? "print";
      const isDeep = error instanceof EvalError && error.kind === "stackOverflow";
      if (mode === "throw" || (mode === "throwTopLevel" && depth === 0) || isDeep) throw error;
      if (!(error instanceof DevshellError)) throw error;
      calls.depth = callDepth;
      const begun = this.#begun;
      this.#begun = "";
      return `${begun}${this.#paint("error", `${special("«error: ")}${error.message}${special("»")}`)}`;
    }
  }

  #value(value: Value, slot: Slot, depth: number): ByteString {
    if (isStringValue(value)) {
      if (value instanceof ContextString)
        for (const element of value.context) this.#options.context?.add(element);
      return this.#string(textOf(value));
    }
    if (isInteger(value) || typeof value === "boolean" || value === null)
      return this.#paint("constant", String(value));
    if (value instanceof Float) return this.#paint("constant", formatFloat(value.value));
    if (value instanceof PathValue) return this.#paint("path", value.path);
    if (value instanceof AttrSet) return this.#set(value, depth);
    // Lists are told apart by what holds them, as in Nix: a copy of a list is another list.
    if (isList(value)) return this.#list(value, slot instanceof Thunk ? slot : value, depth);
    return this.#paint("function", describeFunction(value));
  }

  #string(text: ByteString): ByteString {
    const { maxStringLength: max = Infinity } = this.#options;
    const quoted = this.#paint("string", quoteString(text.length <= max ? text : text.slice(0, max)));
    return text.length <= max ? quoted : `${quoted} ${this.#elided(text.length - max, "byte")}`;
  }

  #elided(count: number, noun: string): ByteString {
    return this.#paint("elided", special(`«${count} ${noun}${count === 1 ? "" : "s"} elided»`));
  }

  #paint(part: PrintedPart, text: ByteString): ByteString {
    const { paint } = this.#options;
    return paint === undefined ? text : paint(part, text);
  }

  /** Whether this set or list was printed before. */
  #isRepeated(container: unknown): boolean {
    if (this.#options.trackRepeated === false) return false;
    if (this.#seen.has(container)) return true;
    this.#seen.add(container);
    return false;
  }

  #set(set: AttrSet, depth: number): ByteString {
    // In Nix all empty sets are one, but for those of which nothing is left.
    if (this.#isRepeated(set.size === 0 && !set.isEmptied ? EMPTY_SET : set))
      return this.#paint("mark", special("«repeated»"));
    if (this.#options.force === true && this.#options.derivationPaths === true && isDerivation(set))
      return this.#paint("derivation", printDerivation(set));
    if (depth >= (this.#options.maxDepth ?? Infinity)) return "{ ... }";
    const limit = this.#options.maxAttributes ?? Infinity;
    const names = limit === Infinity ? set.sortedNames() : importantFirst(set.sortedNames());
    this.#indent += " ".repeat(this.#indentStep);
    const isPretty = this.#isPretty("{", names.length, () => set.get(names[0]!)!);
    let text = "{";
    for (let i = 0; i < names.length; i++) {
      text += this.#space(isPretty);
      if (this.#attributes >= limit) {
        text += this.#elided(names.length - i, "attribute");
        break;
      }
      text += `${quoteAttrName(names[i]!)} = ${this.#print(set.get(names[i]!)!, depth + 1)};`;
      this.#attributes++;
    }
    this.#indent = this.#indent.slice(this.#indentStep);
    return `${text}${this.#space(isPretty)}}`;
  }

  #list(items: readonly Slot[], identity: unknown, depth: number): ByteString {
    if (items.length > 0 && this.#isRepeated(identity)) return this.#paint("mark", special("«repeated»"));
    if (depth >= (this.#options.maxDepth ?? Infinity)) return "[ ... ]";
    const limit = this.#options.maxItems ?? Infinity;
    this.#indent += " ".repeat(this.#indentStep);
    const isPretty = this.#isPretty("[", items.length, () => items[0]!);
    let text = "[";
    for (let i = 0; i < items.length; i++) {
      text += this.#space(isPretty);
      if (this.#items >= limit) {
        text += this.#elided(items.length - i, "item");
        break;
      }
      text += this.#print(items[i]!, depth + 1);
      this.#items++;
    }
    this.#indent = this.#indent.slice(this.#indentStep);
    return `${text}${this.#space(isPretty)}]`;
  }

  #space(isPretty: boolean): string {
    return isPretty ? `\n${this.#indent}` : " ";
  }

  /** One line each where there are several, or one that is itself a set or list. */
  #isPretty(bracket: string, count: number, only: () => Slot): boolean {
    if (this.#indentStep === 0 || count === 0) return false;
    if (count > 1) return true;
    this.#begun = bracket;
    const value = force(only(), FUNCTION_POS);
    this.#begun = "";
    return value instanceof AttrSet || isList(value);
  }
}

/** Names that tell what a set is come first where only some can be shown. */
function importantFirst(names: readonly string[]): string[] {
  const isImportant = (name: string): boolean => name === "type" || name === "_type";
  return [...names.filter(isImportant), ...names.filter((name) => !isImportant(name))];
}

function printDerivation(set: AttrSet): ByteString {
  const drvPath = set.get("drvPath");
  if (drvPath === undefined) return special("«derivation»");
  const value = force(drvPath, set.posOf("drvPath"));
  if (!isStringValue(value))
    throw evalError("type", "the drvPath of a derivation must be a string", NO_POS, {
      frame: "while evaluating the drvPath of a derivation",
    });
  return `${special("«derivation ")}${textOf(value)}${special("»")}`;
}

/** What holds the printer's own marks, which are not ASCII, as bytes. */
function special(text: string): ByteString {
  return bytesOfText(text);
}

/**
 * The older form that `nix-instantiate --eval` and `nix-env` print: functions are `<LAMBDA>`, what is not evaluated
 * is `<CODE>`.
 * @param isTracked whether sets and lists met again are `«repeated»`
 */
export function printAmbiguous(slot: Slot, context?: Set<ContextElement>, isTracked = true): ByteString {
  const seen = new Set<unknown>();
  const isRepeated = (container: unknown): boolean => {
    if (!isTracked) return false;
    if (seen.has(container)) return true;
    seen.add(container);
    return false;
  };
  const print = (item: Slot, depth: number): ByteString => {
    checkLevels(depth, NO_POS);
    const value = peek(item);
    if (value === undefined)
      return isUnderEvaluation(item) ? special("«potential infinite recursion»") : "<CODE>";
    if (isStringValue(value)) {
      if (value instanceof ContextString) for (const element of value.context) context?.add(element);
      return quoteString(textOf(value));
    }
    if (isInteger(value) || typeof value === "boolean" || value === null) return String(value);
    if (value instanceof Float) return formatFloat(value.value);
    if (value instanceof PathValue) return value.path;
    if (value instanceof AttrSet) {
      if (value.size > 0 && isRepeated(value)) return special("«repeated»");
      let text = "{ ";
      for (const name of value.sortedNames())
        text += `${quoteAttrName(name)} = ${print(value.get(name)!, depth + 1)}; `;
      return `${text}}`;
    }
    if (isList(value)) {
      if (value.length > 0 && isRepeated(item instanceof Thunk ? item : value)) return special("«repeated»");
      return `[ ${value.map((element) => `${print(element, depth + 1)} `).join("")}]`;
    }
    return value instanceof Lambda ? "<LAMBDA>" : value instanceof PrimOp ? "<PRIMOP>" : "<PRIMOP-APP>";
  };
  return print(slot, 0);
}
