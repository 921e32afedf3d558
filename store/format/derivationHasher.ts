import { DevshellError, formatHash, sha256Text, type ByteString } from "../../core/index.ts";
import type { Derivation, OutputName, StorePath } from "../types.ts";
import { formatMethodAlgorithm } from "./contentAddress.ts";
import { derivationKind, type HashModulo } from "./derivation.ts";
import {
  DerivationText,
  printDynamic,
  type PrintedInputs,
  type PrintedVariables,
} from "./printDerivation.ts";
import { compareBytes, makeOutputPath } from "./storePath.ts";

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
  readonly printedVariables: PrintedVariables = new Map();
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
   * @returns in base 16; `undefined` where an input's paths are not known before it is built
   */
  hashMasked(derivation: Derivation): string | undefined {
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
    hashes.set(name, sha256Text(fixed, "hex"));
  }
  return hashes;
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
    // A builder that says itself what its outputs are has no variables for them.
    const isNamed = output.kind === "inputAddressed" || !namesFeature(derivation, "builder-rpc-v0");
    for (const actual of [output.path, ...(isNamed ? [derivation.env.get(name)] : [])])
      if (actual !== expected)
        throw new DevshellError(
          "DRV_OUTPUT_WRONG",
          `Cannot use derivation "${derivation.name}": output "${name}" should be "${expected}" but is "${actual ?? "not set"}"`,
        );
  }
}

function namesFeature({ env }: Derivation, feature: string): boolean {
  return (env.get("requiredSystemFeatures") ?? env.get("__json") ?? "").includes(feature);
}
