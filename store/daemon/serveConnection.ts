import type { Readable, Writable } from "node:stream";
import { DevshellError, NIX_VERSION } from "../../core/index.ts";
import { ByteSource } from "../protocol/byteSource.ts";
import {
  CLIENT_MAGIC,
  FEATURE,
  FEATURES_SINCE,
  LATEST,
  OLDEST_MINOR,
  SERVER_MAGIC,
  commonFeatures,
  minorOf,
  operationName,
  versionNumber,
  type OperationName,
  type ProtocolVersion,
} from "../protocol/version.ts";
import { WireWriter, readNumber, readStrings } from "../protocol/wire.ts";
import { adding } from "./operations/adding.ts";
import { building } from "./operations/building.ts";
import { queries } from "./operations/queries.ts";
import { restricted, submitting } from "./operations/restricted.ts";
import { sending } from "./operations/sending.ts";
import { upkeep } from "./operations/upkeep.ts";
import { ClientLog } from "./clientLog.ts";
import { Outbox } from "./outbox.ts";
import { Session, type Operation, type SessionOptions } from "./session.ts";

const OPERATIONS: Readonly<Partial<Record<OperationName, Operation>>> = {
  ...queries,
  ...adding,
  ...building,
  ...sending,
  ...upkeep,
};

/** Since then a client may bind the server to a processor. */
const AFFINITY_SINCE = 14;
const RESERVE_SINCE = 11;
/** What is said to a client that does not read: a user may have many. */
const MAX_UNREAD_BYTES = 16 << 20;
const DAEMON_VERSION_SINCE = 33;
const TRUST_SINCE = 35;

/**
 * Serves one client of the worker protocol until it hangs up.
 * @throws {DevshellError} `PROTOCOL_…` where it does not speak the protocol; what fails at its request is told to it
 */
export async function serveConnection(
  input: Readable,
  output: Writable,
  options: SessionOptions,
): Promise<void> {
  const source = new ByteSource(input);
  // Writing to a client that has gone fails; that it has gone is seen where it is read from.
  output.on("error", () => undefined);
  const version = await shakeHands(source, output, featuresFor(options));
  const outbox = new Outbox(output);
  const log = new ClientLog(version, outbox, MAX_UNREAD_BYTES);
  const wire = { storeDir: options.settings.storeDir, version };
  using session: Session = new Session(
    { source, outbox, log },
    wire,
    options,
    async (connection, builder) => {
      await serveConnection(connection, connection, {
        settings: session.settings,
        store: session.wholeStore,
        builtinBuilders: options.builtinBuilders,
        isTrusted: false,
        ...builder,
      });
    },
  );
  const operations = operationsFor(options);
  await introduce(session);
  for (;;) {
    if (!(await source.hasMore())) return;
    const number = await session.read(readNumber("an operation"));
    const name = operationName(number);
    const operation = name === undefined ? undefined : operations[name];
    try {
      if (operation === undefined)
        throw new DevshellError(
          "PROTOCOL_OPERATION",
          name === undefined || operations === OPERATIONS
            ? `invalid operation ${number}`
            : `builders may not ask for '${name}'`,
        );
      await operation(session);
    } catch (error) {
      // Without an operation at work the request was not read to its end: nothing that follows makes sense.
      const isOver = !log.isOpen || session.isOutOfStep || source.isEnded;
      session.reply.take();
      log.fail(error);
      if (isOver) return;
    }
    await session.flush();
  }
}

function featuresFor({ builtinBuilders, restriction }: SessionOptions): ReadonlySet<string> {
  const features = new Set<string>(LATEST.features);
  if (builtinBuilders === undefined) features.delete(FEATURE.ownBuilders);
  if (restriction !== undefined) features.add(FEATURE.addToStoreScanning);
  if (restriction?.isSubmitting === true) features.add(FEATURE.submitOutput).add(FEATURE.disableSetOptions);
  return features;
}

function operationsFor({ restriction }: SessionOptions): typeof OPERATIONS {
  if (restriction === undefined) return OPERATIONS;
  return restriction.isSubmitting ? submitting : restricted;
}

/** Agrees on the version and the features that both sides know. */
async function shakeHands(
  source: ByteSource,
  output: Writable,
  offered: ReadonlySet<string>,
): Promise<ProtocolVersion> {
  const magic = await source.decode(readNumber("the greeting"));
  if (magic !== CLIENT_MAGIC)
    throw new DevshellError(
      "PROTOCOL_INVALID",
      "Cannot serve a client: it does not speak the worker protocol",
    );
  const writer = new WireWriter();
  output.write(writer.number(SERVER_MAGIC).number(versionNumber(LATEST.minor)).take());
  const minor = minorOf(await source.decode(readNumber("the version")));
  if (minor === undefined || minor < OLDEST_MINOR)
    throw new DevshellError("PROTOCOL_VERSION", "the Nix client version is too old");
  const common = Math.min(minor, LATEST.minor);
  if (common < FEATURES_SINCE) return { minor: common, features: new Set() };
  const features = await source.decode(readStrings("features"), 1 << 16);
  output.write(writer.strings(offered).take());
  return { minor: common, features: commonFeatures(features, offered) };
}

async function introduce(session: Session): Promise<void> {
  const { minor } = session.wire.version;
  if (minor >= AFFINITY_SINCE && (await session.read(readNumber("an affinity"))) !== 0)
    await session.read(readNumber("a processor"));
  if (minor >= RESERVE_SINCE) await session.read(readNumber("a reserve"));
  if (minor >= DAEMON_VERSION_SINCE) session.reply.string(NIX_VERSION);
  if (minor >= TRUST_SINCE) session.reply.number(session.isTrusted ? 1 : 2);
  await session.flush();
  session.log.start();
  session.log.finish();
}
