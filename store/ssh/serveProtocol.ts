import { formatHash, parseHash, type ByteString } from "../../core/index.ts";
import {
  parseRealisation,
  printRealisation,
  readBuildOutcome,
  writeBuildOutcome,
  type BuildResult,
  type BuiltOutput,
} from "../protocol/buildResult.ts";
import { readOptionalPath, readPath, readPaths, readSignatures, type Wire } from "../protocol/values.ts";
import {
  readFlag,
  readLarge,
  readList,
  readNumber,
  readString,
  wireError,
  type Decoder,
  type WireWriter,
} from "../protocol/wire.ts";
import { LATEST } from "../protocol/version.ts";
import { sortedPaths } from "../format/storePath.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { OutputName, StorePath, ValidPathInfo } from "../types.ts";

/*
 * The protocol of `nix-store --serve`, which `ssh://` speaks. After both sides' magic numbers and versions the client
 * sends commands and reads an answer to each; there is no message for failures: the server says why on standard error,
 * and ends.
 */

export const SERVE_CLIENT_MAGIC = 0x390c9deb;
export const SERVE_SERVER_MAGIC = 0x5452eecb;
const MAJOR = 2;
/** 2.8: realisations by the derivation's path. */
export const SERVE_LATEST = 8;
/** `addToStoreNar` and hashes of paths are since 2.5. */
export const SERVE_OLDEST = 5;

const HASHES_SINCE = 4;
const LOG_LIMIT_SINCE = 2;
const TIMES_SINCE = 3;
const KEEP_FAILED_SINCE = 7;
const OUTPUTS_SINCE = 6;
const PLAIN_OUTPUTS_SINCE = 8;

export const SERVE_COMMAND = {
  queryValidPaths: 1,
  queryPathInfos: 2,
  dumpStorePath: 3,
  importPaths: 4,
  buildPaths: 6,
  queryClosure: 7,
  buildDerivation: 8,
  addToStoreNar: 9,
} as const;

/** The store directory, and the version 2.x that both sides speak. */
export interface ServeWire {
  readonly storeDir: string;
  readonly minor: number;
}

export function serveVersionNumber(minor: number): number {
  return (MAJOR << 8) | minor;
}

/** @returns `undefined` for a protocol that is not 2.x */
export function serveMinorOf(number: number): number | undefined {
  return number >> 8 === MAJOR ? number & 0xff : undefined;
}

/** Values that both protocols write alike. */
export function commonWire(storeDir: string): Wire {
  return { storeDir, version: LATEST };
}

/** What a build is asked to keep to. */
export interface ServeBuildOptions {
  readonly maxSilentSeconds: number;
  readonly timeoutSeconds: number;
  /** 0: no limit. */
  readonly maxLogBytes: number;
  readonly keepFailed: boolean;
}

export function* readBuildOptions(minor: number): Decoder<ServeBuildOptions> {
  const maxSilentSeconds = yield* readLarge();
  const timeoutSeconds = yield* readLarge();
  const maxLogBytes = minor >= LOG_LIMIT_SINCE ? yield* readLarge() : 0;
  if (minor >= TIMES_SINCE) {
    const repeats = yield* readNumber("the number of repeated builds");
    if (repeats !== 0)
      throw wireError("client requested repeating builds, but this is not currently implemented");
    yield* readFlag();
  }
  const keepFailed = minor >= KEEP_FAILED_SINCE ? yield* readFlag() : false;
  return { maxSilentSeconds, timeoutSeconds, maxLogBytes, keepFailed };
}

export function writeBuildOptions(writer: WireWriter, options: ServeBuildOptions, minor: number): void {
  writer.number(options.maxSilentSeconds).number(options.timeoutSeconds);
  if (minor >= LOG_LIMIT_SINCE) writer.number(options.maxLogBytes);
  if (minor >= TIMES_SINCE) writer.number(0).flag(false);
  if (minor >= KEEP_FAILED_SINCE) writer.flag(options.keepFailed);
}

