import { formatHash, parseHash, type ByteString, type Hash } from "../../core/index.ts";
import { formatMethodAlgorithm, parseMethodAlgorithm } from "../format/contentAddress.ts";
import { MAX_SIGNATURES, checkSignatureForm } from "../format/narInfo.ts";
import { makeFixedOutputPath, outputPathName, parseStorePath } from "../format/storePath.ts";
import type {
  Derivation,
  DerivationOutput,
  DerivedPath,
  OutputName,
  StorePath,
  ValidPathInfo,
} from "../types.ts";
import type { ProtocolVersion } from "./version.ts";
import {
  MAX_TEXT_BYTES,
  readFlag,
  readLarge,
  readList,
  readNumber,
  readString,
  readStrings,
  wireError,
  type Decoder,
  type WireWriter,
} from "./wire.ts";

/** What both sides of a connection agree on: it decides how values are written. */
export interface Wire {
  readonly storeDir: string;
  readonly version: ProtocolVersion;
}

export type BuildMode = "normal" | "repair" | "check";
const BUILD_MODES: readonly BuildMode[] = ["normal", "repair", "check"];

export type GcAction = "returnLive" | "returnDead" | "deleteDead" | "deleteSpecific";
const GC_ACTIONS: readonly GcAction[] = ["returnLive", "returnDead", "deleteDead", "deleteSpecific"];

export function* readPath({ storeDir }: Wire): Decoder<StorePath> {
  return parseStorePath(storeDir, yield* readString("a store path"));
}

export function* readPaths(wire: Wire): Decoder<StorePath[]> {
  return yield* readList("store paths", () => readPath(wire));
}

export function* readOptionalPath({ storeDir }: Wire): Decoder<StorePath | undefined> {
  const text = yield* readString("a store path");
  return text === "" ? undefined : parseStorePath(storeDir, text);
}

export function* readBuildMode(): Decoder<BuildMode> {
  return named(BUILD_MODES, yield* readNumber("a build mode"), "Invalid build mode");
}

export function writeBuildMode(writer: WireWriter, mode: BuildMode): void {
  writer.number(BUILD_MODES.indexOf(mode));
}

export function* readGcAction(): Decoder<GcAction> {
  return named(GC_ACTIONS, yield* readNumber("a GC action"), "Invalid GC action");
}

export function writeGcAction(writer: WireWriter, action: GcAction): void {
  writer.number(GC_ACTIONS.indexOf(action));
}

function named<T>(names: readonly T[], at: number, problem: string): T {
  const name = names[at];
  if (name === undefined) throw wireError(problem);
  return name;
}

/** Everything of a path's registration but the path itself. */
export function* readPathInfo(wire: Wire, path: StorePath): Decoder<ValidPathInfo> {
  const deriver = yield* readOptionalPath(wire);
  const narHash = yield* readNarHash();
  const references = yield* readPaths(wire);
  const registrationTime = yield* readLarge();
  const narSizeBytes = yield* readNumber("a NAR's size");
  if (wire.version.minor < 16)
    return {
      path,
      deriver,
      narHash,
      references,
      registrationTime,
      narSizeBytes,
      isUltimate: false,
      signatures: [],
    };
  const isUltimate = yield* readFlag();
  const signatures = yield* readSignatures();
  const contentAddress = yield* readString("a content address");
  return {
    path,
    deriver,
    narHash,
    references,
    registrationTime,
    narSizeBytes,
    isUltimate,
    signatures,
    contentAddress: contentAddress === "" ? undefined : contentAddress,
  };
}

export function writePathInfo(writer: WireWriter, info: ValidPathInfo, { version }: Wire): void {
  writer
    .string(info.deriver ?? "")
    .string(formatHash(info.narHash, "base16"))
    .strings([...info.references].sort())
    .number(info.registrationTime)
    .number(info.narSizeBytes);
  if (version.minor < 16) return;
  writer
    .flag(info.isUltimate)
    .strings(info.signatures)
    .string(info.contentAddress ?? "");
}

export function* readSignatures(): Decoder<string[]> {
  return (yield* readList("signatures", () => readString("a signature"), MAX_SIGNATURES)).map(
    checkSignatureForm,
  );
}

export function* readNarHash(): Decoder<Hash> {
  return parseHash(yield* readString("a NAR's hash"), "sha256");
}

/** Derivations that are outputs of derivations that are outputs: real ones nest once or twice. */
const MAX_NESTED_OUTPUTS = 64;

/** `/nix/store/….drv!out,dev`, `…!*`, or a path alone, which before 1.30 means all outputs where it is a derivation. */
export function* readDerivedPath(wire: Wire): Decoder<DerivedPath> {
  return parseDerivedPath(wire, yield* readString("what is to be built"));
}

