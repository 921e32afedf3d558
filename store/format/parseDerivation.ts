import { DevshellError, isHashAlgorithm, parseHash, type ByteString } from "../../core/index.ts";
import type { Derivation, DerivationOutput, DynamicInput, OutputName, StorePath } from "../types.ts";
import { parseMethodAlgorithm } from "./contentAddress.ts";
import { makeFixedOutputPath, outputPathName, parseStorePath } from "./storePath.ts";

/** Nesting of `(outputs,[(output,…)])` in the dynamic form; real ones nest once or twice. */
const MAX_DYNAMIC_DEPTH = 64;
const MAX_REASON_LENGTH = 2000;

/**
 * Reads the ATerm text of a `.drv` file.
 * @param name the derivation's name (the text does not hold it): `derivationNameOfPath(drvPath)`
 * @throws {DevshellError} `DRV_INVALID`, naming the byte offset
 */
export function parseDerivation(storeDir: string, name: string, text: ByteString): Derivation {
  return new DerivationParser(storeDir, name, text).parse();
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
