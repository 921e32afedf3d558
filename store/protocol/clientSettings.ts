import { bytesOfText, textOfBytes } from "../../core/index.ts";
import type { ProtocolVersion } from "./version.ts";
import { readFlag, readLarge, readList, readString, type Decoder, type WireWriter } from "./wire.ts";

/** What a client wants of its builds. */
export interface ClientSettings {
  readonly keepFailed: boolean;
  readonly keepGoing: boolean;
  readonly fallback: boolean;
  readonly verbosity: number;
  readonly maxJobs: number;
  readonly maxSilentSeconds: number;
  readonly cores: number;
  readonly substitute: boolean;
  /** Options of `nix.conf`. */
  readonly named: ReadonlyMap<string, string>;
}

/** Since then a client may name any setting. */
const NAMED_SINCE = 12;

export function* readClientSettings({ minor }: ProtocolVersion): Decoder<ClientSettings> {
  const keepFailed = yield* readFlag();
  const keepGoing = yield* readFlag();
  const fallback = yield* readFlag();
  const verbosity = yield* readLarge();
  const maxJobs = yield* readLarge();
  const maxSilentSeconds = yield* readLarge();
  // Whether a hook is used, what is verbose, the log's type, a trace of builds: nobody asks any more.
  for (let obsolete = 0; obsolete < 4; obsolete++) yield* readLarge();
  const cores = yield* readLarge();
  const substitute = yield* readFlag();
  const named = minor < NAMED_SINCE ? [] : yield* readList("settings", readNamed);
  return {
    keepFailed,
    keepGoing,
    fallback,
    verbosity,
    maxJobs,
    maxSilentSeconds,
    cores,
    substitute,
    named: new Map(named),
  };
}

export function writeClientSettings(
  writer: WireWriter,
  settings: ClientSettings,
  { minor }: ProtocolVersion,
): void {
  writer
    .flag(settings.keepFailed)
    .flag(settings.keepGoing)
    .flag(settings.fallback)
    .number(settings.verbosity)
    .number(settings.maxJobs)
    .number(settings.maxSilentSeconds)
    .flag(true)
    .number(0)
    .number(0)
    .number(0)
    .number(settings.cores)
    .flag(settings.substitute);
  if (minor < NAMED_SINCE) return;
  writer.number(settings.named.size);
  for (const [name, value] of settings.named) writer.string(bytesOfText(name)).string(bytesOfText(value));
}

function* readNamed(): Decoder<readonly [name: string, value: string]> {
  const name = yield* readString("a setting");
  return [textOfBytes(name), textOfBytes(yield* readString("a setting's value"))];
}
