import {
  DevshellError,
  formatHash,
  isHashAlgorithm,
  parseHash,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
import type { DerivationOutput, IngestionMethod, StorePath } from "../types.ts";
import { makeFixedOutputPath, storePathName } from "./storePath.ts";

/** How a path's address follows from its content: `fixed:r:sha256:…`, `fixed:sha1:…`, `text:sha256:…`. */
export interface ContentAddress {
  readonly method: IngestionMethod;
  readonly hash: Hash;
}

const PREFIX: Record<IngestionMethod, string> = { flat: "", nar: "r:", git: "git:", text: "text:" };

/** `sha256`, `r:sha256`, `git:sha1`, `text:sha256`: as a `.drv` writes an output's method and algorithm. */
export function formatMethodAlgorithm(method: IngestionMethod, algorithm: HashAlgorithm): string {
  return PREFIX[method] + algorithm;
}

/** @throws {DevshellError} `STORE_CA_INVALID` */
export function parseMethodAlgorithm(text: string): { method: IngestionMethod; algorithm: HashAlgorithm } {
  const match = /^(r:|git:|text:)?([a-z0-9]+)$/.exec(text);
  const algorithm = match?.[2];
  if (algorithm === undefined || !isHashAlgorithm(algorithm))
    throw invalid(text, "its hash algorithm is unknown");
  return { method: methodOfPrefix(match?.[1]), algorithm };
}

/** As the database, narinfo and the protocol write it. */
export function formatContentAddress({ method, hash }: ContentAddress): string {
  const prefix = method === "text" ? "text:" : `fixed:${PREFIX[method]}`;
  return `${prefix}${hash.algorithm}:${formatHash(hash, "nix32")}`;
}

/** @throws {DevshellError} `STORE_CA_INVALID` */
export function parseContentAddress(text: string): ContentAddress {
  const match = /^(?:text:()|fixed:(r:|git:)?)([a-z0-9]+):(.+)$/.exec(text);
  if (match === null)
    throw invalid(
      text,
      'it is not of the form "fixed:[r:|git:]<algorithm>:<hash>" or "text:<algorithm>:<hash>"',
    );
  const algorithm = match[3] ?? "";
  if (!isHashAlgorithm(algorithm)) throw invalid(text, `hash algorithm "${algorithm}" is unknown`);
  const method = match[1] === "" ? "text" : methodOfPrefix(match[2]);
  return { method, hash: parseHash(match[4] ?? "", algorithm) };
}

/** The path that content with this address and these references has; a reference to the path itself counts as one. */
export function pathOfContentAddress(
  storeDir: string,
  name: string,
  address: ContentAddress,
  references: Iterable<StorePath>,
  isSelfReferring = false,
): StorePath {
  return makeFixedOutputPath(storeDir, name, { ...address, references, isSelfReferring });
}

/** What the content of an output is known to be before it is made. */
export function addressOfOutput(output: DerivationOutput | undefined): ContentAddress | undefined {
  return output?.kind === "fixed" ? { method: output.method, hash: output.hash } : undefined;
}

/** Whether a path follows from what is said of its content: then that needs no signature, only the check. */
export function isContentAddressed(
  storeDir: string,
  { path, references, contentAddress }: AddressedPathInfo,
): boolean {
  if (contentAddress === undefined) return false;
  const others = references.filter((reference) => reference !== path);
  const address = parseContentAddress(contentAddress);
  const isSelfReferring = others.length < references.length;
  return pathOfContentAddress(storeDir, storePathName(path), address, others, isSelfReferring) === path;
}

interface AddressedPathInfo {
  readonly path: StorePath;
  readonly references: readonly StorePath[];
  readonly contentAddress?: string | undefined;
}

function methodOfPrefix(prefix: string | undefined): IngestionMethod {
  if (prefix === "r:") return "nar";
  if (prefix === "git:") return "git";
  return prefix === "text:" ? "text" : "flat";
}

function invalid(text: string, why: string): DevshellError {
  return new DevshellError("STORE_CA_INVALID", `Cannot read content address "${text}": ${why}`);
}
