import { readFileSync, statSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";

/** Longest `.drv` that is read; the largest real ones hold a megabyte of scripts. */
export const MAX_DERIVATION_BYTES = 256 << 20;

/** The text of a `.drv` file. @throws {DevshellError} `STORE_READ_FAILED` */
export function readDerivationText(file: ByteString): ByteString {
  try {
    if (statSync(fsPath(file)).size > MAX_DERIVATION_BYTES)
      throw new DevshellError("STORE_READ_FAILED", `Cannot read "${file}": it is too large for a derivation`);
    return readFileSync(fsPath(file), "latin1");
  } catch (error) {
    if (error instanceof DevshellError) throw error;
    throw new DevshellError("STORE_READ_FAILED", `Cannot read "${file}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}
