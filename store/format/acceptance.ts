import { DevshellError, type Hash } from "../../core/index.ts";
import type { StoreConfig, StorePath, StoreSettings } from "../types.ts";
import { isContentAddressed } from "./contentAddress.ts";
import { hasTrustedSignature, parsePublicKey, type PublicKey } from "./narInfo.ts";

/** What somebody else says of a path. */
interface ClaimedPathInfo {
  readonly path: StorePath;
  readonly narHash: Hash;
  readonly narSizeBytes: number;
  readonly references: readonly StorePath[];
  readonly signatures?: readonly string[] | undefined;
  readonly contentAddress?: string | undefined;
}

type Rules = Pick<StoreSettings, "storeDir" | "config">;

/** Whether it may be believed: it follows from the content, which is checked as it comes, or a trusted key signs it. */
export function isAcceptable({ config, storeDir }: Rules, info: ClaimedPathInfo): boolean {
  if (!config.requireSignatures || isContentAddressed(storeDir, info)) return true;
  return hasTrustedSignature({ ...info, signatures: info.signatures ?? [] }, trustedKeysOf(config));
}

/** @throws {DevshellError} `STORE_SIGNATURE_MISSING` where {@link isAcceptable} says no */
export function checkAcceptable(rules: Rules, info: ClaimedPathInfo): void {
  if (!isAcceptable(rules, info))
    throw new DevshellError(
      "STORE_SIGNATURE_MISSING",
      `cannot add path '${info.path}' because it lacks a signature by a trusted key`,
    );
}

const keysOf = new WeakMap<readonly string[], readonly PublicKey[]>();

/** The keys of `trusted-public-keys`, read once. */
export function trustedKeysOf({ trustedPublicKeys }: StoreConfig): readonly PublicKey[] {
  let keys = keysOf.get(trustedPublicKeys);
  if (keys === undefined) keysOf.set(trustedPublicKeys, (keys = trustedPublicKeys.map(parsePublicKey)));
  return keys;
}
