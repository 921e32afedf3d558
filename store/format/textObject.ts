import { hashBytes } from "../../core/index.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";
import { formatContentAddress } from "./contentAddress.ts";
import { narOfBytes } from "./nar.ts";

/** A text file's NAR, and what is to be known of its path, which follows from content and references. */
export function textObject(
  path: StorePath,
  bytes: Buffer,
  references: readonly StorePath[],
): { readonly nar: Buffer; readonly info: ValidPathInfo } {
  const nar = narOfBytes(bytes);
  return {
    nar,
    info: {
      path,
      narHash: hashBytes("sha256", nar),
      narSizeBytes: nar.length,
      references,
      registrationTime: 0,
      isUltimate: false,
      signatures: [],
      contentAddress: formatContentAddress({ method: "text", hash: hashBytes("sha256", bytes) }),
    },
  };
}
