import { resolve } from "node:path";
import { DevshellError, Interrupted, bytesOfText, textOfBytes } from "../../core/index.ts";
import { derivationsOf, type FoundDerivation, type StoreContext } from "../../env/index.ts";
import {
  type AttrSet,
  EvalError,
  Lambda,
  NO_POS,
  forceAttrs,
  isStringValue,
  printValue,
  quoteAttrName,
  type Evaluator,
  type PrintOptions,
  type Slot,
  type Value,
} from "../../lang/index.ts";
import { isColoured } from "../isColoured.ts";
import { errorBytes, printError } from "../printError.ts";
import { completeLine } from "./completeLine.ts";
import { paintPart } from "./paint.ts";

export interface ReplEvaluation {
  readonly evaluator: Evaluator;
  readonly host: Parameters<typeof derivationsOf>[0]["host"];
  /** What functions of loaded files are called with. */
  readonly autoArguments: AttrSet;
}

export interface ReplOptions {
  readonly context: StoreContext;
  /** A new evaluator, which has read nothing yet. */
  readonly open: (options: { readonly showTrace: boolean }) => ReplEvaluation;
  readonly directory: string;
  /** Gets what is to be shown, in bytes. */
  readonly print: (text: string) => void;
  /** Gets what is told besides (what was loaded), in bytes. */
  readonly notice: (text: string) => void;
  /** A flake's attributes; absent where there are no flakes. */
  readonly openFlake?: ((reference: string, evaluation: ReplEvaluation) => AttrSet) | undefined;
  /** Sets named on the command line, added at the start and by every `:r`. */
  readonly given?: (evaluation: ReplEvaluation) => readonly GivenSet[];
  /** Names from the start. */
  readonly names?: ReadonlyMap<string, Slot> | undefined;
  /** An evaluation waits for this conversation: nothing may run beside it. */
  readonly isWaiting?: boolean;
  readonly hasTrace?: boolean;
  /** Errors are shown as Nix does, not with the place in the user's own files first. */
  readonly isNix?: boolean;
}

export interface GivenSet {
  readonly name: string;
  readonly value: Value;
}

