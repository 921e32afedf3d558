import { DevshellError } from "../../core/index.ts";
import type { Derivation, DerivationOutput, OutputName, StorePath } from "../types.ts";
import { sortedPaths } from "./storePath.ts";

/** How a derivation is built and addressed; all its outputs are of one kind. */
export type DerivationKind = DerivationOutput["kind"];

/** What the `.drv` file refers to: its input derivations and sources. */
export function derivationReferences(derivation: Derivation): readonly StorePath[] {
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

function invalidOutputs(derivation: Derivation, why: string): DevshellError {
  return new DevshellError("DRV_INVALID", `Cannot use derivation "${derivation.name}": ${why}`);
}
