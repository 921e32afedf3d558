import { DevshellError } from "../../core/index.ts";
import type { OutputName, Realisation, StorePath } from "../types.ts";
import { isSignature, signText, verifyText, type PublicKey, type SecretKey } from "./narInfo.ts";
import { parseStorePath, parseStorePathBaseName, storePathBaseName } from "./storePath.ts";

/** What a realisation says, without who vouches for it. */
export type UnsignedRealisation = Omit<Realisation, "signatures">;

/** `<base name of the derivation>^<output>`: as messages name the output of a derivation. */
export function formatDrvOutput({ drvPath, output }: Pick<Realisation, "drvPath" | "output">): string {
  return `${storePathBaseName(drvPath)}^${output}`;
}

/** `<path of the derivation>^<output>`. @throws {DevshellError} `STORE_DRV_OUTPUT` */
export function parseDrvOutput(
  storeDir: string,
  text: string,
): { readonly drvPath: StorePath; readonly output: OutputName } {
  const at = text.lastIndexOf("^");
  if (at < 0)
    throw new DevshellError("STORE_DRV_OUTPUT", `Invalid derivation output id '${text}': missing '^'`);
  return { drvPath: parseStorePath(storeDir, text.slice(0, at)), output: text.slice(at + 1) };
}

/** The text that a realisation's signatures sign. */
export function realisationFingerprint(realisation: UnsignedRealisation): string {
  return JSON.stringify({
    key: keyOf(realisation),
    value: { outPath: storePathBaseName(realisation.outputPath) },
  });
}

/** @returns `<key name>:<base64>` */
export function signRealisation(realisation: UnsignedRealisation, key: SecretKey): string {
  return signText(realisationFingerprint(realisation), key);
}

/** Whether one of its signatures is by one of the keys. */
export function isRealisationTrusted(realisation: Realisation, keys: readonly PublicKey[]): boolean {
  const text = realisationFingerprint(realisation);
  return realisation.signatures.some((signature) => verifyText(text, signature, keys));
}

/** As `nix store build-trace info --json` prints it. */
export function realisationJson(realisation: Realisation): Readonly<Record<string, unknown>> {
  return { key: keyOf(realisation), value: valueOf(realisation) };
}

/** What a binary cache's file of a realisation holds. */
export function printRealisation(realisation: Realisation): string {
  return JSON.stringify(valueOf(realisation));
}

/** Where a binary cache keeps it. */
export function realisationPlace({ drvPath, output }: Pick<Realisation, "drvPath" | "output">): string {
  return `build-trace-v2/${storePathBaseName(drvPath)}/${output}.doi`;
}

/**
 * Reads a binary cache's file.
 * @param whence where it is from, for messages
 * @throws {DevshellError} `STORE_REALISATION_INVALID`
 */
export function parseRealisation(
  storeDir: string,
  key: Pick<Realisation, "drvPath" | "output">,
  text: string,
  whence: string,
): Realisation {
  const invalid = (why: string): DevshellError =>
    new DevshellError("STORE_REALISATION_INVALID", `Cannot read realisation "${whence}": ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("it is not JSON");
  }
  if (
    typeof value !== "object" ||
    value === null ||
    !("outPath" in value) ||
    typeof value.outPath !== "string"
  )
    throw invalid('it has no "outPath"');
  const signatures = parseSignatures("signatures" in value ? value.signatures : []);
  if (signatures === undefined) throw invalid('"signatures" is no list of signatures');
  return { ...key, outputPath: parseStorePathBaseName(storeDir, value.outPath), signatures };
}

/** Signatures as JSON has them. @returns `undefined` for anything else */
export function parseSignatures(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const signatures: string[] = [];
  for (const item of value) {
    const signature = signatureText(item);
    if (signature === undefined || !isSignature(signature)) return undefined;
    signatures.push(signature);
  }
  return signatures;
}

/** The form in which they stand in JSON. */
export function jsonOfSignatures(
  signatures: readonly string[],
): readonly { readonly keyName: string; readonly sig: string }[] {
  return signatures.map((signature) => {
    const at = signature.indexOf(":");
    return { keyName: signature.slice(0, at), sig: signature.slice(at + 1) };
  });
}

function keyOf({ drvPath, output }: UnsignedRealisation): {
  readonly drvPath: string;
  readonly outputName: string;
} {
  return { drvPath: storePathBaseName(drvPath), outputName: output };
}

function valueOf({ outputPath, signatures }: Realisation): Readonly<Record<string, unknown>> {
  return {
    outPath: storePathBaseName(outputPath),
    signatures: jsonOfSignatures(signatures),
  };
}

/** A text, or the key's name and the signature apart. */
function signatureText(item: unknown): string | undefined {
  if (typeof item === "string") return item;
  if (typeof item !== "object" || item === null || !("keyName" in item) || !("sig" in item)) return undefined;
  return typeof item.keyName === "string" && typeof item.sig === "string"
    ? `${item.keyName}:${item.sig}`
    : undefined;
}
