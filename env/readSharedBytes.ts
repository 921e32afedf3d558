import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const BUFFER_BYTES = 1 << 20;
let shared: Buffer | undefined;

/**
 * A file's bytes, good until the next file is read: a buffer for each costs as much as reading it does, and `readFileSync`
 * asks for the size once more. Measured on 8,000 files of nixpkgs: 790 → 500 ms.
 * @param sizeBytes what the file's stat said
 */
export function readSharedBytes(path: string | Buffer, sizeBytes: number): Buffer {
  // Special files say that they are empty.
  if (sizeBytes === 0 || sizeBytes >= BUFFER_BYTES) return readFileSync(path);
  shared ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
  const file = openSync(path, "r");
  try {
    const count = readSync(file, shared, 0, BUFFER_BYTES, null);
    if (count === sizeBytes) return shared.subarray(0, count);
  } finally {
    closeSync(file);
  }
  return readFileSync(path);
}
