import {
  DevshellError,
  formatHash,
  hashBytes,
  isHashAlgorithm,
  parseHash,
  type ByteString,
  type Hash,
} from "../../core/index.ts";
import type { Derivation, DerivationOutput, DynamicInput, OutputName, StorePath } from "../types.ts";
import { formatMethodAlgorithm, parseMethodAlgorithm } from "./contentAddress.ts";
import {
  compareBytes,
  makeFixedOutputPath,
  makeOutputPath,
  makeTextPath,
  outputPathName,
  parseStorePath,
  sortedPaths,
} from "./storePath.ts";

/** Nesting of `(outputs,[(output,…)])` in the dynamic form; real ones nest once or twice. */
const MAX_DYNAMIC_DEPTH = 64;
const MAX_REASON_LENGTH = 2000;

/** How a derivation is built and addressed; all its outputs are of one kind. */
export type DerivationKind = DerivationOutput["kind"];

/**
 * Reads the ATerm text of a `.drv` file.
 * @param name the derivation's name (the text does not hold it): `derivationNameOfPath(drvPath)`
 * @throws {DevshellError} `DRV_INVALID`, naming the byte offset
 */
export function parseDerivation(storeDir: string, name: string, text: ByteString): Derivation {
  return new DerivationParser(storeDir, name, text).parse();
}

/** Prints the ATerm text; the inverse of `parseDerivation`. */
export function printDerivation(derivation: Derivation): ByteString {
  return new DerivationText(derivation).print();
}

/** Where the derivation's text lives: its text path with every input as a reference. */
export function derivationPath(
  storeDir: string,
  derivation: Derivation,
  text = printDerivation(derivation),
  references = derivationReferences(derivation),
): StorePath {
  return makeTextPath(storeDir, `${derivation.name}.drv`, hashBytes("sha256", text), references);
}

/** What the `.drv` file refers to: its input derivations and sources. */
export function derivationReferences(derivation: Derivation): StorePath[] {
  return sortedPaths([...derivation.inputSrcs, ...derivation.inputDrvs.keys()]);
}

/**
 * The one kind of all outputs.
 * @throws {DevshellError} `DRV_INVALID` without outputs, or with kinds or algorithms mixed
 */
export function derivationKind(derivation: Derivation): DerivationKind {
  let kind: DerivationKind | undefined;
  let algorithm: string | undefined;
  for (const [name, output] of derivation.outputs) {
    if (kind !== undefined && kind !== output.kind)
      throw invalidOutputs(derivation, "its outputs are of different kinds");
    kind = output.kind;
    if (kind === "fixed" && (name !== "out" || derivation.outputs.size > 1))
      throw invalidOutputs(derivation, 'a fixed output must be the only one and be named "out"');
    if (output.kind !== "contentAddressed") continue;
    if (algorithm !== undefined && algorithm !== output.algorithm)
      throw invalidOutputs(derivation, "its floating outputs use different hash algorithms");
    algorithm = output.algorithm;
  }
  if (kind === undefined) throw invalidOutputs(derivation, "it has no outputs");
  return kind;
}

export function isFixedOutput(derivation: Derivation): boolean {
  return derivation.outputs.get("out")?.kind === "fixed";
}

/**
 * Checks that a derivation from elsewhere names the output paths that follow from it: others could be made to collide.
 * @throws {DevshellError} `DRV_OUTPUT_WRONG`
 */
export function checkOutputPaths(derivation: Derivation, hasher: DerivationHasher): void {
  const kind = derivationKind(derivation);
  const hash = kind === "inputAddressed" ? hasher.hashMasked(derivation) : undefined;
  for (const [name, output] of derivation.outputs) {
    if (output.kind !== "inputAddressed" && output.kind !== "fixed") continue;
    let expected = output.path;
    if (output.kind === "inputAddressed") {
      if (hash === undefined)
        throw new DevshellError(
          "DRV_OUTPUT_WRONG",
          `Cannot use derivation "${derivation.name}": the path of output "${name}" cannot be known before its inputs are built`,
        );
      expected = makeOutputPath(hasher.storeDir, name, hash, derivation.name);
    }
    for (const actual of [output.path, derivation.env.get(name)])
      if (actual !== expected)
        throw new DevshellError(
          "DRV_OUTPUT_WRONG",
          `Cannot use derivation "${derivation.name}": output "${name}" should be "${expected}" but is "${actual ?? "not set"}"`,
        );
  }
}