export function parseDerivedPath({ storeDir, version }: Wire, text: ByteString): DerivedPath {
  const at = text.indexOf("!");
  const path = parseStorePath(storeDir, at < 0 ? text : text.slice(0, at));
  if (at < 0)
    return version.minor < 30 && path.endsWith(".drv")
      ? { kind: "built", drvPath: path, outputs: "*" }
      : { kind: "opaque", path };
  const via = text.slice(at + 1).split("!");
  const outputs = via.pop() ?? "";
  if (via.length > MAX_NESTED_OUTPUTS)
    throw wireError(`'${text.slice(0, 200)}' names outputs of too many outputs`);
  return {
    kind: "built",
    drvPath: path,
    ...(via.length > 0 && { via }),
    outputs: outputs === "*" ? "*" : outputs.split(","),
  };
}

export function formatDerivedPath(target: DerivedPath, { version }: Wire): ByteString {
  if (target.kind === "opaque") {
    if (version.minor < 30 && target.path.endsWith(".drv"))
      throw wireError(`a daemon of protocol 1.${version.minor} cannot be asked for a derivation file`);
    return target.path;
  }
  const { drvPath, via = [], outputs } = target;
  const inner = [drvPath, ...via].join("!");
  if (outputs === "*") return version.minor < 30 ? inner : `${inner}!*`;
  return `${inner}!${outputs.join(",")}`;
}

/** A derivation without the derivations that it needs, all of its inputs being paths; the name comes from its path. */
export function* readBasicDerivation({ storeDir }: Wire, name: string): Decoder<Derivation> {
  const outputs = new Map<OutputName, DerivationOutput>(
    yield* readList("outputs", function* (): Decoder<[OutputName, DerivationOutput]> {
      const output = yield* readString("an output's name");
      const path = yield* readString("an output's path");
      const method = yield* readString("an output's method");
      const hash = yield* readString("an output's hash");
      return [output, outputOf(storeDir, name, output, { path, method, hash })];
    }),
  );
  const inputSrcs = yield* readList("inputs", function* () {
    return parseStorePath(storeDir, yield* readString("an input"));
  });
  const system = yield* readString("a system");
  const builder = yield* readString("a builder");
  const args = yield* readStrings("arguments");
  const env = new Map(
    yield* readList("variables", function* (): Decoder<[ByteString, ByteString]> {
      return [yield* readString("a variable"), yield* readString("a value", MAX_TEXT_BYTES)];
    }),
  );
  return { name, outputs, inputDrvs: new Map(), inputSrcs, system, builder, args, env };
}

interface OutputText {
  readonly path: ByteString;
  readonly method: ByteString;
  readonly hash: ByteString;
}

/** A fixed output's path follows from its hash: what the other side says of it must agree. */
function outputOf(
  storeDir: string,
  drvName: string,
  output: OutputName,
  { path, method, hash }: OutputText,
): DerivationOutput {
  if (method === "")
    return path === ""
      ? { kind: "deferred" }
      : { kind: "inputAddressed", path: parseStorePath(storeDir, path) };
  const { method: ingestion, algorithm } = parseMethodAlgorithm(method);
  if (hash === "impure") return { kind: "impure", algorithm, method: ingestion };
  if (hash === "") return { kind: "contentAddressed", algorithm, method: ingestion };
  const expected = parseHash(hash, algorithm);
  const name = outputPathName(drvName, output);
  const computed = makeFixedOutputPath(storeDir, name, { method: ingestion, hash: expected });
  if (path !== "" && path !== computed)
    throw wireError(`derivation '${drvName}' has incorrect output '${path}', should be '${computed}'`);
  return { kind: "fixed", path: computed, hash: expected, method: ingestion };
}

export function writeBasicDerivation(writer: WireWriter, derivation: Derivation): void {
  writer.number(derivation.outputs.size);
  for (const [name, output] of [...derivation.outputs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    writer.string(name).string("path" in output ? output.path : "");
    if (output.kind === "fixed")
      writer
        .string(formatMethodAlgorithm(output.method, output.hash.algorithm))
        .string(formatHash(output.hash, "base16"));
    else if (output.kind === "contentAddressed" || output.kind === "impure")
      writer
        .string(formatMethodAlgorithm(output.method, output.algorithm))
        .string(output.kind === "impure" ? "impure" : "");
    else writer.string("").string("");
  }
  writer
    .strings([...derivation.inputSrcs].sort())
    .string(derivation.system)
    .string(derivation.builder)
    .strings(derivation.args)
    .number(derivation.env.size);
  for (const [name, value] of [...derivation.env].sort(([a], [b]) => (a < b ? -1 : 1)))
    writer.string(name).string(value);
}
