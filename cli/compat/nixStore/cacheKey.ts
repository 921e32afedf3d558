import { writeFileSync } from "node:fs";
import { formatKey, generateSecretKey, publicKeyOf } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --generate-binary-cache-key NAME SECRET-FILE PUBLIC-FILE`. */
export function generateCacheKey(operation: StoreOperation): number {
  switchesOf(operation, []);
  const [name, secretFile, publicFile, ...more] = operation.words;
  if (name === undefined || secretFile === undefined || publicFile === undefined || more.length > 0)
    throw usageError("nix-store", "three arguments expected");
  const secret = generateSecretKey(name);
  writeFileSync(publicFile, formatKey(publicKeyOf(secret)), { mode: 0o666 });
  writeFileSync(secretFile, formatKey(secret), { mode: 0o600 });
  return 0;
}