/** All that is in a value. */
const DEEP: PrintOptions = { force: true, derivationPaths: true, prettyIndent: 2 };
/** A definition whose value may go on in the next line. */
const BEGUN = /^[a-zA-Z_"$][^=;]*=(?!=)/;
const MERGING = "while evaluating an attribute set to be merged in the global scope";
/** So many names of a set that was added are told. */
const MAX_SHOWN_NAMES = 20;

/** One conversation with the evaluator: names that were given, files and flakes that were loaded. */
export class ReplSession {
  readonly options: ReplOptions;
  /** The set that was added last. */
  lastLoaded: AttrSet | undefined;
  readonly #names = new Map<string, Slot>();
  #hasTrace: boolean;
  #evaluation: ReplEvaluation;
  #files: string[] = [];
  #flakes: string[] = [];

  constructor(options: ReplOptions) {
    this.options = options;
    this.#hasTrace = options.hasTrace ?? false;
    this.#evaluation = options.open({ showTrace: this.#hasTrace });
    if (options.names !== undefined) this.setNames(options.names);
  }

  /** Whether errors are shown with their whole trace, from the next evaluation on: calls are traced only then. */
  get hasTrace(): boolean {
    return this.#hasTrace;
  }

  set hasTrace(hasTrace: boolean) {
    this.#hasTrace = hasTrace;
    this.#reopen();
  }

  /** Puts other names in the place of all that there are. */
  setNames(names: ReadonlyMap<string, Slot>): void {
    this.#names.clear();
    for (const [name, slot] of names) this.#names.set(name, slot);
  }

  /** Names that were given or loaded. */
  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  get evaluator(): Evaluator {
    return this.#evaluation.evaluator;
  }

  /** Takes a text as definitions, and their names. @returns whether it is that, and no expression */
  define(text: string): boolean {
    const bindings = this.#bindings(text);
    bindings?.forEachSorted((name, slot) => this.#names.set(name, slot));
    return bindings !== undefined;
  }

  /** The value of an expression among the names. @param shown what was typed, where that is more */
  evaluate(text: string, shown: string = text): Value {
    const base = bytesOfText(this.options.directory);
    const origin = { kind: "string", text: bytesOfText(shown) } as const;
    return this.evaluator.evalTextIn(this.#names, bytesOfText(text), base, origin);
  }

  /** The derivations that an expression stands for; their files are written. */
  derivations(text: string): readonly FoundDerivation[] {
    const { evaluator, host, autoArguments } = this.#evaluation;
    const slot = this.evaluate(text);
    if (typeof slot !== "object" || slot === null || isStringValue(slot))
      throw new DevshellError(
        "REPL_NO_DERIVATION",
        "expression does not evaluate to a derivation, so I can't build it",
      );
    const found = derivationsOf({ evaluator, host }, { slot, autoArguments });
    host.flush();
    return found;
  }

  /** Builds all outputs, while everything waits. */
  realise(found: readonly FoundDerivation[]): void {
    const { store } = this.options.context;
    const outputs = found.flatMap(({ drvPath }) =>
      [...store.queryDerivationOutputs(drvPath).keys()].map((output) => `!${output}!${drvPath}`),
    );
    this.evaluator.run(() => this.evaluator.runtime.host.realise(outputs));
  }

  /** Loads a file as `:l` does. */
  load(path: string): void {
    this.#files = [...this.#files.filter((known) => known !== path), path];
    const { evaluator, autoArguments } = this.#evaluation;
    const { isNix = false } = this.options;
    const file = /^<[^<>]+>$/.test(path)
      ? evaluator.findFile(bytesOfText(path.slice(1, -1)))
      : bytesOfText(resolve(this.options.directory, path));
    const value = isNix ? evaluator.importFile(file) : evaluator.evalFile(file);
    this.addAttributes(evaluator.autoCall(value, autoArguments));
  }

  /** Loads a flake as `:lf` does. */
  loadFlake(reference: string): void {
    const { openFlake } = this.options;
    if (openFlake === undefined)
      throw new DevshellError("REPL_NO_FLAKES", `Cannot load "${reference}": flakes are for \`nix repl\``);
    if (reference === "")
      throw new DevshellError(
        "REPL_NO_FLAKE",
        "cannot use ':load-flake' without a path specified. (Use '.' for the current working directory.)",
      );
    this.#flakes = [...this.#flakes.filter((known) => known !== reference), reference];
    this.addAttributes(openFlake(reference, this.#evaluation));
  }

  /** Tells what failed; the conversation goes on. */
  showError(error: unknown): void {
    const { isNix = false } = this.options;
    // After the terminal's own `^C`.
    if (error instanceof Interrupted) this.options.notice(`\nerror: ${error.message}\n`);
    else if (isNix && error instanceof DevshellError)
      this.options.notice(
        `${errorBytes(error, {
          showTrace: this.hasTrace,
          hasHint: !(error instanceof EvalError),
          colour: isColoured(process.stderr),
        })}\n`,
      );
    else printError(error, { hasTrace: this.hasTrace });
  }

  /** Adds what the command line gave. */
  loadGiven(): void {
    const { given, isNix = false } = this.options;
    for (const { name, value } of given?.(this.#evaluation) ?? []) {
      if (isNix) this.options.notice(bytesOfText(`Loading installable '${name}'...\n`));
      this.addAttributes(value);
    }
  }

  /** What was read is read anew from now on; names keep their values. */
  forgetFiles(): void {
    this.options.context.forgetFetched();
    this.#reopen();
  }

  #reopen(): void {
    this.#evaluation = this.options.open({ showTrace: this.#hasTrace });
  }

  /** Drops all names, and loads files and flakes again; those that fail stay to be tried again. */
  reload(): void {
    this.forgetFiles();
    this.#names.clear();
    const [files, flakes] = [this.#files, this.#flakes];
    const again = (what: string | undefined, load: () => void): void => {
      if (what !== undefined) this.options.notice(bytesOfText(`Loading ${what}...\n`));
      try {
        load();
      } catch (error) {
        this.showError(error);
      }
    };
    for (const file of files) again(`"${file}"`, () => this.load(file));
    again(undefined, () => this.loadGiven());
    for (const flake of flakes) again(`flake '${flake}'`, () => this.loadFlake(flake));
  }

  /** Adds a set's attributes to the names. */
  addAttributes(value: Value): void {
    const place = value instanceof Lambda ? value.code.pos : NO_POS;
    const set = this.evaluator.run(() => forceAttrs(value, place, MERGING));
    set.forEachSorted((name, slot) => this.#names.set(name, slot));
    this.lastLoaded = set;
    const shown = set.sortedNames().slice(0, MAX_SHOWN_NAMES).map(quoteAttrName);
    this.options.notice(`Added ${set.size} variables.\n${shown.join(", ")}\n`);
    if (set.size > MAX_SHOWN_NAMES)
      this.options.notice(`... and ${set.size - MAX_SHOWN_NAMES} more; view with :ll\n`);
  }

  /** Names, or attributes of what precedes the last dot, that continue a line. */
  complete(line: string): [string[], string] {
    return completeLine(line, {
      names: this.names.map(textOfBytes),
      builtins: this.evaluator.runtime.builtins,
      evaluate: (text) => this.evaluate(text),
    });
  }

  print(value: Value, options: PrintOptions = DEEP): void {
    const paint = isColoured(process.stdout) ? { paint: paintPart } : {};
    const text = this.evaluator.run(() =>
      printValue(value, { ...options, ...paint, errors: "throwTopLevel" }),
    );
    this.options.print(`${text}\n`);
  }

  /** What a text defines; `undefined` where it is no definition, but an expression. */
  #bindings(text: string): AttrSet | undefined {
    const base = bytesOfText(this.options.directory);
    const parse = (source: string): AttrSet => {
      const bytes = bytesOfText(source);
      const origin = { kind: "string", text: bytesOfText(text) } as const;
      return this.evaluator.evalBindingsIn(this.#names, bytes, base, origin) as AttrSet;
    };
    let unfinished: unknown;
    try {
      return parse(text);
    } catch (error) {
      if (!isSyntaxError(error)) throw error;
      if (isUnfinished(error) && BEGUN.test(text)) unfinished = error;
    }
    try {
      return parse(`${text};`);
    } catch (error) {
      if (!isSyntaxError(error) || isUnfinished(error)) throw error;
      if (unfinished !== undefined) throw unfinished;
      return undefined;
    }
  }
}

function isSyntaxError(error: unknown): boolean {
  return error instanceof EvalError && error.kind === "parse";
}

/** The text itself ends too early; a file that does is just wrong. */
export function isUnfinished(error: unknown): boolean {
  return (
    error instanceof DevshellError &&
    error.message.includes("unexpected end of file") &&
    error.pos?.origin.kind === "string"
  );
}
