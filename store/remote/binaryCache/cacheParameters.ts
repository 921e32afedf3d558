import { readFileSync } from "node:fs";
import { normalize } from "node:path/posix";
import { DevshellError, bytesOfText, fsPath } from "../../../core/index.ts";
import { COMPRESSIONS, isCompression, type Compression } from "../../../io/index.ts";
import { parseSecretKey, type SecretKey } from "../../format/narInfo.ts";
import type { StoreAddress } from "../storeAddress.ts";

/** What a binary cache's address says beside the place. */
export interface CacheParameters {
  /** The directory of the paths it holds, where that is another than ours. */
  readonly storeDir: string | undefined;
  readonly compression: Compression;
  /** `undefined`: the method's own. */
  readonly level: number | undefined;
  readonly isParallel: boolean;
  /** Sign what is written. */
  readonly keys: readonly SecretKey[];
  readonly isTrusted: boolean;
  /** What the cache says of itself counts unless given. */
  readonly priority: number | undefined;
  readonly wantsMassQuery: boolean | undefined;
  /** Whether a list of each NAR's files is written (`<hash>.ls`). */
  readonly hasListings: boolean;
  /** Whether debug files are indexed by their build id (`debuginfo/`). */
  readonly hasDebugIndex: boolean;
  /** How a narinfo, a listing or a log is compressed for readers to whom the server says so. */
  readonly codingOf: (name: string) => Compression | undefined;
  /** A directory that keeps NARs which `nix store cat` and `ls` have read. */
  readonly narCacheDir: string | undefined;
}

/** As `nix copy --to file://…` does. */
const DEFAULT_COMPRESSION = "xz";

/** @throws {DevshellError} `CACHE_PARAMETER`, `KEY_INVALID`, `KEY_UNREADABLE` */
export function readCacheParameters({ text, parameters }: StoreAddress): CacheParameters {
  const invalid = (name: string, expected: string): DevshellError =>
    new DevshellError(
      "CACHE_PARAMETER",
      `Cannot open the binary cache "${text}": "${name}" is "${parameters.get(name)}", expected ${expected}`,
    );
  const flag = (name: string): boolean | undefined => {
    const value = parameters.get(name);
    if (value === undefined) return undefined;
    if (/^(1|true|yes)$/.test(value)) return true;
    if (/^(0|false|no)$/.test(value)) return false;
    throw invalid(name, '"true" or "false"');
  };
  const number = (name: string): number | undefined => {
    const value = parameters.get(name);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,9}$/.test(value)) throw invalid(name, "a whole number");
    return Number(value);
  };
  const known = (compression: string): Compression => {
    if (isCompression(compression)) return compression;
    throw new DevshellError(
      "CACHE_PARAMETER",
      `Cannot open the binary cache "${text}": failed to initialize compression (${compression} is not built yet)`,
      { hint: `there are ${COMPRESSIONS.join(", ")}` },
    );
  };
  const coding = (name: string): Compression | undefined => {
    const compression = parameters.get(name) ?? "";
    return compression === "" ? undefined : known(compression);
  };
  const [ofNarInfo, ofListing, ofLog] = [
    coding("narinfo-compression"),
    coding("ls-compression"),
    coding("log-compression"),
  ];
  const level = number("compression-level");
  const storeDir = parameters.get("store");
  if (
    storeDir !== undefined &&
    (!storeDir.startsWith("/") || storeDir !== normalize(storeDir) || /.\/$/.test(storeDir))
  )
    throw invalid("store", "the absolute path of a store directory");
  return {
    storeDir,
    compression: known(parameters.get("compression") ?? DEFAULT_COMPRESSION),
    level: level === -1 ? undefined : level,
    isParallel: flag("parallel-compression") ?? false,
    keys: keyFiles(parameters).map(readKey),
    isTrusted: flag("trusted") ?? false,
    priority: number("priority"),
    wantsMassQuery: flag("want-mass-query"),
    hasListings: flag("write-nar-listing") ?? false,
    hasDebugIndex: flag("index-debug-info") ?? false,
    codingOf: (name) => {
      if (name.endsWith(".narinfo")) return ofNarInfo;
      if (name.endsWith(".ls")) return ofListing;
      return name.startsWith("log/") ? ofLog : undefined;
    },
    narCacheDir: parameters.get("local-nar-cache") || undefined,
  };
}

function keyFiles(parameters: ReadonlyMap<string, string>): string[] {
  const one = parameters.get("secret-key") ?? "";
  const many = parameters.get("secret-keys") ?? "";
  return [one, ...many.split(",")].filter((file) => file !== "");
}

function readKey(file: string): SecretKey {
  let text: string;
  try {
    text = readFileSync(fsPath(bytesOfText(file)), "utf8");
  } catch (error) {
    throw new DevshellError(
      "KEY_UNREADABLE",
      `Cannot read the secret key "${file}": ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  return parseSecretKey(text);
}
