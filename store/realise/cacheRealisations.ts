import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fsPath } from "../../core/index.ts";
import { fetchBytes, isNotFound } from "../../io/index.ts";
import { parseRealisation, printRealisation, realisationPlace } from "../format/realisation.ts";
import type { Realisation } from "../types.ts";

/** Signatures are what there is most of. */
const MAX_REALISATION_BYTES = 1 << 20;
const FEW_ATTEMPTS = 3;

/**
 * What a binary cache says an output turned out to be.
 * @param base its address, without parameters
 * @returns `undefined` where it says nothing
 * @throws {DevshellError} `STORE_REALISATION_INVALID`, and where it cannot be asked
 */
export async function fetchRealisation(
  storeDir: string,
  base: string,
  key: Pick<Realisation, "drvPath" | "output">,
  signal: AbortSignal | undefined,
): Promise<Realisation | undefined> {
  const url = `${base}/${realisationPlace(key)}`;
  let bytes: Buffer;
  try {
    bytes = await fetchBytes({ url, maxBytes: MAX_REALISATION_BYTES, attempts: FEW_ATTEMPTS, signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
  return parseRealisation(storeDir, key, bytes.toString("utf8"), url);
}

/** Writes a realisation into a binary cache on this machine; what it names must be there already. */
export function writeRealisation(directory: string, realisation: Realisation): void {
  const file = join(directory, realisationPlace(realisation));
  mkdirSync(fsPath(dirname(file)), { recursive: true });
  writeFileSync(fsPath(`${file}.${process.pid}`), printRealisation(realisation));
  renameSync(fsPath(`${file}.${process.pid}`), fsPath(file));
}
