import { readFileSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import { parseSecretKey, type SecretKey } from "../format/narInfo.ts";
import type { StoreConfig } from "../types.ts";

/**
 * The keys of the option `secret-key-files`: what is built here is signed by them.
 * @throws {DevshellError} `KEY_INVALID`
 */
export function readSecretKeys({ raw }: Pick<StoreConfig, "raw">): readonly SecretKey[] {
  const files = (raw.get("secret-key-files") ?? "").split(/\s+/).filter((file) => file !== "");
  return files.map((file) => {
    try {
      return parseSecretKey(readFileSync(file, "utf8"));
    } catch (error) {
      if (error instanceof DevshellError) throw error;
      throw new DevshellError(
        "KEY_INVALID",
        `Cannot read the secret key "${file}": ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  });
}
