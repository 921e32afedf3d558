import {
  DevshellError,
  encodeNix32,
  hashBytes,
  type ByteString,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
import type {
  BuiltTarget,
  Derivation,
  DerivationOutput,
  DynamicInput,
  IngestionMethod,
  OutputName,
  StorePath,
} from "../types.ts";
import { derivationReferences, type HashModulo } from "./derivation.ts";
import type { BuiltElement, DerivationHasher } from "./derivationHasher.ts";
import { DerivationText, derivationPath } from "./printDerivation.ts";
import {
  compressHash,
  derivationNameOfPath,
  isDerivationPath,
  makeFixedOutputPath,
  makeOutputPath,
  outputPathName,
  parseStorePath,
  storePathHashPart,
} from "./storePath.ts";

/** What `derivationStrict` asks for; `lang`'s `InstantiateRequest` is one. */
export interface DerivationRequest {
  readonly name: ByteString;
  readonly system: ByteString;
  readonly builder: ByteString;
  readonly args: readonly ByteString[];
  /** Without the outputs' own variables, which are added: the derivation takes it over. */
  readonly env: Map<ByteString, ByteString>;
  readonly outputs: readonly OutputName[];
  readonly kind:
    | { readonly kind: "inputAddressed" }
    | { readonly kind: "fixed"; readonly hash: Hash; readonly method: IngestionMethod }
    | {
        readonly kind: "contentAddressed" | "impure";
        readonly algorithm: HashAlgorithm;
        readonly method: IngestionMethod;
      };
  /** `<path>`, `!<output>!<drvPath>` (outermost output first where nested), `=<drvPath>`. */
  readonly context: ReadonlySet<ByteString>;
  /** The builder says what its outputs are, and has no variables for them. */
  readonly isSubmittingOutputs?: boolean | undefined;
}

export interface MadeDerivation {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  /** The `.drv` file's bytes. */
  readonly contents: ByteString;
  readonly references: readonly StorePath[];
  /** Output name → path, or the placeholder that stands for it until it is built. */
  readonly outputs: ReadonlyMap<OutputName, string>;
}

/**
 * Turns a request into a complete derivation; writes nothing.
 * @param hasher remembers the result, so that derivations that use it need not read it
 * @param closureOf the closure of a derivation, asked only for `=<drvPath>` elements of the context
 * @throws {DevshellError} `STORE_NAME_INVALID`, `DRV_…`
 */
export function makeDerivation(
  request: DerivationRequest,
  hasher: DerivationHasher,
  closureOf: (path: StorePath) => Iterable<StorePath>,
): MadeDerivation {
  const { storeDir } = hasher;
  const { name, kind, env, isSubmittingOutputs = false } = request;
  const inputs = inputsOf(request.context, hasher, closureOf);
  const outputs = new Map<OutputName, DerivationOutput>();
  const outputNames = [...new Set(request.outputs)].sort();
  const draft: Derivation = {
    name,
    outputs,
    ...inputs,
    system: request.system,
    builder: request.builder,
    args: request.args,
    env,
  };
  switch (kind.kind) {
    case "fixed": {
      if (outputNames.length !== 1 || outputNames[0] !== "out")
        throw new DevshellError(
          "DRV_OUTPUTS_INVALID",
          `Cannot make fixed-output derivation "${name}": multiple outputs are not supported`,
        );
      const path = makeFixedOutputPath(storeDir, name, kind);
      if (!isSubmittingOutputs) env.set("out", path);
      outputs.set("out", { kind: "fixed", path, hash: kind.hash, method: kind.method });
      break;
    }
    case "contentAddressed":
    case "impure":
      for (const output of outputNames) {
        if (!isSubmittingOutputs) env.set(output, hashPlaceholder(output));
        outputs.set(output, { kind: kind.kind, algorithm: kind.algorithm, method: kind.method });
      }
      break;
    case "inputAddressed":
      if (isSubmittingOutputs)
        throw new DevshellError(
          "DRV_OUTPUTS_INVALID",
          "derivation uses the 'builder-rpc-v0' feature, which may only be used with content-addressing derivations",
        );
      for (const output of outputNames) {
        env.set(output, "");
        outputs.set(output, { kind: "deferred" });
      }
      break;
  }
  const text = new DerivationText(draft, hasher.printedVariables);
  let modulo: HashModulo | undefined;
  if (kind.kind === "inputAddressed") {
    const inputHashes = hasher.hashInputs(draft);
    if (inputHashes !== undefined) {
      const hash = text.hashMasked(inputHashes);
      for (const output of outputNames) {
        const path = makeOutputPath(storeDir, output, hash, name);
        env.set(output, path);
        outputs.set(output, { kind: "inputAddressed", path });
      }
      modulo = text.hashModulo(inputHashes);
    }
  }
  const contents = text.print();
  const references = derivationReferences(draft);
  const drvPath = derivationPath(storeDir, draft, contents, references);
  hasher.remember(drvPath, draft, modulo);
  return { drvPath, derivation: draft, contents, references, outputs: outputsOf(drvPath, draft) };
}

/** Output name → its path, or the placeholder by which users of the derivation name it before it is built. */
export function outputsOf(drvPath: StorePath, derivation: Derivation): Map<OutputName, string> {
  const paths = new Map<OutputName, string>();
  for (const [name, output] of derivation.outputs) {
    const isKnown = output.kind === "inputAddressed" || output.kind === "fixed";
    paths.set(name, isKnown ? output.path : downstreamPlaceholder(drvPath, name));
  }
  return paths;
}

/** What stands for a derivation's own output in its builder, arguments and variables (`builtins.placeholder`). */
export function hashPlaceholder(output: OutputName): string {
  return `/${encodeNix32(hashBytes("sha256", `nix-output:${output}`).digest)}`;
}

/** What stands for an output of another derivation whose path is not known before it is built. */
export function downstreamPlaceholder(drvPath: StorePath, output: OutputName): string {
  return `/${encodeNix32(downstreamHash(drvPath, output))}`;
}

/**
 * As `downstreamPlaceholder` for an output of a derivation that is itself an output.
 * @param outputs from the derivation in the store outward, at least two
 */
export function dynamicPlaceholder(drvPath: StorePath, outputs: readonly OutputName[]): string {
  const [first, ...rest] = outputs;
  if (first === undefined) throw new Error("a placeholder needs an output");
  let digest = downstreamHash(drvPath, first);
  for (const output of rest)
    digest = hashBytes(
      "sha256",
      `nix-computed-output:${encodeNix32(compressHash(digest, 20))}:${output}`,
    ).digest;
  return `/${encodeNix32(digest)}`;
}

function downstreamHash(drvPath: StorePath, output: OutputName): Buffer {
  const outputName = outputPathName(derivationNameOfPath(drvPath), output);
  return hashBytes("sha256", `nix-upstream-output:${storePathHashPart(drvPath)}:${outputName}`).digest;
}

interface MutableDynamicInput extends DynamicInput {
  readonly outputs: OutputName[];
  readonly children: Map<OutputName, MutableDynamicInput>;
}

function inputsOf(
  context: ReadonlySet<ByteString>,
  hasher: DerivationHasher,
  closureOf: (path: StorePath) => Iterable<StorePath>,
): Pick<Derivation, "inputDrvs" | "dynamicInputs" | "inputSrcs"> {
  const drvs = new Map<StorePath, readonly OutputName[]>();
  const dynamic = new Map<StorePath, Map<OutputName, MutableDynamicInput>>();
  const srcs = new Set<StorePath>();
  for (const element of context) {
    if (element.startsWith("=")) {
      for (const path of closureOf(parseStorePath(hasher.storeDir, element.slice(1)))) {
        srcs.add(path);
        if (isDerivationPath(path)) addOutputs(drvs, path, [...hasher.derivation(path).outputs.keys()]);
      }
    } else if (element.startsWith("!")) {
      let parsed = hasher.builtElements.get(element);
      if (parsed === undefined) {
        parsed = parseBuiltElement(hasher.storeDir, element);
        hasher.builtElements.set(element, parsed);
      }
      const { drvPath, outputs } = parsed;
      if (outputs.length === 1) {
        addOutputs(drvs, drvPath, outputs);
        continue;
      }
      addOutputs(drvs, drvPath, []);
      const [first = "", ...rest] = outputs;
      addDynamic(
        getOrAdd(dynamic, drvPath, () => new Map()),
        first,
        rest,
      );
    } else srcs.add(parseStorePath(hasher.storeDir, element));
  }
  const inputDrvs = new Map<StorePath, readonly OutputName[]>();
  for (const drvPath of [...drvs.keys()].sort()) inputDrvs.set(drvPath, drvs.get(drvPath)!);
  return {
    inputDrvs,
    ...(dynamic.size > 0 ? { dynamicInputs: dynamic } : {}),
    inputSrcs: [...srcs].sort(),
  };
}

/** Adds to the outputs that are needed of a derivation, which stay sorted. */
function addOutputs(
  drvs: Map<StorePath, readonly OutputName[]>,
  drvPath: StorePath,
  outputs: readonly OutputName[],
): void {
  const known = drvs.get(drvPath);
  if (known === undefined || known.length === 0)
    drvs.set(drvPath, outputs.length > 1 ? outputs.toSorted() : outputs);
  else drvs.set(drvPath, [...new Set([...known, ...outputs])].sort());
}

/**
 * Reads a context element `!<output>!<drvPath>`; nested ones name the outermost output first.
 * @returns the outputs from the derivation in the store outward
 */
export function parseBuiltElement(storeDir: string, element: ByteString): BuiltElement {
  const parts = element.slice(1).split("!");
  const drvPath = parseStorePath(storeDir, parts.pop() ?? "");
  if (parts.length === 0 || parts.includes(""))
    throw new Error(`malformed context element ${JSON.stringify(element)}`);
  return { drvPath, outputs: parts.reverse() };
}

/** A context element as what is to be built. */
export function parseBuiltTarget(
  storeDir: string,
  element: ByteString,
): BuiltTarget & { outputs: OutputName[] } {
  const { drvPath, outputs } = parseBuiltElement(storeDir, element);
  return { drvPath, ...(outputs.length > 1 && { via: outputs.slice(0, -1) }), outputs: outputs.slice(-1) };
}

function addDynamic(
  children: Map<OutputName, MutableDynamicInput>,
  output: OutputName,
  rest: readonly OutputName[],
): void {
  const node = getOrAdd(children, output, () => ({ outputs: [], children: new Map() }));
  const [next = "", ...more] = rest;
  if (more.length > 0) addDynamic(node.children, next, more);
  else if (!node.outputs.includes(next)) node.outputs.push(next);
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
