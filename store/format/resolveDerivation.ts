import type { ByteString } from "../../core/index.ts";
import type { Derivation, DynamicInput, OutputName, StorePath } from "../types.ts";
import { derivationKind } from "./derivation.ts";
import { DerivationHasher, type BuiltElement } from "./derivationHasher.ts";
import {
  downstreamPlaceholder,
  dynamicPlaceholder,
  makeDerivation,
  type DerivationRequest,
  type MadeDerivation,
} from "./makeDerivation.ts";

/** Outputs that a derivation needs of another: of one in the store, or of one that is itself an output. */
export interface BuiltInput {
  readonly drvPath: StorePath;
  /** The outputs that lead from the derivation in the store to the one meant; none where it is that one. */
  readonly via: readonly OutputName[];
  readonly outputs: readonly OutputName[];
}

/** What a derivation needs built, an element for each derivation. */
export function* builtInputsOf({ inputDrvs, dynamicInputs }: Derivation): Generator<BuiltInput> {
  for (const [drvPath, outputs] of inputDrvs) {
    if (outputs.length > 0) yield { drvPath, via: [], outputs };
    const children = dynamicInputs?.get(drvPath);
    if (children !== undefined) yield* nestedInputs(drvPath, [], children);
  }
}

function* nestedInputs(
  drvPath: StorePath,
  via: readonly OutputName[],
  children: ReadonlyMap<OutputName, DynamicInput>,
): Generator<BuiltInput> {
  for (const [output, { outputs, children: deeper }] of children) {
    const inner = [...via, output];
    if (outputs.length > 0) yield { drvPath, via: inner, outputs };
    yield* nestedInputs(drvPath, inner, deeper);
  }
}

/**
 * Whether something is built in a derivation's place: the one that names its inputs by path, once these are known.
 * @param isResolvedEagerly whether fixed outputs are, too, though nothing but their rebuilding depends on it
 */
export function shouldResolve(derivation: Derivation, isResolvedEagerly: boolean): boolean {
  if (derivation.inputDrvs.size === 0) return false;
  switch (derivationKind(derivation)) {
    case "deferred":
    case "contentAddressed":
    case "impure":
      return true;
    case "fixed":
      return isResolvedEagerly || (derivation.dynamicInputs?.size ?? 0) > 0;
    case "inputAddressed":
      return false;
  }
}

/**
 * Makes the derivation that names its inputs by path: what is the same for many derivations, and so is built once.
 * @param outputPath where an input's output turned out to be
 * @returns `undefined` where that is not known for all of them
 */
export function resolveDerivation(
  storeDir: string,
  derivation: Derivation,
  outputPath: (element: BuiltElement) => StorePath | undefined,
): MadeDerivation | undefined {
  const rewrites = new Map<ByteString, StorePath>();
  const paths = new Set<StorePath>(derivation.inputSrcs);
  for (const { drvPath, via, outputs } of builtInputsOf(derivation))
    for (const output of outputs) {
      const chain = [...via, output];
      const path = outputPath({ drvPath, outputs: chain });
      if (path === undefined) return undefined;
      paths.add(path);
      const placeholder =
        via.length === 0 ? downstreamPlaceholder(drvPath, output) : dynamicPlaceholder(drvPath, chain);
      rewrites.set(placeholder, path);
    }
  const hasher = new DerivationHasher(storeDir, (drvPath) => {
    throw new Error(`A resolved derivation has no inputs such as ${drvPath}`);
  });
  return makeDerivation(resolvedRequest(derivation, rewrites, paths), hasher, () => []);
}

function resolvedRequest(
  derivation: Derivation,
  rewrites: ReadonlyMap<ByteString, StorePath>,
  paths: ReadonlySet<StorePath>,
): DerivationRequest {
  const rewrite = rewriter(rewrites);
  const { outputs } = derivation;
  return {
    name: derivation.name,
    system: derivation.system,
    builder: rewrite(derivation.builder),
    args: derivation.args.map(rewrite),
    env: new Map(
      [...derivation.env]
        .filter(([name]) => !outputs.has(name))
        .map(([name, value]) => [rewrite(name), rewrite(value)]),
    ),
    outputs: [...outputs.keys()],
    kind: requestedKind(derivation),
    context: paths,
  };
}

function requestedKind(derivation: Derivation): DerivationRequest["kind"] {
  const [first] = derivation.outputs.values();
  if (first?.kind === "fixed") return { kind: "fixed", hash: first.hash, method: first.method };
  if (first?.kind === "contentAddressed" || first?.kind === "impure")
    return { kind: first.kind, algorithm: first.algorithm, method: first.method };
  return { kind: "inputAddressed" };
}

/** Placeholders are all of one length and start alike, so one pass finds them. */
function rewriter(rewrites: ReadonlyMap<ByteString, StorePath>): (text: ByteString) => ByteString {
  if (rewrites.size === 0) return (text) => text;
  return (text) =>
    text.replaceAll(/\/[0-9a-z]{52}/g, (placeholder) => rewrites.get(placeholder) ?? placeholder);
}
