import { resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import { derivationsOf, type StoreContext } from "../../env/index.ts";
import {
  AttrSet,
  Lambda,
  PrimOp,
  delay,
  printValue,
  showType,
  type Evaluator,
  type PrintOptions,
  type Slot,
  type Value,
} from "../../lang/index.ts";
import { throwFailure } from "../../store/index.ts";

export interface ReplOptions {
  readonly context: StoreContext;
  readonly evaluator: Evaluator;
  readonly host: Parameters<typeof derivationsOf>[0]["host"];
  /** What functions of loaded files are called with. */
  readonly autoArguments: AttrSet;
  readonly directory: string;
  /** Gets what is to be shown, in bytes. */
  readonly print: (text: ByteString) => void;
}

/** What came of an input: `more` asks for a further line of it. */
export type ReplOutcome = "done" | "more" | "quit";

export const REPL_HELP = `The following commands are available:

  <expr>         Evaluate and print the expression
  <x> = <expr>   Give the expression a name
  :a, :add <expr>   Add the attributes of a set to the names
  :b <expr>      Build a derivation
  :doc <expr>    Show the documentation of a function
  :l, :load <path>  Load a file, and add its attributes to the names
  :p, :print <expr>  Evaluate and print the expression with all that is in it
  :q, :quit      Leave
  :r, :reload    Load all files again
  :t <expr>      Describe the type of an expression
  :?, :help      Show this text
`;

/** As far as a set or list is shown without \`:p\`. */
const SHALLOW: PrintOptions = { force: true, derivationPaths: true, maxDepth: 1, prettyIndent: 2 };
const DEEP: PrintOptions = { force: true, derivationPaths: true, prettyIndent: 2 };
const ASSIGNMENT = /^([a-zA-Z_][a-zA-Z0-9_'-]*)\s*=(?!=)(.*)$/s;
const COMMAND = /^:(\S+)\s*(.*)$/s;

/** One conversation with the evaluator: names that were given, files that were loaded. */
export class ReplSession {
  readonly #options: ReplOptions;
  readonly #names = new Map<string, Slot>();
  readonly #loaded: string[] = [];

  constructor(options: ReplOptions) {
    this.#options = options;
  }

  /** Names that were given or loaded. */
  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  /**
   * Does what a line (or several) says.
   * @param isLast nothing can follow: what is unfinished is wrong
   * @throws {DevshellError} what it fails with
   */
  async run(input: string, isLast = false): Promise<ReplOutcome> {
    const text = input.trim();
    if (text === "") return "done";
    const command = COMMAND.exec(text);
    try {
      if (command !== null) return await this.#command(command[1] ?? "", (command[2] ?? "").trim());
      const assignment = ASSIGNMENT.exec(text);
      if (assignment === null) this.#print(this.evaluate(text), SHALLOW);
      else this.#assign(assignment[1] ?? "", (assignment[2] ?? "").trim().replace(/;$/, ""));
      return "done";
    } catch (error) {
      if (!isLast && isUnfinished(error)) return "more";
      throw error;
    }
  }

  /** The value of an expression among the names. */
  evaluate(text: string): Value {
    const bytes = bytesOfText(text);
    return this.#options.evaluator.evalTextIn(this.#names, bytes, bytesOfText(this.#options.directory), {
      kind: "string",
      text: bytes,
    });
  }

  /** Loads a file as `:l` does. */
  load(path: string): void {
    if (!this.#loaded.includes(path)) this.#loaded.push(path);
    const { evaluator, autoArguments, directory } = this.#options;
    const file = /^<[^<>]+>$/.test(path)
      ? evaluator.findFile(bytesOfText(path.slice(1, -1)))
      : bytesOfText(resolve(directory, path));
    this.addAttributes(evaluator.autoCall(evaluator.evalFile(file), autoArguments));
  }

  /** Adds a set's attributes to the names. */
  addAttributes(value: Value): void {
    if (!(value instanceof AttrSet))
      throw new DevshellError(
        "REPL_NOT_A_SET",
        `expected a set but found ${showType(value)}, while evaluating an attribute set to be merged in the global scope`,
      );
    value.forEachSorted((name, slot) => this.#names.set(name, slot));
    this.#options.print(`Added ${value.size} variables.\n`);
  }

  /** Names, or attributes of what precedes the last dot, that continue a line. */
  complete(line: string): [string[], string] {
    const word = /[a-zA-Z_][a-zA-Z0-9_'.-]*$/.exec(line)?.[0] ?? "";
    const dot = word.lastIndexOf(".");
    const start = word.slice(dot + 1);
    const prefix = word.slice(0, dot + 1);
    const found = (dot < 0 ? this.#globalNames() : this.#attributesOf(word.slice(0, dot)))
      .filter((name) => name.startsWith(start))
      .toSorted();
    return [found.map((name) => prefix + name), word];
  }

  async #command(name: string, argument: string): Promise<ReplOutcome> {
    const { print, evaluator } = this.#options;
    switch (name) {
      case "q":
      case "quit":
        return "quit";
      case "?":
      case "help":
        print(REPL_HELP);
        return "done";
      case "a":
      case "add":
        this.addAttributes(this.evaluate(argument));
        return "done";
      case "l":
      case "load":
        this.load(argument);
        return "done";
      case "r":
      case "reload":
        for (const file of this.#loaded) this.load(file);
        return "done";
      case "t":
        print(`${showType(this.evaluate(argument))}\n\n`);
        return "done";
      case "p":
      case "print":
        this.#print(evaluator.force(this.evaluate(argument)), DEEP);
        return "done";
      case "doc":
        print(bytesOfText(documentationOf(this.evaluate(argument))));
        return "done";
      case "b":
        await this.#build(argument);
        return "done";
      default:
        throw new DevshellError("REPL_COMMAND", `unknown command ':${name}'`, { hint: "`:?` lists them" });
    }
  }

  /** Parses at once, evaluates when the name is first used. */
  #assign(name: string, text: string): void {
    const { evaluator, directory } = this.#options;
    const names = new Map(this.#names);
    const bytes = bytesOfText(text);
    const base = bytesOfText(directory);
    // As a function's body it is parsed and its variables are looked up, but nothing is evaluated.
    const body = bytesOfText(`_: ${text}`);
    evaluator.evalTextIn(names, body, base, { kind: "string", text: body });
    this.#names.set(
      name,
      delay(() => evaluator.evalTextIn(names, bytes, base, { kind: "string", text: bytes })),
    );
  }

  async #build(text: string): Promise<void> {
    const { context, evaluator, host, autoArguments, print } = this.#options;
    const found = derivationsOf({ evaluator, host }, { slot: this.evaluate(text), autoArguments });
    host.flush();
    throwFailure(
      await context.tryRealise(found.map(({ drvPath }) => ({ kind: "built", drvPath, outputs: "*" }))),
    );
    for (const { drvPath } of found) {
      print("\nThis derivation produced the following outputs:\n");
      for (const [output, path] of context.store.queryDerivationOutputs(drvPath))
        if (path !== undefined) print(`  ${output} -> ${path}\n`);
    }
  }

  #print(value: Value, options: PrintOptions): void {
    this.#options.print(`${printValue(value, { ...options, errors: "throwTopLevel" })}\n\n`);
  }

  #globalNames(): string[] {
    const { builtins } = this.#options.evaluator.runtime;
    return [
      ...this.#names.keys(),
      ...KEYWORDS,
      ...builtins.sortedNames().filter((name) => GLOBAL_BUILTINS.has(name)),
    ];
  }

  /** Nothing where the expression fails: a completion must not complain. */
  #attributesOf(text: string): string[] {
    try {
      const value = this.evaluate(text);
      return value instanceof AttrSet ? value.sortedNames().map(textOfBytes) : [];
    } catch {
      return [];
    }
  }
}

const KEYWORDS = ["builtins", "let", "with", "inherit", "rec", "if", "then", "else", "assert"] as const;
/** Builtins that have their name without `builtins.` too. */
const GLOBAL_BUILTINS: ReadonlySet<string> = new Set(
  `abort baseNameOf break derivation derivationStrict dirOf false fetchGit fetchMercurial fetchTarball fetchTree
   fromTOML import isNull map null placeholder removeAttrs scopedImport throw toString true`.split(/\s+/),
);

/** The text itself ends too early; a file that does is just wrong. */
function isUnfinished(error: unknown): boolean {
  return (
    error instanceof DevshellError &&
    error.message.includes("unexpected end of file") &&
    error.pos?.origin.kind === "string"
  );
}

function documentationOf(value: Value): string {
  if (value instanceof PrimOp && value.doc !== undefined)
    return `**Synopsis:** \`builtins.${value.name}\` ${value.parameters.map((name) => `*${name}*`).join(" ")}\n\n${value.doc}\n\n`;
  if (value instanceof Lambda && value.code.doc !== undefined) return `${value.code.doc.trim()}\n\n`;
  throw new DevshellError("REPL_NO_DOC", "value does not have documentation");
}
