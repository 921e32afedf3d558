import { DevshellError, formatHash, hashBytes, type Hash } from "../../core/index.ts";
import { printDerivation } from "./printDerivation.ts";
import { signText, verifyText, type PublicKey, type SecretKey } from "./narInfo.ts";
import { parseSignatures } from "./realisation.ts";
import { parseStorePathBaseName, storePathBaseName } from "./storePath.ts";
import type { Derivation, OutputName, StorePath } from "../types.ts";

// Realisations as Nix had them up to 2.34: a derivation is named by its hash, not by its path.

export interface OlderRealisation {
  /** The derivation's hash and the output: `sha256:…!out`. */
  readonly id: string;
  readonly outputPath: StorePath;
  /** `<key name>:<base64>` each. */
  readonly signatures: readonly string[];
}

/** Where a binary cache keeps it. */
export function olderRealisationPlace(id: string): string {
  return `realisations/${id}.doi`;
}

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

/**
 * Reads a binary cache's file.
 * @param whence where it is from, for messages
 * @returns `undefined` for one that is believed only with others, which are not asked for
 * @throws {DevshellError} `STORE_REALISATION_INVALID`
 */
export function parseOlderRealisation(
  storeDir: string,
  id: string,
  text: string,
  whence: string,
): OlderRealisation | undefined {
  const invalid = (why: string): DevshellError =>
    new DevshellError("STORE_REALISATION_INVALID", `Cannot read realisation "${whence}": ${why}`);
  let value: Partial<Record<keyof OlderFile, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    throw invalid("it is not JSON");
  }
  if (typeof value !== "object" || value === null || typeof value.outPath !== "string")
    throw invalid('it has no "outPath"');
  if (value.id !== id) throw invalid(`it is of '${String(value.id)}'`);
  const signatures = parseSignatures(value.signatures ?? []);
  if (signatures === undefined) throw invalid('"signatures" is no list of signatures');
  const outputPath = parseStorePathBaseName(storeDir, value.outPath);
  const hasOthers = Object.keys(value.dependentRealisations ?? {}).length > 0;
  return hasOthers ? undefined : { id, outputPath, signatures };
}

interface OlderFile {
  readonly id: string;
  readonly outPath: string;
  readonly signatures: readonly string[];
  readonly dependentRealisations: Readonly<Record<string, string>>;
}

/** Whether one of its signatures is by one of the keys. */
export function isOlderRealisationTrusted(
  realisation: OlderRealisation,
  keys: readonly PublicKey[],
): boolean {
  const text = fingerprint(realisation);
  return realisation.signatures.some((signature) => verifyText(text, signature, keys));
}

/** What a binary cache's file of a realisation holds; signatures of its newer form sign another text. */
export function printOlderRealisation(realisation: Unsigned, keys: readonly SecretKey[]): string {
  const text = fingerprint(realisation);
  const signatures = keys.map((key) => signText(text, key));
  return JSON.stringify({ ...JSON.parse(text), signatures });
}

type Unsigned = Omit<OlderRealisation, "signatures">;

function fingerprint({ id, outputPath }: Unsigned): string {
  return JSON.stringify({ dependentRealisations: {}, id, outPath: storePathBaseName(outputPath) });
}
