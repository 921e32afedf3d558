import { formatHash, type ByteString } from "../../core/index.ts";
import { formatMethodAlgorithm } from "../format/contentAddress.ts";
import { storePathBaseName } from "../format/storePath.ts";
import type { HashAlgorithm } from "../../core/index.ts";
import type {
  Derivation,
  DerivedPath,
  IngestionMethod,
  OutputName,
  StorePath,
  ValidPathInfo,
} from "../types.ts";
import { readBuildResult, type BuildResult } from "./buildResult.ts";
import { writeClientSettings, type ClientSettings } from "./clientSettings.ts";
import { FEATURE, OPERATION, type OperationName } from "./version.ts";
import {
  formatDerivedPath,
  readOptionalPath,
  readPath,
  readPathInfo,
  readPaths,
  readSignatures,
  writeBasicDerivation,
  writeBuildMode,
  writeGcAction,
  writePathInfo,
  type BuildMode,
  type GcAction,
  type Wire,
} from "./values.ts";
import {
  WireWriter,
  readFlag,
  readLarge,
  readList,
  readNumber,
  readString,
  readStrings,
  wireError,
  type Decoder,
} from "./wire.ts";

/** An operation as a client asks for it: what it sends, and how the answer is read. */
export interface Call<T> {
  readonly request: Buffer;
  readonly answer: () => Decoder<T>;
}

function request(name: OperationName): WireWriter {
  return new WireWriter().number(OPERATION[name]);
}

function call<T>(writer: WireWriter, answer: () => Decoder<T>): Call<T> {
  return { request: writer.take(), answer };
}

/** Answers that only say that it is done. */
function* readDone(): Decoder<void> {
  yield* readNumber("an answer");
}

function* readNothing(): Decoder<void> {
  // Nothing is answered.
}

/** Refuses what the other side is too old for. */
function require(wire: Wire, minor: number, what: string): void {
  if (wire.version.minor < minor)
    throw wireError(`the daemon's protocol, 1.${wire.version.minor}, is too old to ${what}`);
}

// Queries

export function isValidPath(path: StorePath): Call<boolean> {
  return call(request("isValidPath").string(path), readFlag);
}

export function queryValidPaths(
  wire: Wire,
  paths: readonly StorePath[],
  isSubstituted = false,
): Call<StorePath[]> {
  require(wire, 12, "be asked about several paths");
  const writer = request("queryValidPaths").strings(paths);
  if (wire.version.minor >= 27) writer.flag(isSubstituted);
  return call(writer, () => readPaths(wire));
}

export function queryAllValidPaths(wire: Wire): Call<StorePath[]> {
  return call(request("queryAllValidPaths"), () => readPaths(wire));
}

export function queryPathInfo(wire: Wire, path: StorePath): Call<ValidPathInfo | undefined> {
  return call(request("queryPathInfo").string(path), function* () {
    if (wire.version.minor >= 17 && !(yield* readFlag())) return undefined;
    return yield* readPathInfo(wire, path);
  });
}

export function queryReferrers(wire: Wire, path: StorePath): Call<StorePath[]> {
  return call(request("queryReferrers").string(path), () => readPaths(wire));
}

export function queryValidDerivers(wire: Wire, path: StorePath): Call<StorePath[]> {
  return call(request("queryValidDerivers").string(path), () => readPaths(wire));
}

export function queryDerivationOutputMap(
  wire: Wire,
  drvPath: StorePath,
): Call<Map<OutputName, StorePath | undefined>> {
  return call(request("queryDerivationOutputMap").string(drvPath), function* () {
    const outputs = yield* readList("outputs", function* (): Decoder<[OutputName, StorePath | undefined]> {
      return [yield* readString("an output's name"), yield* readOptionalPath(wire)];
    });
    return new Map(outputs);
  });
}

export function queryPathFromHashPart(wire: Wire, hashPart: string): Call<StorePath | undefined> {
  return call(request("queryPathFromHashPart").string(hashPart), () => readOptionalPath(wire));
}

export interface KnownRealisation {
  readonly outputPath: StorePath;
  readonly signatures: readonly string[];
}

/** @returns `undefined` too where the daemon names realisations by a hash */
export function queryRealisation(
  wire: Wire,
  drvPath: StorePath,
  output: OutputName,
): Call<KnownRealisation | undefined> | undefined {
  if (!wire.version.features.has(FEATURE.realisationWithPath)) return undefined;
  return call(request("queryRealisation").string(drvPath).string(output), function* () {
    if (!(yield* readFlag())) return undefined;
    return { outputPath: yield* readPath(wire), signatures: yield* readSignatures() };
  });
}

