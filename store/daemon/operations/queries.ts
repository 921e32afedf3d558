import { DevshellError, formatHash } from "../../../core/index.ts";
import { HASH_PART_LENGTH } from "../../format/storePath.ts";
import { FEATURE, type OperationName } from "../../protocol/version.ts";
import { readPath, readPaths, writePathInfo } from "../../protocol/values.ts";
import { readFlag, readList, readString, readStrings } from "../../protocol/wire.ts";
import type { StorePath, ValidPathInfo } from "../../types.ts";
import { realise } from "../../realise/realise.ts";
import type { RemotePathInfo } from "../../remote/types.ts";
import type { Operation, Session } from "../session.ts";

/** Since then a client may want what is missing substituted first. */
const SUBSTITUTES_SINCE = 27;
/** Since then an unknown path is an answer, not a failure. */
const ABSENCE_SINCE = 17;
const CONTENT_ADDRESSES_SINCE = 22;

/** What the store knows and what its substituters offer. */
export const queries: Readonly<Partial<Record<OperationName, Operation>>> = {
  isValidPath: (session) => flagOf(session, (path) => session.store.isValidPath(path)),
  hasSubstitutes: (session) =>
    flagOf(session, async (path) => (await session.substituters.find(path)) !== undefined),

  async queryValidPaths(session) {
    const paths = await session.read(readPaths(session.wire));
    const isSubstituted = session.wire.version.minor >= SUBSTITUTES_SINCE && (await session.read(readFlag()));
    const valid = await session.work(async () => {
      if (isSubstituted) await substitute(session, paths);
      return paths.filter((path) => session.store.isValidPath(path));
    });
    session.reply.strings(valid.sort());
  },

  async queryAllValidPaths(session) {
    const paths = await session.work(() => session.store.allValidPaths());
    session.reply.strings(paths.sort());
  },

  async queryPathInfo(session) {
    const path = await session.read(readPath(session.wire));
    const hasAbsence = session.wire.version.minor >= ABSENCE_SINCE;
    const info = await session.work(() => {
      const found = session.store.queryPathInfo(path);
      if (found === undefined && !hasAbsence) throw notValid(path);
      return found;
    });
    if (hasAbsence) session.reply.flag(info !== undefined);
    if (info !== undefined) writePathInfo(session.reply, info, session.wire);
  },

  async queryPathHash(session) {
    const { narHash } = await infoOf(session);
    session.reply.string(formatHash(narHash, "base16"));
  },
  queryReferences: (session) => pathsOf(session, (path) => requireInfo(session, path).references),
  async queryDeriver(session) {
    const { deriver } = await infoOf(session);
    session.reply.string(deriver ?? "");
  },
  queryReferrers: (session) => pathsOf(session, (path) => session.store.queryReferrers(path)),
  queryValidDerivers: (session) => pathsOf(session, (path) => session.store.queryValidDerivers(path)),
  queryDerivationOutputs: (session) =>
    pathsOf(session, (path) =>
      [...session.store.queryDerivationOutputs(path).values()].filter((output) => output !== undefined),
    ),

  async queryDerivationOutputNames(session) {
    const path = await session.read(readPath(session.wire));
    const names = await session.work(() => [...session.store.readDerivation(path).outputs.keys()]);
    session.reply.strings(names.sort());
  },

  async queryDerivationOutputMap(session) {
    const path = await session.read(readPath(session.wire));
    const outputs = await session.work(() => session.store.queryDerivationOutputs(path));
    session.reply.number(outputs.size);
    for (const [name, output] of [...outputs].sort(([a], [b]) => (a < b ? -1 : 1)))
      session.reply.string(name).string(output ?? "");
  },

  async queryPathFromHashPart(session) {
    const hashPart = await session.read(readString("a hash part"));
    const path = await session.work(() =>
      hashPart.length === HASH_PART_LENGTH ? session.store.queryPathFromHashPart(hashPart) : undefined,
    );
    session.reply.string(path ?? "");
  },

  async queryRealisation(session) {
    if (!session.wire.version.features.has(FEATURE.realisationWithPath)) {
      // Named by a hash of the derivation that is recorded no more: none is known.
      await session.read(readString("a realisation's id"));
      await session.work(() => undefined);
      session.reply.number(0);
      return;
    }
    const drvPath = await session.read(readPath(session.wire));
    const output = await session.read(readString("an output's name"));
    const known = await session.work(() => session.store.queryRealisation(drvPath, output));
    session.reply.flag(known !== undefined);
    if (known !== undefined) session.reply.string(known.outputPath).strings(known.signatures);
  },

  async querySubstitutablePaths(session) {
    const paths = await session.read(readPaths(session.wire));
    const offers = await session.work(() => Promise.all(paths.map((path) => offerOf(session, path))));
    session.reply.strings(paths.filter((_, index) => offers[index] !== undefined).sort());
  },

  async querySubstitutablePathInfo(session) {
    const path = await session.read(readPath(session.wire));
    const offer = await session.work(() => offerOf(session, path));
    session.reply.flag(offer !== undefined);
    if (offer !== undefined) writeOffer(session, offer);
  },

  async querySubstitutablePathInfos(session) {
    const paths =
      session.wire.version.minor < CONTENT_ADDRESSES_SINCE
        ? await session.read(readPaths(session.wire))
        : await session.read(
            readList("store paths", function* () {
              const path = yield* readPath(session.wire);
              yield* readString("a content address");
              return path;
            }),
          );
    const offers = await session.work(async () => {
      const found = await Promise.all(paths.map((path) => offerOf(session, path)));
      return found.filter((offer) => offer !== undefined);
    });
    session.reply.number(offers.length);
    for (const offer of offers) {
      session.reply.string(offer.path);
      writeOffer(session, offer);
    }
  },

  // Failures have not been remembered for a long time.
  async queryFailedPaths(session) {
    await session.work(() => undefined);
    session.reply.strings([]);
  },
  async clearFailedPaths(session) {
    await session.read(readStrings("store paths"));
    await session.work(() => undefined);
    session.reply.number(1);
  },
};

