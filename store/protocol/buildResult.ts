import { DevshellError, type ByteString } from "../../core/index.ts";
import { parseStorePathBaseName, storePathBaseName } from "../format/storePath.ts";
import type { OutputName, StorePath } from "../types.ts";
import { FEATURE } from "./version.ts";
import { readPath, readSignatures, type Wire } from "./values.ts";
import {
  readFlag,
  readLarge,
  readList,
  readNumber,
  readString,
  wireError,
  type Decoder,
  type WireWriter,
} from "./wire.ts";

/** In the order of their numbers. */
const BUILD_STATUSES = [
  "built",
  "substituted",
  "alreadyValid",
  "permanentFailure",
  "inputRejected",
  "outputRejected",
  "transientFailure",
  "cachedFailure",
  "timedOut",
  "miscFailure",
  "dependencyFailed",
  "logLimitExceeded",
  "notDeterministic",
  "resolvesToAlreadyValid",
  "noSubstituters",
] as const;
export type BuildStatus = (typeof BUILD_STATUSES)[number];

const SUCCESSES: ReadonlySet<BuildStatus> = new Set([
  "built",
  "substituted",
  "alreadyValid",
  "resolvesToAlreadyValid",
]);

export interface BuiltOutput {
  readonly path: StorePath;
  readonly signatures: readonly string[];
}

/** How a build went. */
export interface BuildResult {
  readonly status: BuildStatus;
  readonly message: ByteString;
  readonly timesBuilt: number;
  readonly isNonDeterministic: boolean;
  /** Seconds since 1970; 0 where unknown. */
  readonly startTime: number;
  readonly stopTime: number;
  readonly outputs: ReadonlyMap<OutputName, BuiltOutput>;
}

/** The same, without what it made. */
export type BuildOutcome = Omit<BuildResult, "outputs">;

export function isSuccess(status: BuildStatus): boolean {
  return SUCCESSES.has(status);
}

/** How a failure of ours is told. */
export function statusOf(error: unknown): BuildStatus {
  if (!(error instanceof DevshellError)) return "miscFailure";
  const status = STATUS_OF_CODE[error.code];
  if (status !== undefined) return status;
  switch (error.exitStatus) {
    case 101:
      return "timedOut";
    case 102:
      return "outputRejected";
    case 104:
      return "notDeterministic";
    case 100:
      return "permanentFailure";
    default:
      return "miscFailure";
  }
}

const STATUS_OF_CODE: Readonly<Record<string, BuildStatus>> = {
  BUILD_DEPENDENCY_FAILED: "dependencyFailed",
  BUILD_LOG_TOO_LONG: "logLimitExceeded",
  BUILD_REJECTED: "inputRejected",
  BUILD_UNSUPPORTED: "inputRejected",
  REALISE_UNKNOWN_OUTPUT: "inputRejected",
  REALISE_UNKNOWN_PATH: "noSubstituters",
  OUTPUT_REJECTED: "outputRejected",
};

const TIMES_SINCE = 29;
const CPU_SINCE = 37;
const OUTPUTS_SINCE = 28;

/** What both protocols tell of a build before its outputs. @param hasTimes whether this version tells when it was */
export function* readBuildOutcome(hasTimes: boolean): Decoder<BuildOutcome> {
  const number = yield* readNumber("a build's status");
  const status = BUILD_STATUSES[number];
  if (status === undefined) throw wireError(`Invalid BuildResult status ${number} from remote`);
  const message = yield* readString("a build's message");
  let [timesBuilt, isNonDeterministic, startTime, stopTime] = [0, false, 0, 0];
  if (hasTimes) {
    timesBuilt = yield* readNumber("a number of builds");
    isNonDeterministic = yield* readFlag();
    startTime = yield* readLarge();
    stopTime = yield* readLarge();
  }
  return { status, message, timesBuilt, isNonDeterministic, startTime, stopTime };
}

export function writeBuildOutcome(writer: WireWriter, outcome: BuildOutcome, hasTimes: boolean): void {
  writer.number(BUILD_STATUSES.indexOf(outcome.status)).string(outcome.message);
  if (hasTimes)
    writer
      .number(outcome.timesBuilt)
      .flag(outcome.isNonDeterministic)
      .number(outcome.startTime)
      .number(outcome.stopTime);
}

export function* readBuildResult(wire: Wire): Decoder<BuildResult> {
  const { minor, features } = wire.version;
  const outcome = yield* readBuildOutcome(minor >= TIMES_SINCE);
  if (minor >= CPU_SINCE) {
    yield* readOptionalDuration();
    yield* readOptionalDuration();
  }
  let outputs: [OutputName, BuiltOutput][] = [];
  if (features.has(FEATURE.realisationWithPath))
    outputs = yield* readList("outputs", function* (): Decoder<[OutputName, BuiltOutput]> {
      const output = yield* readString("an output's name");
      const path = yield* readPath(wire);
      return [output, { path, signatures: yield* readSignatures() }];
    });
  else if (minor >= OUTPUTS_SINCE)
    outputs = yield* readList("outputs", function* (): Decoder<[OutputName, BuiltOutput]> {
      const id = yield* readString("a realisation's id");
      const { path, signatures } = parseRealisation(wire, yield* readString("a realisation"));
      return [id.slice(id.indexOf("!") + 1), { path, signatures }];
    });
  return { ...outcome, outputs: new Map(outputs) };
}

/**
 * @param idOf the name that realisations have for clients without the feature: `sha256:<hash modulo>!<output>`
 */
export function writeBuildResult(
  writer: WireWriter,
  result: BuildResult,
  { version: { minor, features } }: Wire,
  idOf: (output: OutputName) => string = (output) => `sha256:${"0".repeat(64)}!${output}`,
): void {
  writeBuildOutcome(writer, result, minor >= TIMES_SINCE);
  if (minor >= CPU_SINCE) writer.number(0).number(0);
  const outputs = [...result.outputs].sort(([a], [b]) => (a < b ? -1 : 1));
  if (features.has(FEATURE.realisationWithPath)) {
    writer.number(outputs.length);
    for (const [name, { path, signatures }] of outputs) writer.string(name).string(path).strings(signatures);
  } else if (minor >= OUTPUTS_SINCE) {
    writer.number(outputs.length);
    for (const [name, output] of outputs) {
      const id = idOf(name);
      writer.string(id).string(printRealisation(id, output));
    }
  }
}

function* readOptionalDuration(): Decoder<void> {
  const tag = yield* readNumber("an optional's tag");
  if (tag > 1) throw wireError("Invalid optional tag from remote");
  if (tag === 1) yield* readLarge();
}

/** A realisation as the protocol had it before the feature: JSON, the path without its directory. */
export function printRealisation(id: string, { path, signatures }: BuiltOutput): string {
  return JSON.stringify({
    dependentRealisations: {},
    id,
    outPath: storePathBaseName(path),
    signatures,
  });
}

export function parseRealisation(
  { storeDir }: Wire,
  text: ByteString,
): BuiltOutput & { readonly id: string | undefined } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wireError(`realisation '${text}' is no JSON`, error);
  }
  const { id, outPath, signatures } = (value ?? {}) as Record<string, unknown>;
  if (typeof outPath !== "string") throw wireError(`realisation '${text}' has no 'outPath'`);
  return {
    id: typeof id === "string" ? id : undefined,
    path: parseStorePathBaseName(storeDir, outPath),
    signatures: Array.isArray(signatures)
      ? signatures.filter((signature) => typeof signature === "string")
      : [],
  };
}