export function registerRealisation(
  wire: Wire,
  id: { readonly drvPath: StorePath; readonly output: OutputName },
  { outputPath, signatures }: KnownRealisation,
): Call<void> {
  if (!wire.version.features.has(FEATURE.realisationWithPath))
    throw wireError(`the daemon is missing the '${FEATURE.realisationWithPath}' protocol feature`);
  const writer = request("registerDrvOutput").string(id.drvPath).string(id.output);
  return call(writer.string(outputPath).strings(signatures), readNothing);
}

export interface Missing {
  readonly builds: readonly StorePath[];
  readonly downloads: readonly StorePath[];
  readonly unknown: readonly StorePath[];
  readonly downloadBytes: number;
  readonly unpackedBytes: number;
}

export function queryMissing(wire: Wire, targets: readonly DerivedPath[]): Call<Missing> {
  require(wire, 19, "say what is missing");
  const writer = request("queryMissing").strings(targets.map((target) => formatDerivedPath(target, wire)));
  return call(writer, function* () {
    return {
      builds: yield* readPaths(wire),
      downloads: yield* readPaths(wire),
      unknown: yield* readPaths(wire),
      downloadBytes: yield* readLarge(),
      unpackedBytes: yield* readLarge(),
    };
  });
}

// Adding

export interface AddRequest {
  readonly name: string;
  readonly method: IngestionMethod;
  readonly algorithm: HashAlgorithm;
  readonly references: readonly StorePath[];
  readonly isRepair: boolean;
}

/** Frames follow: the NAR of a tree, the bytes of a file. */
export function addToStore(wire: Wire, add: AddRequest): Call<ValidPathInfo> {
  const { name, method, algorithm, references, isRepair } = add;
  const prefix = method === "text" ? "" : "fixed:";
  const writer = request("addToStore")
    .string(name)
    .string(`${prefix}${formatMethodAlgorithm(method, algorithm)}`)
    .strings([...references].sort())
    .flag(isRepair);
  return call(writer, function* () {
    const path = yield* readPath(wire);
    return yield* readPathInfo(wire, path);
  });
}
export const ANY_METHOD_SINCE = 25;

/** Frames follow, as for {@link addToStore}; what the content refers to the server finds. */
export function addToStoreScanning(
  wire: Wire,
  add: Omit<AddRequest, "references" | "isRepair">,
): Call<StorePath> {
  if (!wire.version.features.has(FEATURE.addToStoreScanning))
    throw wireError(
      "the daemon does not support AddToStoreScanning, perhaps this is not in a recursive-nix builder?",
    );
  const { name, method, algorithm } = add;
  const prefix = method === "text" ? "" : "fixed:";
  const writer = request("addToStoreScanning")
    .string(name)
    .string(`${prefix}${formatMethodAlgorithm(method, algorithm)}`);
  return call(writer, function* () {
    const path = yield* readPath(wire);
    yield* readPathInfo(wire, path);
    return path;
  });
}

/** Says what an output of the derivation that is being built is. */
export function submitOutput(wire: Wire, path: StorePath, output: OutputName): Call<void> {
  if (!wire.version.features.has(FEATURE.submitOutput))
    throw wireError(
      "the daemon does not support SubmitOutput, perhaps this is not in a derivation with the `builder-rpc-v0` feature?",
    );
  return call(request("submitOutput").number(OPAQUE).string(path).string(output), readDone);
}
/** A store path, not an output of something that is yet to be built. */
export const OPAQUE = 0;

/** As daemons before 1.25 have it: a NAR follows, whatever is hashed. */
export function addToStoreOldStyle(wire: Wire, { name, method, algorithm }: AddRequest): Call<StorePath> {
  const isUsual = method === "nar" && algorithm === "sha256";
  const writer = request("addToStore")
    .string(name)
    .flag(!isUsual)
    .flag(method === "nar")
    .string(algorithm);
  return call(writer, () => readPath(wire));
}

export function addTextToStore(
  wire: Wire,
  name: string,
  text: ByteString,
  references: readonly StorePath[],
): Call<StorePath> {
  const writer = request("addTextToStore")
    .string(name)
    .string(text)
    .strings([...references].sort());
  return call(writer, () => readPath(wire));
}

/** The NAR follows: in frames since 1.23, on demand since 1.21, as it is before. */
export function addToStoreNar(
  info: ValidPathInfo,
  { isRepair, isUnchecked }: { readonly isRepair: boolean; readonly isUnchecked: boolean },
): Call<void> {
  const writer = request("addToStoreNar")
    .string(info.path)
    .string(info.deriver ?? "")
    .string(formatHash(info.narHash, "base16"))
    .strings([...info.references].sort())
    .number(info.registrationTime)
    .number(info.narSizeBytes)
    .flag(info.isUltimate)
    .strings(info.signatures)
    .string(info.contentAddress ?? "")
    .flag(isRepair)
    .flag(isUnchecked);
  return call(writer, readNothing);
}
export const FRAMED_NAR_SINCE = 23;
export const TUNNELLED_NAR_SINCE = 21;

