import { formatHash, sha256Text, type ByteString } from "../../core/index.ts";
import type { Derivation, DerivationOutput, DynamicInput, OutputName, StorePath } from "../types.ts";
import { formatMethodAlgorithm } from "./contentAddress.ts";
import { derivationReferences, type HashModulo } from "./derivation.ts";
import { compareBytes, makeDerivationPath, sortedPaths } from "./storePath.ts";

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
  return makeDerivationPath(storeDir, derivation.name, sha256Text(text, "hex"), references);
}

/** The inputs' part of the text: by path, or by hash. */
export interface PrintedInputs {
  readonly text: string;
  readonly isDynamic: boolean;
}

/** Name → how the variable was printed last. */
export type PrintedVariables = Map<ByteString, { readonly value: ByteString; readonly text: string }>;

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

  /**
   * The derivation's variables must have the outputs' names already.
   * @param printed gets variables as they were printed last: most derivations share many
   */
  constructor(derivation: Derivation, printed: PrintedVariables = new Map()) {
    this.#derivation = derivation;
    const { outputs, inputSrcs, system, builder, args, env } = derivation;
    this.#outputNames = [...outputs.keys()].sort();
    const sources = printNames(sortedPaths(inputSrcs));
    const words = args.map(quote).join(",");
    let text = `],${sources},${quote(system)},${quote(builder)},[${words}],[`;
    let variables: string[] = [];
    for (const name of [...env.keys()].sort()) {
      if (outputs.has(name)) {
        variables.push(`(${quote(name)},`);
        // Joined, not concatenated one by one: they are read several times.
        this.#pieces.push(text + variables.join(","));
        this.#outputsBetween.push(name);
        text = "";
        variables = [")"];
      } else variables.push(printVariable(name, env.get(name)!, printed));
    }
    this.#pieces.push(`${text}${variables.join(",")}])`);
  }

  /** The `.drv` file's text. */
  print(): ByteString {
    return this.#print(printInputs(this.#derivation), false);
  }

  /** @returns the SHA-256 in base 16 */
  hashMasked(inputs: PrintedInputs): string {
    return sha256Text(this.#print(inputs, true), "hex");
  }

  hashModulo(inputs: PrintedInputs): HashModulo {
    return { kind: "derivation", base16: sha256Text(this.#print(inputs, false), "hex") };
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

function printVariable(name: string, value: ByteString, printed: PrintedVariables): string {
  const last = printed.get(name);
  if (last?.value === value) return last.text;
  const text = `(${quote(name)},${quote(value)})`;
  printed.set(name, { value, text });
  return text;
}

function printInputs({ inputDrvs, dynamicInputs }: Derivation): PrintedInputs {
  let text = "";
  let isDynamic = false;
  for (const drvPath of [...inputDrvs.keys()].sort()) {
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

export function printDynamic(
  outputs: readonly OutputName[],
  children?: ReadonlyMap<OutputName, DynamicInput>,
): string {
  const names = outputs.length === 1 ? `["${outputs[0]!}"]` : printNames([...outputs].sort());
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
  if (text === "") return '""';
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
