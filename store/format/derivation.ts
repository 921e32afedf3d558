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
  const inputs: PrintedInput[] = [...derivation.inputDrvs]
    .map(([drvPath, outputs]) => ({
      key: drvPath,
      outputs,
      children: derivation.dynamicInputs?.get(drvPath),
    }))
    .sort((a, b) => compareBytes(a.key, b.key));
  return printWith(derivation, inputs, false);
}

/** Where the derivation's text lives: its text path with every input as a reference. */
export function derivationPath(
  storeDir: string,
  derivation: Derivation,
  text = printDerivation(derivation),
): StorePath {
  return makeTextPath(
    storeDir,
    `${derivation.name}.drv`,
    hashBytes("sha256", text),
    derivationReferences(derivation),
  );
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

/** What a derivation is to those that use it: its own hash, one an output where its content is fixed, or not yet known. */
export type HashModulo =
  | { readonly kind: "derivation"; readonly hash: Hash }
  | { readonly kind: "outputs"; readonly hashes: ReadonlyMap<OutputName, Hash> }
  | { readonly kind: "deferred" };

/** Computes and remembers hashes of derivations "modulo" the way their fixed-output inputs are fetched. */
export class DerivationHasher {
  readonly storeDir: string;
  readonly #read: (drvPath: StorePath) => Derivation;
  readonly #hashes = new Map<StorePath, HashModulo>();
  readonly #known = new Map<StorePath, Derivation>();

  /** @param read gives a derivation that has not been remembered, usually from the store */
  constructor(storeDir: string, read: (drvPath: StorePath) => Derivation) {
    this.storeDir = storeDir;
    this.#read = read;
  }

  /** Spares the reading of a derivation that was just made, written or not. */
  remember(drvPath: StorePath, derivation: Derivation): void {
    if (!this.#hashes.has(drvPath)) this.#known.set(drvPath, derivation);
  }

  /** A derivation by path, remembered or read. */
  derivation(drvPath: StorePath): Derivation {
    return this.#known.get(drvPath) ?? this.#read(drvPath);
  }

  /** The hash modulo of an input, by its path. */
  hashOfPath(drvPath: StorePath): HashModulo {
    const known = this.#hashes.get(drvPath);
    if (known !== undefined) return known;
    const hash = this.hashOf(this.derivation(drvPath));
    this.#hashes.set(drvPath, hash);
    return hash;
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
        const hash = this.#hash(derivation, false);
        return hash === undefined ? { kind: "deferred" } : { kind: "derivation", hash };
      }
    }
  }

  /**
   * The hash from which an input-addressed derivation's own output paths are made: outputs and their variables blank.
   * @returns `undefined` where an input's paths are not known before it is built
   */
  hashMasked(derivation: Derivation): Hash | undefined {
    return this.#hash(derivation, true);
  }

  #hash(derivation: Derivation, isMasked: boolean): Hash | undefined {
    const inputs = new Map<string, Set<OutputName>>();
    const add = (hash: Hash, outputs: Iterable<OutputName>): void => {
      const key = formatHash(hash, "base16");
      const set = inputs.get(key) ?? new Set();
      for (const output of outputs) set.add(output);
      inputs.set(key, set);
    };
    for (const [drvPath, outputs] of derivation.inputDrvs) {
      if ((derivation.dynamicInputs?.get(drvPath)?.size ?? 0) > 0) return undefined;
      const modulo = this.hashOfPath(drvPath);
      if (modulo.kind === "deferred") return undefined;
      if (modulo.kind === "derivation") add(modulo.hash, outputs);
      else
        for (const output of outputs) {
          const hash = modulo.hashes.get(output);
          if (hash === undefined)
            throw new DevshellError(
              "DRV_OUTPUT_UNKNOWN",
              `Cannot use output "${output}" of "${drvPath}": it has no such output`,
            );
          add(hash, ["out"]);
        }
    }
    const sorted = [...inputs]
      .map(([key, outputs]) => ({ key, outputs: [...outputs] }))
      .sort((a, b) => compareBytes(a.key, b.key));
    return hashBytes("sha256", printWith(derivation, sorted, isMasked));
  }
}

function fixedOutputHashes(derivation: Derivation): Map<OutputName, Hash> {
  const hashes = new Map<OutputName, Hash>();
  for (const [name, output] of derivation.outputs) {
    if (output.kind !== "fixed") continue;
    const method = formatMethodAlgorithm(output.method, output.hash.algorithm);
    hashes.set(
      name,
      hashBytes("sha256", `fixed:out:${method}:${formatHash(output.hash, "base16")}:${output.path}`),
    );
  }
  return hashes;
}

interface PrintedInput {
  readonly key: string;
  readonly outputs: readonly OutputName[];
  readonly children?: ReadonlyMap<OutputName, DynamicInput> | undefined;
}

function printWith(derivation: Derivation, inputs: readonly PrintedInput[], isMasked: boolean): ByteString {
  const isDynamic = inputs.some(({ children }) => children !== undefined && children.size > 0);
  let text = isDynamic ? 'DrvWithVersion("xp-dyn-drv",[' : "Derive([";
  text += [...derivation.outputs.keys()]
    .sort(compareBytes)
    .map((name) => `(${quote(name)},${isMasked ? '"","",""' : printOutput(derivation.outputs.get(name))})`)
    .join(",");
  text += "],[";
  text += inputs.map((input) => `("${input.key}",${printDynamic(input.outputs, input.children)})`).join(",");
  text += "],";
  text += printNames(sortedPaths(derivation.inputSrcs));
  text += `,${quote(derivation.system)},${quote(derivation.builder)},[`;
  text += derivation.args.map(quote).join(",");
  text += "],[";
  let separator = "";
  for (const name of [...derivation.env.keys()].sort(compareBytes)) {
    const value = isMasked && derivation.outputs.has(name) ? '""' : quote(derivation.env.get(name) ?? "");
    text += `${separator}(${quote(name)},${value})`;
    separator = ",";
  }
  return `${text}])`;
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
  const names = printNames([...outputs].sort(compareBytes));
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
  return /["\\\n\r\t]/.test(text) ? `"${text.replace(/["\\\n\r\t]/g, escapeCharacter)}"` : `"${text}"`;
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
    const outputs = this.#strings();
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
    let value = "";
    for (;;) {
      const end = text.indexOf('"', from);
      if (end < 0) throw this.#error("unterminated string", start);
      const slash = text.indexOf("\\", from);
      if (slash < 0 || slash > end) {
        this.#at = end + 1;
        return value === "" ? text.slice(from, end) : value + text.slice(from, end);
      }
      // An escape lies before the next quote: copy up to it piecewise, then look again.
      const escaped = text[slash + 1];
      if (escaped === undefined) throw this.#error("unterminated string", start);
      value += text.slice(from, slash) + (UNESCAPED[escaped] ?? escaped);
      from = slash + 2;
    }
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
    return new DevshellError("DRV_INVALID", `Cannot read derivation "${this.#name}" at byte ${at}: ${why}`);
  }
}

const UNESCAPED: Record<string, string> = { n: "\n", r: "\r", t: "\t" };

function invalidOutputs(derivation: Derivation, why: string): DevshellError {
  return new DevshellError("DRV_INVALID", `Cannot use derivation "${derivation.name}": ${why}`);
}