/** The paths of the outputs as far as they are known before the build. */
export function knownOutputPaths(derivation: Derivation): Map<OutputName, StorePath | undefined> {
  const paths = new Map<OutputName, StorePath | undefined>();
  for (const [name, output] of derivation.outputs)
    paths.set(name, output.kind === "inputAddressed" || output.kind === "fixed" ? output.path : undefined);
  return paths;
}

/** What a derivation is to those that use it: its own hash (base 16), one an output where its content is fixed, or not yet known. */
export type HashModulo =
  | { readonly kind: "derivation"; readonly base16: string }
  | { readonly kind: "outputs"; readonly hashes: ReadonlyMap<OutputName, string> }
  | { readonly kind: "deferred" };

/** An output of a derivation; of one that is itself an output, the outputs from the one in the store outward. */
export interface BuiltElement {
  readonly drvPath: StorePath;
  readonly outputs: readonly OutputName[];
}

interface HashFrame {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  /** Those whose hashes its own needs. */
  readonly inputs: readonly StorePath[];
  next: number;
}

/** Computes and remembers hashes of derivations "modulo" the way their fixed-output inputs are fetched. */
export class DerivationHasher {
  readonly storeDir: string;
  readonly #read: (drvPath: StorePath) => Derivation;
  readonly #hashes = new Map<StorePath, HashModulo>();
  readonly #known = new Map<StorePath, Derivation>();
  /** Context elements `!<output>!<drvPath>` read before: most derivations share many. */
  readonly builtElements = new Map<ByteString, BuiltElement>();

  /** @param read gives a derivation that has not been remembered, usually from the store */
  constructor(storeDir: string, read: (drvPath: StorePath) => Derivation) {
    this.storeDir = storeDir;
    this.#read = read;
  }