/** Frames follow: the number of paths, then {@link describeInBatch} and the NAR of each. */
export function addMultipleToStore(): Call<void> {
  return call(request("addMultipleToStore").flag(false).flag(false), readNothing);
}
export const BATCHES_SINCE = 32;

/** A path among several: as 1.16 has it, whatever the version. */
export function describeInBatch(writer: WireWriter, storeDir: string, info: ValidPathInfo): void {
  writer.string(info.path);
  writePathInfo(writer, info, { storeDir, version: { minor: 16, features: new Set() } });
}

export function addSignatures(path: StorePath, signatures: readonly string[]): Call<void> {
  return call(request("addSignatures").string(path).strings(signatures), readDone);
}

/** Frames follow. */
export function addBuildLog(drvPath: StorePath): Call<void> {
  return call(request("addBuildLog").string(storePathBaseName(drvPath)), readDone);
}

// Building

export function buildPaths(wire: Wire, targets: readonly DerivedPath[], mode: BuildMode): Call<void> {
  const writer = request("buildPaths").strings(targets.map((target) => formatDerivedPath(target, wire)));
  if (wire.version.minor >= 15) writeBuildMode(writer, mode);
  return call(writer, readDone);
}

export function buildPathsWithResults(
  wire: Wire,
  targets: readonly DerivedPath[],
  mode: BuildMode,
): Call<BuildResult[]> {
  const writer = request("buildPathsWithResults");
  writer.strings(targets.map((target) => formatDerivedPath(target, wire)));
  writeBuildMode(writer, mode);
  return call(writer, () =>
    readList("results", function* () {
      yield* readString("what was built");
      return yield* readBuildResult(wire);
    }),
  );
}
export const RESULTS_SINCE = 34;

export function buildDerivation(
  wire: Wire,
  drvPath: StorePath,
  derivation: Derivation,
  mode: BuildMode,
): Call<BuildResult> {
  const writer = request("buildDerivation").string(drvPath);
  writeBasicDerivation(writer, derivation);
  writeBuildMode(writer, mode);
  return call(writer, () => readBuildResult(wire));
}

export function ensurePath(path: StorePath): Call<void> {
  return call(request("ensurePath").string(path), readDone);
}

// Upkeep

export function addTempRoot(path: StorePath): Call<void> {
  return call(request("addTempRoot").string(path), readDone);
}

export function addIndirectRoot(link: ByteString): Call<void> {
  return call(request("addIndirectRoot").string(link), readDone);
}

/** Has the other side make a link that is a root; only trusted clients may. */
export function addPermRoot(path: StorePath, link: ByteString): Call<ByteString> {
  return call(request("addPermRoot").string(path).string(link), () => readString("a link's path"));
}

export function findRoots(wire: Wire): Call<[link: ByteString, path: StorePath][]> {
  return call(request("findRoots"), () =>
    readList("roots", function* (): Decoder<[ByteString, StorePath]> {
      return [yield* readString("a root"), yield* readPath(wire)];
    }),
  );
}

export interface Collection {
  readonly action: GcAction;
  readonly paths: readonly StorePath[];
  readonly ignoreLiveness: boolean;
  /** Unset: without limit. */
  readonly maxFreedBytes: number | undefined;
}

export function collectGarbage(
  collection: Collection,
): Call<{ readonly paths: readonly string[]; readonly freedBytes: number }> {
  const writer = request("collectGarbage");
  writeGcAction(writer, collection.action);
  writer
    .strings(collection.paths)
    .flag(collection.ignoreLiveness)
    .number(collection.maxFreedBytes ?? (1n << 64n) - 1n)
    .number(0)
    .number(0)
    .number(0);
  return call(writer, function* () {
    const paths = yield* readStrings("paths");
    const freedBytes = yield* readLarge();
    yield* readLarge();
    return { paths, freedBytes };
  });
}

export function optimiseStore(): Call<void> {
  return call(request("optimiseStore"), readDone);
}

/** Answers whether there are problems. */
export function verifyStore(checkContents: boolean, isRepairing: boolean): Call<boolean> {
  return call(request("verifyStore").flag(checkContents).flag(isRepairing), readFlag);
}

/** The NAR follows the answer, as it is. */
export function narFromPath(path: StorePath): Call<void> {
  return call(request("narFromPath").string(path), readNothing);
}

export function setOptions(wire: Wire, settings: ClientSettings): Call<void> {
  const writer = request("setOptions");
  writeClientSettings(writer, settings, wire.version);
  return call(writer, readNothing);
}
