import { DevshellError } from "../../core/index.ts";
import {
  CLIENT_MAGIC,
  FEATURES_SINCE,
  LATEST_OF_CLIENTS,
  OLDEST_MINOR,
  SERVER_MAGIC,
  commonFeatures,
  minorOf,
  versionNumber,
  type ProtocolVersion,
} from "./version.ts";
import { WireWriter, readNumber, readString, readStrings, wireError, type Decoder } from "./wire.ts";

/** What a client learns as it is let in. */
export interface Greeting {
  readonly version: ProtocolVersion;
  /** The Nix of the daemon; since 1.33. */
  readonly daemonVersion: string | undefined;
  /** Since 1.35. */
  readonly isTrusted: boolean | undefined;
}

/**
 * A client's side of the beginning. What the daemon says at its start follows, as after every request.
 * @param latest older, to speak an old protocol
 */
export function* greetDaemon(
  send: (bytes: Buffer) => void,
  latest: ProtocolVersion = LATEST_OF_CLIENTS,
): Decoder<Greeting> {
  const writer = new WireWriter();
  send(writer.number(CLIENT_MAGIC).number(versionNumber(latest.minor)).take());
  const magic = yield* readNumber("the greeting");
  if (magic !== SERVER_MAGIC) throw wireError("it does not speak Nix's worker protocol");
  const minor = minorOf(yield* readNumber("the version"));
  if (minor === undefined || minor < OLDEST_MINOR)
    throw new DevshellError("PROTOCOL_VERSION", "Nix daemon protocol version not supported");
  const common = Math.min(minor, latest.minor);
  let features: ReadonlySet<string> = new Set();
  if (common >= FEATURES_SINCE) {
    send(writer.strings(latest.features).take());
    features = commonFeatures(yield* readStrings("features"), latest.features);
  }
  // No processor to be bound to, no space to be kept free: nobody asks any more.
  if (common >= 14) writer.number(0);
  if (common >= 11) writer.number(0);
  send(writer.take());
  const daemonVersion = common >= 33 ? yield* readString("the daemon's version") : undefined;
  const trust = common >= 35 ? yield* readNumber("the daemon's trust", 2) : 0;
  return {
    version: { minor: common, features },
    daemonVersion,
    isTrusted: trust === 0 ? undefined : trust === 1,
  };
}