  /** Spares the reading, and where its hash is known the hashing, of a derivation just made, written or not. */
  remember(drvPath: StorePath, derivation: Derivation, modulo?: HashModulo): void {
    if (!this.#hashes.has(drvPath)) this.#known.set(drvPath, derivation);
    if (modulo !== undefined) this.#hashes.set(drvPath, modulo);
  }

  /** A derivation by path, remembered or read. */
  derivation(drvPath: StorePath): Derivation {
    return this.#known.get(drvPath) ?? this.#read(drvPath);
  }

  /** The hash modulo of an input, by its path. */
  hashOfPath(drvPath: StorePath): HashModulo {
    const known = this.#hashes.get(drvPath);
    if (known !== undefined) return known;
    // Chains of derivations may be longer than the stack: inputs first, one after the other.
    const open = new Map([[drvPath, this.#enter(drvPath)]]);
    const stack = [...open.values()];
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const input = frame.inputs[frame.next++];
      if (input === undefined) {
        this.#hashes.set(frame.drvPath, this.hashOf(frame.derivation));
        open.delete(frame.drvPath);
        stack.pop();
        continue;
      }
      const hash = this.#hashes.get(input);
      // Then its own is, too, whatever the others are.
      if (hash?.kind === "deferred") frame.next = frame.inputs.length;
      if (hash !== undefined) continue;
      if (open.has(input))
        throw new DevshellError(
          "DRV_INVALID",
          `Cannot use derivation "${input}": it needs itself to be built`,
        );
      const entered = this.#enter(input);
      open.set(input, entered);
      stack.push(entered);
    }
    return this.#hashes.get(drvPath)!;
  }

  #enter(drvPath: StorePath): HashFrame {
    const derivation = this.derivation(drvPath);
    const { inputDrvs, dynamicInputs } = derivation;
    let inputs: readonly StorePath[] = [];
    if (derivationKind(derivation) === "inputAddressed") {
      inputs = [...inputDrvs.keys()];
      const dynamic = inputs.findIndex((input) => (dynamicInputs?.get(input)?.size ?? 0) > 0);
      if (dynamic >= 0) inputs = inputs.slice(0, dynamic);
    }
    return { drvPath, derivation, inputs, next: 0 };
  }

  /** The hash modulo of a complete derivation, as its users see it. */
  hashOf(derivation: Derivation): HashModulo {
    switch (derivationKind(derivation)) {
      case "fixed":
        return { kind: "outputs", hashes: fixedOutputHashes(derivation) };
      case "contentAddressed":
      case "impure":
      case "deferred":
        return { kind: "deferred" };
      case "inputAddressed": {
        const inputs = this.hashInputs(derivation);
        return inputs === undefined
          ? { kind: "deferred" }
          : new DerivationText(derivation).hashModulo(inputs);
      }
    }
  }

  /**
   * The hash from which an input-addressed derivation's own output paths are made: outputs and their variables blank.
   * @returns `undefined` where an input's paths are not known before it is built
   */
  hashMasked(derivation: Derivation): Hash | undefined {
    const inputs = this.hashInputs(derivation);
    return inputs === undefined ? undefined : new DerivationText(derivation).hashMasked(inputs);
  }

  /**
   * The inputs as hashes are made of them: by their own hashes instead of their paths.
   * @returns `undefined` where an input's paths are not known before it is built
   */
  hashInputs(derivation: Derivation): PrintedInputs | undefined {
    const inputs = new Map<string, OutputName[]>();
    for (const [drvPath, outputs] of derivation.inputDrvs) {
      if ((derivation.dynamicInputs?.get(drvPath)?.size ?? 0) > 0) return undefined;
      const modulo = this.hashOfPath(drvPath);
      if (modulo.kind === "deferred") return undefined;
      if (modulo.kind === "derivation") addInput(inputs, modulo.base16, outputs);
      else
        for (const output of outputs) {
          const hash = modulo.hashes.get(output);
          if (hash === undefined)
            throw new DevshellError(
              "DRV_OUTPUT_UNKNOWN",
              `Cannot use output "${output}" of "${drvPath}": it has no such output`,
            );
          addInput(inputs, hash, ONLY_OUT);
        }
    }
    let text = "";
    for (const key of [...inputs.keys()].sort(compareBytes))
      text += `${text === "" ? "" : ","}("${key}",${printDynamic(inputs.get(key)!)})`;
    return { text, isDynamic: false };
  }
}

const ONLY_OUT: readonly OutputName[] = ["out"];

function addInput(inputs: Map<string, OutputName[]>, key: string, outputs: readonly OutputName[]): void {
  const known = inputs.get(key);
  if (known === undefined) inputs.set(key, [...outputs]);
  else for (const output of outputs) if (!known.includes(output)) known.push(output);
}

function fixedOutputHashes(derivation: Derivation): Map<OutputName, string> {
  const hashes = new Map<OutputName, string>();
  for (const [name, output] of derivation.outputs) {
    if (output.kind !== "fixed") continue;
    const method = formatMethodAlgorithm(output.method, output.hash.algorithm);
    const fixed = `fixed:out:${method}:${formatHash(output.hash, "base16")}:${output.path}`;
    hashes.set(name, formatHash(hashBytes("sha256", fixed), "base16"));
  }
  return hashes;
}

/** The inputs' part of the text: by path, or by hash. */
export interface PrintedInputs {
  readonly text: string;
  readonly isDynamic: boolean;
}

/**
 * A derivation's text, which is printed up to three times: with the outputs blank to find their paths, with the
 * inputs' hashes for those that use it, and as it is written. What these share is made once; the outputs and their
 * variables are read at each printing. Measured on firefox of nixpkgs (3,655 derivations).
 */
export class DerivationText {
  readonly #derivation: Derivation;
  readonly #outputNames: readonly OutputName[];
  /** The text behind the inputs, cut where an output's variable has its value. */
  readonly #pieces: string[] = [];
  readonly #outputsBetween: OutputName[] = [];

  /** The derivation's variables must have the outputs' names already. */
  constructor(derivation: Derivation) {
    this.#derivation = derivation;
    this.#outputNames = [...derivation.outputs.keys()].sort(compareBytes);
    const { env } = derivation;
    let parts = [
      "],",
      printNames(sortedPaths(derivation.inputSrcs)),
      `,${quote(derivation.system)},${quote(derivation.builder)},[`,
      derivation.args.map(quote).join(","),
      "],[",
    ];
    let separator = "(";
    for (const name of [...env.keys()].sort(compareBytes)) {
      parts.push(separator, quote(name), ",");
      separator = "),(";
      if (derivation.outputs.has(name)) {
        this.#pieces.push(parts.join(""));
        this.#outputsBetween.push(name);
        parts = [];
      } else parts.push(quote(env.get(name)!));
    }
    parts.push(env.size === 0 ? "])" : ")])");
    // Joined, not concatenated: they are read several times.
    this.#pieces.push(parts.join(""));
  }

  /** The `.drv` file's text. */
  print(): ByteString {
    return this.#print(printInputs(this.#derivation), false);
  }

  hashMasked(inputs: PrintedInputs): Hash {
    return hashBytes("sha256", this.#print(inputs, true));
  }

  hashModulo(inputs: PrintedInputs): HashModulo {
    const hash = hashBytes("sha256", this.#print(inputs, false));
    return { kind: "derivation", base16: formatHash(hash, "base16") };
  }

  #print(inputs: PrintedInputs, isMasked: boolean): ByteString {
    const { outputs, env } = this.#derivation;
    let text = inputs.isDynamic ? 'DrvWithVersion("xp-dyn-drv",[' : "Derive([";
    let separator = "(";
    for (const name of this.#outputNames) {
      text += `${separator}${quote(name)},${isMasked ? '"","",""' : printOutput(outputs.get(name))})`;
      separator = ",(";
    }
    text += `],[${inputs.text}`;
    for (let i = 0; i < this.#outputsBetween.length; i++)
      text += this.#pieces[i]! + (isMasked ? '""' : quote(env.get(this.#outputsBetween[i]!)!));
    return text + this.#pieces[this.#outputsBetween.length]!;
  }
}

function printInputs({ inputDrvs, dynamicInputs }: Derivation): PrintedInputs {
  let text = "";
  let isDynamic = false;
  for (const drvPath of [...inputDrvs.keys()].sort(compareBytes)) {
    const children = dynamicInputs?.get(drvPath);
    if (children !== undefined && children.size > 0) isDynamic = true;
    text += `${text === "" ? "" : ","}("${drvPath}",${printDynamic(inputDrvs.get(drvPath)!, children)})`;
  }
  return { text, isDynamic };
}

function printOutput(output: DerivationOutput | undefined): string {
  switch (output?.kind) {
    case "inputAddressed":
      return `"${output.path}","",""`;
    case "fixed":
      return `"${output.path}","${formatMethodAlgorithm(output.method, output.hash.algorithm)}","${formatHash(output.hash, "base16")}"`;
    case "contentAddressed":
      return `"","${formatMethodAlgorithm(output.method, output.algorithm)}",""`;
    case "impure":
      return `"","${formatMethodAlgorithm(output.method, output.algorithm)}","impure"`;
    case "deferred":
    case undefined:
      return '"","",""';
  }
}

function printDynamic(
  outputs: readonly OutputName[],
  children?: ReadonlyMap<OutputName, DynamicInput>,
): string {
  const names = outputs.length === 1 ? `["${outputs[0]!}"]` : printNames([...outputs].sort(compareBytes));
  if (children === undefined || children.size === 0) return names;
  const nodes = [...children]
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([name, child]) => `(${quote(name)},${printDynamic(child.outputs, child.children)})`);
  return `(${names},[${nodes.join(",")}])`;
}

function printNames(names: readonly string[]): string {
  return names.length === 0 ? "[]" : `["${names.join('","')}"]`;
}

function quote(text: ByteString): string {
  // eslint-disable-next-line eslint/no-control-regex
  if (!/["\\\0-\x1f]/.test(text)) return `"${text}"`;
  // JSON escapes the same characters alike, and a few more: it is native, and the scripts of builders are long.
  // eslint-disable-next-line eslint/no-control-regex
  return /[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text)
    ? `"${text.replace(/["\\\n\r\t]/g, escapeCharacter)}"`
    : JSON.stringify(text);
}

function escapeCharacter(character: string): string {
  switch (character) {
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
    default:
      return `\\${character}`;
  }
}

class DerivationParser {
  readonly #storeDir: string;
  readonly #name: string;
  readonly #text: ByteString;
  #at = 0;
  #nextSlash = -1;

  constructor(storeDir: string, name: string, text: ByteString) {
    this.#storeDir = storeDir;
    this.#name = name;
    this.#text = text;
  }

  parse(): Derivation {
    let isDynamic = false;
    if (this.#text.startsWith("Derive(")) this.#at = 7;
    else if (this.#text.startsWith("DrvWithVersion(")) {
      this.#at = 15;
      const start = this.#at;
      const version = this.#string();
      if (version !== "xp-dyn-drv") throw this.#error(`unknown format version "${version}"`, start);
      isDynamic = true;
      this.#expect(",");
    } else throw this.#error('expected "Derive(" or "DrvWithVersion("');
    this.#expect("[");
    const outputs = new Map<OutputName, DerivationOutput>();
    this.#list(() => {
      const start = this.#at;
      this.#expect("(");
      const name = this.#string();
      this.#expect(",");
      if (outputs.has(name)) throw this.#error(`output "${name}" occurs twice`, start);
      this.#checkOutputName(name, start);
      outputs.set(name, this.#output(name));
      this.#expect(")");
    });
    this.#expect(",[");
    const inputDrvs = new Map<StorePath, readonly OutputName[]>();
    const dynamicInputs = new Map<StorePath, ReadonlyMap<OutputName, DynamicInput>>();
    this.#list(() => {
      const start = this.#at;
      this.#expect("(");
      const drvPath = this.#storePath();
      this.#expect(",");
      const { outputs: names, children } = this.#inputNode(isDynamic, 0);
      for (const name of names) this.#checkOutputName(name, start);
      if (names.length === 0 && children.size === 0)
        throw this.#error(`input "${drvPath}" names no outputs`, start);
      inputDrvs.set(drvPath, names);
      if (children.size > 0) dynamicInputs.set(drvPath, children);
      this.#expect(")");
    });
    this.#expect(",[");
    const inputSrcs: StorePath[] = [];
    this.#list(() => void inputSrcs.push(this.#storePath()));
    this.#expect(",");
    const system = this.#string();
    this.#expect(",");
    const builder = this.#string();
    this.#expect(",");
    const args = this.#strings();
    this.#expect(",[");
    const env = new Map<ByteString, ByteString>();
    this.#list(() => {
      this.#expect("(");
      const name = this.#string();
      this.#expect(",");
      env.set(name, this.#string());
      this.#expect(")");
    });
    this.#expect(")");
    if (this.#at !== this.#text.length) throw this.#error("expected the end of the text");
    return {
      name: this.#name,
      outputs,
      inputDrvs,
      ...(dynamicInputs.size > 0 ? { dynamicInputs } : {}),
      inputSrcs,
      system,
      builder,
      args,
      env,
    };
  }

  #output(name: OutputName): DerivationOutput {
    const start = this.#at;
    const path = this.#string();
    this.#expect(",");
    const methodText = this.#string();
    this.#expect(",");
    const digest = this.#string();
    try {
      if (methodText === "") {
        if (digest !== "") throw this.#error(`output "${name}" has a hash without an algorithm`, start);
        return path === ""
          ? { kind: "deferred" }
          : { kind: "inputAddressed", path: parseStorePath(this.#storeDir, path) };
      }
      const { method, algorithm } = parseMethodAlgorithm(methodText);
      if (digest === "impure" || digest === "") {
        if (path !== "") throw this.#error(`output "${name}" must not name a path`, start);
        return { kind: digest === "impure" ? "impure" : "contentAddressed", algorithm, method };
      }
      if (!isHashAlgorithm(algorithm))
        throw this.#error(`hash algorithm "${String(algorithm)}" is unknown`, start);
      const hash = parseHash(digest, algorithm);
      const expected = makeFixedOutputPath(this.#storeDir, outputPathName(this.#name, name), {
        method,
        hash,
      });
      if (expected !== path)
        throw this.#error(`output "${name}" should be "${expected}" but is "${path}"`, start);
      return { kind: "fixed", path: expected, hash, method };
    } catch (error) {
      throw this.#located(error, start);
    }
  }

  #inputNode(isDynamic: boolean, depth: number): DynamicInput {
    if (!isDynamic || this.#text[this.#at] !== "(") return { outputs: this.#strings(), children: new Map() };
    if (depth >= MAX_DYNAMIC_DEPTH) throw this.#error(`dynamic inputs nest deeper than ${MAX_DYNAMIC_DEPTH}`);
    this.#expect("(");
    const start = this.#at;
    const outputs = this.#strings();
    for (const name of outputs) this.#checkOutputName(name, start);
    this.#expect(",[");
    const children = new Map<OutputName, DynamicInput>();
    this.#list(() => {
      this.#expect("(");
      const name = this.#string();
      this.#expect(",");
      children.set(name, this.#inputNode(isDynamic, depth + 1));
      this.#expect(")");
    });
    this.#expect(")");
    return { outputs, children };
  }

  /** Names of outputs are printed as they are: what would end the string would make two derivations one. */
  #checkOutputName(name: OutputName, at: number): void {
    // eslint-disable-next-line eslint/no-control-regex
    if (name === "" || /["\\\0-\x1f]/.test(name))
      throw this.#error(`${JSON.stringify(name)} cannot be the name of an output`, at);
  }

  #strings(): string[] {
    const strings: string[] = [];
    this.#expect("[");
    this.#list(() => void strings.push(this.#string()));
    return strings;
  }

  /** The rest of a list whose bracket has been read. */
  #list(item: () => void): void {
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      item();
      const next = this.#text[this.#at];
      if (next === ",") this.#at++;
      else if (next === "]") {
        this.#at++;
        return;
      } else throw this.#error(`expected "," or "]" but found ${this.#found()}`);
    }
  }