async function offerOf(session: Session, path: StorePath): Promise<RemotePathInfo | undefined> {
  return (await session.substituters.find(path))?.info;
}

function writeOffer({ reply }: Session, offer: RemotePathInfo): void {
  reply
    .string(offer.deriver ?? "")
    .strings([...offer.references].sort())
    .number(offer.narFile?.sizeBytes ?? 0)
    .number(offer.narSizeBytes);
}

/** What cannot be had is left out. */
async function substitute(session: Session, paths: readonly StorePath[]): Promise<void> {
  if (session.restriction !== undefined) return;
  const missing = paths.filter((path) => !session.store.isValidPath(path));
  const offers = await Promise.all(missing.map((path) => session.substituters.find(path)));
  const offered = missing.filter((_, index) => offers[index] !== undefined);
  if (offered.length === 0) return;
  const targets = offered.map((path) => ({ kind: "opaque", path }) as const);
  await realise(session.realiseStore(), targets, { onEvent: session.log.events(), signal: session.signal });
}

async function flagOf(
  session: Session,
  test: (path: StorePath) => boolean | Promise<boolean>,
): Promise<void> {
  const path = await session.read(readPath(session.wire));
  session.reply.flag(await session.work(() => test(path)));
}

async function pathsOf(session: Session, find: (path: StorePath) => readonly StorePath[]): Promise<void> {
  const path = await session.read(readPath(session.wire));
  const paths = await session.work(() => find(path));
  session.reply.strings([...paths].sort());
}

async function infoOf(session: Session): Promise<ValidPathInfo> {
  const path = await session.read(readPath(session.wire));
  return await session.work(() => requireInfo(session, path));
}

function requireInfo(session: Session, path: StorePath): ValidPathInfo {
  const info = session.store.queryPathInfo(path);
  if (info === undefined) throw notValid(path);
  return info;
}

function notValid(path: StorePath): DevshellError {
  return new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
}
