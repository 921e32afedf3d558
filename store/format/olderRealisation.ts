import { formatHash, hashBytes, type Hash } from "../../core/index.ts";
import { printDerivation } from "./printDerivation.ts";
import { signText, type SecretKey } from "./narInfo.ts";
import { storePathBaseName } from "./storePath.ts";
import type { Derivation, OutputName, StorePath } from "../types.ts";

// Realisations as Nix had them up to 2.34: a derivation is named by its hash, not by its path.

/** Who asks, and what is known. */
export interface OlderRealisation {
  readonly id: string;
  readonly outputPath: StorePath;
}

/** What stands before the hash's digits, and what after them: `sha256:…!out`. */
export function olderRealisationId(hash: Hash, output: OutputName): string {
  return `${hash.algorithm}:${formatHash(hash, "base16")}!${output}`;
}

/**
 * The hash of a content-addressed derivation all of whose inputs are paths: its text with its outputs' variables blank.
 */
export function olderDerivationHash(derivation: Derivation): Hash {
  const env = new Map(
    [...derivation.env].map(([name, value]) => [name, derivation.outputs.has(name) ? "" : value]),
  );
  return hashBytes("sha256", printDerivation({ ...derivation, env }));
}

/** What a binary cache's file of a realisation holds; signatures of its newer form sign another text. */
export function printOlderRealisation(realisation: OlderRealisation, keys: readonly SecretKey[]): string {
  const text = fingerprint(realisation);
  const signatures = keys.map((key) => signText(text, key));
  return JSON.stringify({ ...JSON.parse(text), signatures });
}

function fingerprint({ id, outputPath }: OlderRealisation): string {
  return JSON.stringify({ dependentRealisations: {}, id, outPath: storePathBaseName(outputPath) });
}