  #storePath(): StorePath {
    const start = this.#at;
    const text = this.#string();
    try {
      return parseStorePath(this.#storeDir, text);
    } catch (error) {
      throw this.#located(error, start);
    }
  }

  #string(): ByteString {
    const text = this.#text;
    if (text[this.#at] !== '"') throw this.#error(`expected a string but found ${this.#found()}`);
    const start = this.#at;
    let from = start + 1;
    let end = text.indexOf('"', from);
    let value = "";
    for (;;) {
      if (end < 0) throw this.#error("unterminated string", start);
      const slash = this.#slashFrom(from);
      if (slash > end) {
        this.#at = end + 1;
        return value === "" ? text.slice(from, end) : value + text.slice(from, end);
      }
      // An escape lies before the next quote: copy up to it piecewise, then look again.
      const escaped = text[slash + 1] ?? "";
      value += text.slice(from, slash) + (UNESCAPED[escaped] ?? escaped);
      from = slash + 2;
      if (end < from) end = text.indexOf('"', from);
    }
  }

  /** Where the next backslash is. The text is searched for them once, not from each of its strings to the end. */
  #slashFrom(from: number): number {
    if (this.#nextSlash < from) {
      const found = this.#text.indexOf("\\", from);
      this.#nextSlash = found < 0 ? Infinity : found;
    }
    return this.#nextSlash;
  }

  #expect(token: string): void {
    if (!this.#text.startsWith(token, this.#at))
      throw this.#error(`expected "${token}" but found ${this.#found()}`);
    this.#at += token.length;
  }

  #found(): string {
    return this.#at >= this.#text.length
      ? "the end"
      : JSON.stringify(this.#text.slice(this.#at, this.#at + 12));
  }

  #located(error: unknown, at: number): unknown {
    if (!(error instanceof DevshellError) || error.code === "DRV_INVALID") return error;
    return this.#error(error.message, at);
  }

  #error(why: string, at = this.#at): DevshellError {
    // What it quotes may be of any length.
    const shown = why.length > MAX_REASON_LENGTH ? `${why.slice(0, MAX_REASON_LENGTH)}…` : why;
    return new DevshellError("DRV_INVALID", `Cannot read derivation "${this.#name}" at byte ${at}: ${shown}`);
  }
}

const UNESCAPED: Record<string, string> = { n: "\n", r: "\r", t: "\t" };

function invalidOutputs(derivation: Derivation, why: string): DevshellError {
  return new DevshellError("DRV_INVALID", `Cannot use derivation "${derivation.name}": ${why}`);
}