/** What is known of a path, after the path itself. */
export function* readServePathInfo({ storeDir, minor }: ServeWire, path: StorePath): Decoder<ValidPathInfo> {
  const wire = commonWire(storeDir);
  const deriver = yield* readOptionalPath(wire);
  const references = yield* readPaths(wire);
  yield* readLarge(); // the size of a download, which nobody knows
  const narSizeBytes = yield* readNumber("a NAR's size");
  if (minor < HASHES_SINCE) throw wireError(`protocol 2.${minor} tells no hashes`);
  const narHash = parseHash(yield* readString("a NAR's hash"));
  if (narHash.algorithm !== "sha256") throw wireError(`the NAR of '${path}' has a hash that is no SHA-256`);
  const contentAddress = yield* readString("a content address");
  return {
    path,
    deriver,
    references,
    narSizeBytes,
    narHash,
    contentAddress: contentAddress === "" ? undefined : contentAddress,
    signatures: yield* readSignatures(),
    registrationTime: 0,
    isUltimate: false,
  };
}

export function writeServePathInfo(writer: WireWriter, info: ValidPathInfo, minor: number): void {
  writer
    .string(info.deriver ?? "")
    .strings(sortedPaths(info.references))
    .number(info.narSizeBytes)
    .number(info.narSizeBytes);
  if (minor < HASHES_SINCE) return;
  writer
    .string(`sha256:${formatHash(info.narHash, "nix32")}`)
    .string(info.contentAddress ?? "")
    .strings([...info.signatures].sort());
}

/** A path that is to be added: what comes before its NAR. */
export function* readIncomingPath(storeDir: string): Decoder<IncomingPathInfo> {
  const wire = commonWire(storeDir);
  const path = yield* readPath(wire);
  const deriver = yield* readOptionalPath(wire);
  const narHash = parseHash(yield* readString("a NAR's hash"), "sha256");
  const references = yield* readPaths(wire);
  yield* readLarge(); // when it was registered there
  const narSizeBytes = yield* readNumber("a NAR's size");
  yield* readFlag(); // whether it was built there: not here, in any case
  const signatures = yield* readSignatures();
  const contentAddress = yield* readString("a content address");
  if (narSizeBytes === 0) throw wireError("narInfo is too old and missing the narSize field");
  return {
    path,
    deriver,
    narHash,
    references,
    narSizeBytes,
    signatures,
    contentAddress: contentAddress === "" ? undefined : contentAddress,
  };
}

export function writeIncomingPath(writer: WireWriter, info: IncomingPathInfo): void {
  writer
    .string(info.path)
    .string(info.deriver ?? "")
    .string(formatHash(info.narHash, "base16"))
    .strings(sortedPaths(info.references))
    .number(0)
    .number(info.narSizeBytes)
    .flag(info.isUltimate ?? false)
    .strings([...(info.signatures ?? [])].sort())
    .string(info.contentAddress ?? "");
}

export function* readServeBuildResult({ storeDir, minor }: ServeWire): Decoder<BuildResult> {
  const outcome = yield* readBuildOutcome(minor >= TIMES_SINCE);
  const outputs = yield* readOutputs({ storeDir, minor });
  return { ...outcome, outputs };
}

function* readOutputs({ storeDir, minor }: ServeWire): Decoder<Map<OutputName, BuiltOutput>> {
  const wire = commonWire(storeDir);
  if (minor < OUTPUTS_SINCE) return new Map();
  return new Map(
    yield* readList("outputs", function* (): Decoder<[OutputName, BuiltOutput]> {
      const name = yield* readString("an output's name");
      if (minor >= PLAIN_OUTPUTS_SINCE) {
        const path = yield* readPath(wire);
        return [name, { path, signatures: yield* readSignatures() }];
      }
      const at = name.indexOf("!");
      if (at < 0) throw wireError(`Invalid derivation output id ${name}`);
      const { path, signatures } = parseRealisation(wire, yield* readString("a realisation"));
      return [name.slice(at + 1), { path, signatures }];
    }),
  );
}

export function writeServeBuildResult(writer: WireWriter, result: BuildResult, minor: number): void {
  writeBuildOutcome(writer, result, minor >= TIMES_SINCE);
  if (minor < OUTPUTS_SINCE) return;
  const outputs = [...result.outputs].sort(([a], [b]) => (a < b ? -1 : 1));
  writer.number(outputs.length);
  for (const [name, output] of outputs) {
    if (minor >= PLAIN_OUTPUTS_SINCE) {
      writer.string(name).string(output.path).strings(output.signatures);
      continue;
    }
    // The derivation's hash is what older clients look past.
    const id: ByteString = `sha256:${"0".repeat(64)}!${name}`;
    writer.string(id).string(printRealisation(id, output));
  }
}
