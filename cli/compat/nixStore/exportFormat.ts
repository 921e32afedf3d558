import type { ByteString } from "../../../core/index.ts";

/** 64 bits, little-endian. */
export function numberField(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Length, bytes, zeros up to a multiple of 8. */
export function stringField(text: ByteString): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([numberField(bytes.length), bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}
