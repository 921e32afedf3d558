import { mkdirSync, writeFileSync } from "node:fs";
import { DevshellError, isHashAlgorithm, fsPath, hashStream } from "../../../core/index.ts";
import { parseMethodAlgorithm } from "../../format/contentAddress.ts";
import { parseStorePathBaseName } from "../../format/storePath.ts";
import { addDump, addTextDump, type DumpRequest } from "../../local/addDump.ts";
import { FramedSource } from "../../protocol/byteSource.ts";
import { readNar } from "../../protocol/readNar.ts";
import { FEATURE, type OperationName, type ProtocolVersion } from "../../protocol/version.ts";
import {
  readNarHash,
  readOptionalPath,
  readPath,
  readPathInfo,
  readPaths,
  readSignatures,
  writePathInfo,
  type Wire,
} from "../../protocol/values.ts";
import {
  MAX_TEXT_BYTES,
  readBytes,
  readFlag,
  readLarge,
  readNumber,
  readString,
  type Decoder,
} from "../../protocol/wire.ts";
import type { StorePath, ValidPathInfo } from "../../types.ts";
import { buildLogPath } from "../../realise/buildLog.ts";
import type { Operation, Session } from "../session.ts";

/** Since then content of unknown size comes in frames; between the two the server asks for it piece by piece. */
const FRAMED_SINCE = 23;
const TUNNELLED_SINCE = 21;
/** Since then `addToStore` takes any way of hashing, references, and a text. */
const ANY_METHOD_SINCE = 25;
const PIECE_BYTES = 32 << 10;
/** Paths sent together are described as 1.16 does, whatever the version. */
const BATCH_VERSION: ProtocolVersion = { minor: 16, features: new Set() };
const MAX_LOG_BYTES = 1 << 30;

const REPAIR_REFUSED = "repairing is not allowed because you are not in 'trusted-users'";

/** What puts something into the store. */
export const adding: Readonly<Partial<Record<OperationName, Operation>>> = {
  async addToStore(session) {
    if (session.wire.version.minor < ANY_METHOD_SINCE) {
      await addOldStyle(session);
      return;
    }
    const name = await session.read(readString("a name"));
    const method = await session.read(readString("a method"));
    const references = await session.read(readPaths(session.wire));
    const isRepair = await session.read(readFlag());
    const info = await session.work(() =>
      framed(session, async (frames) => {
        if (isRepair) session.requireTrust(REPAIR_REFUSED);
        const { method: ingestion, algorithm } = parseMethodAlgorithm(method.replace(/^fixed:/, ""));
        const form = ingestion === "nar" || ingestion === "git" ? "nar" : "flat";
        const request = { name, method: ingestion, algorithm, references, form, isRepair } as const;
        session.checkSeen(references);
        const added = await addDump(session.wholeStore, { ...request, signal: session.signal }, frames);
        await session.reveal([added.path]);
        return added;
      }),
    );
    session.reply.string(info.path);
    writePathInfo(session.reply, info, session.wire);
  },

  async addTextToStore(session) {
    const name = await session.read(readString("a name"));
    const text = await session.read(readBytes("a text", MAX_TEXT_BYTES));
    const references = await session.read(readPaths(session.wire));
    const path = await session.work(async () => {
      session.checkSeen(references);
      const added = addTextDump(session.wholeStore, name, text.toString("latin1"), references);
      await session.reveal([added]);
      return added;
    });
    session.reply.string(path);
  },

  async addToStoreNar(session) {
    const { info, isRepair, isUnchecked } = await session.read(readNarRequest(session.wire));
    const { minor } = session.wire.version;
    const add = async (nar: AsyncIterable<Uint8Array>): Promise<void> => {
      await addNar(session, info, nar, { isRepair, isUnchecked });
    };
    await session.work(async () => {
      if (minor >= FRAMED_SINCE) await framed(session, add);
      else await unframed(minor >= TUNNELLED_SINCE ? tunnelled(session) : plainNar(session), add);
    });
  },

  async addMultipleToStore(session) {
    const isRepair = await session.read(readFlag());
    const isUnchecked = await session.read(readFlag());
    const wire = { ...session.wire, version: BATCH_VERSION };
    await session.work(() =>
      framed(session, async (frames) => {
        const count = await frames.decode(readNumber("the number of paths"));
        for (let i = 0; i < count; i++) {
          const path = await frames.decode(readPath(wire));
          const info = await frames.decode(readPathInfo(wire, path));
          const nar = frames.take(info.narSizeBytes);
          await addNar(session, { ...info, isUltimate: false }, nar, { isRepair, isUnchecked });
          await drain(nar);
        }
      }),
    );
  },

  async addSignatures(session) {
    const path = await session.read(readPath(session.wire));
    const signatures = await session.read(readSignatures());
    await session.work(() => session.store.addSignatures(path, signatures));
    session.reply.number(1);
  },

  async registerDrvOutput(session) {
    const { version } = session.wire;
    if (!version.features.has(FEATURE.realisationWithPath)) {
      await session.read(readString("a realisation"));
      if (version.minor < 31) await session.read(readString("a path"));
      await session.work(() => {
        throw new DevshellError(
          "PROTOCOL_FEATURE",
          `the client is missing the '${FEATURE.realisationWithPath}' protocol feature, needed to support content-addressing derivations`,
        );
      });
      return;
    }
    const drvPath = await session.read(readPath(session.wire));
    const output = await session.read(readString("an output's name"));
    const outputPath = await session.read(readPath(session.wire));
    const signatures = await session.read(readSignatures());
    await session.work(() => {
      session.requireTrust(
        `cannot register realisation '${drvPath}^${output}' because it lacks a signature by a trusted key`,
      );
      session.store.registerRealisation({ drvPath, output, outputPath, signatures });
    });
  },

  async addBuildLog(session) {
    const { storeDir } = session.wire;
    const drvPath = parseStorePathBaseName(storeDir, await session.read(readString("a derivation")));
    await session.work(() =>
      framed(session, async (frames) => {
        session.requireTrust("you are not privileged to add logs");
        const parts: Buffer[] = [];
        let size = 0;
        for await (const part of frames) {
          size += part.length;
          if (size > MAX_LOG_BYTES)
            throw new DevshellError(
              "DAEMON_LOG_TOO_LONG",
              `Cannot keep the log of '${drvPath}': it is too long`,
            );
          parts.push(part);
        }
        const file = buildLogPath(session.settings, drvPath);
        mkdirSync(fsPath(file.slice(0, file.lastIndexOf("/"))), { recursive: true });
        writeFileSync(fsPath(file), Buffer.concat(parts));
      }),
    );
    session.reply.number(1);
  },

  async addTempRoot(session) {
    const path = await session.read(readPath(session.wire));
    await session.work(() => session.store.addTempRoots([path]));
    session.reply.number(1);
  },

  async addIndirectRoot(session) {
    const link = await session.read(readString("a link's path"));
    await session.work(() => session.store.addIndirectRoot(absolute(link)));
    session.reply.number(1);
  },

  async addPermRoot(session) {
    const path = await session.read(readPath(session.wire));
    const link = await session.read(readString("a link's path"));
    await session.work(() => {
      session.requireTrust("you are not privileged to create perm roots");
      session.store.addRoot(absolute(link), path);
    });
    session.reply.string(link);
  },
};

function absolute(link: string): string {
  if (!link.startsWith("/") || link.includes("\0"))
    throw new DevshellError("DAEMON_PATH", `Cannot make '${link}' a root: it is not an absolute path`);
  return link;
}

interface NarRequest {
  readonly info: ValidPathInfo;
  readonly isRepair: boolean;
  readonly isUnchecked: boolean;
}

function* readNarRequest(wire: Wire): Decoder<NarRequest> {
  const path = yield* readPath(wire);
  const deriver = yield* readOptionalPath(wire);
  const narHash = yield* readNarHash();
  const references = yield* readPaths(wire);
  const registrationTime = yield* readLarge();
  const narSizeBytes = yield* readNumber("a NAR's size");
  const isUltimate = yield* readFlag();
  const signatures = yield* readSignatures();
  const contentAddress = yield* readString("a content address");
  const isRepair = yield* readFlag();
  const isUnchecked = yield* readFlag();
  const info = { path, deriver, narHash, references, registrationTime, narSizeBytes, isUltimate, signatures };
  return {
    info: { ...info, contentAddress: contentAddress === "" ? undefined : contentAddress },
    isRepair,
    isUnchecked,
  };
}

async function addNar(
  session: Session,
  info: ValidPathInfo,
  nar: AsyncIterable<Uint8Array>,
  { isRepair, isUnchecked }: { readonly isRepair: boolean; readonly isUnchecked: boolean },
): Promise<void> {
  if (isRepair) session.requireTrust(REPAIR_REFUSED);
  if (!isUnchecked || !session.isTrusted) session.checkSignature(info);
  const { signal } = session;
  const isUltimate = info.isUltimate && session.isTrusted;
  const add = (content: AsyncIterable<Uint8Array>): Promise<ValidPathInfo> =>
    session.wholeStore.addToStoreFromStream({ ...info, isUltimate }, content, { isRepair, signal });
  if (session.restriction === undefined) {
    await add(nar);
    return;
  }
  const others = (references: readonly StorePath[]): readonly StorePath[] =>
    references.filter((reference) => reference !== info.path);
  session.checkSeen(others(info.references));
  // What is in the store already is not read there: yet a builder is shown only what it has itself.
  const running = hashStream("sha256");
  const content = hashed(nar, running);
  const { narHash, references } = await add(content);
  await drain(content);
  // Which content that is, is not told either.
  if (!running.digest().digest.equals(narHash.digest))
    throw new DevshellError(
      "STORE_HASH_MISMATCH",
      `cannot add path '${info.path}': the store has it with another content`,
    );
  session.checkSeen(others(references));
  await session.reveal([info.path]);
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  running: ReturnType<typeof hashStream>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    running.update(chunk);
    yield chunk;
  }
}

/** Gives a reader the frames that follow; what it leaves is read and dropped, so that the next request is found. */
export async function framed<T>(session: Session, use: (frames: FramedSource) => Promise<T>): Promise<T> {
  const frames = new FramedSource(session.source);
  try {
    return await use(frames);
  } finally {
    // Where a frame is none nobody knows where the next request begins.
    if (frames.isBroken) session.isOutOfStep = true;
    else await frames.drain();
  }
}

/** Before 1.25 content came as a NAR however it was hashed, and a flag said that the way of hashing is the usual one. */
async function addOldStyle(session: Session): Promise<void> {
  const name = await session.read(readString("a name"));
  const isGiven = await session.read(readFlag());
  const isTree = await session.read(readFlag());
  const algorithm = await session.read(readString("a hash algorithm"));
  const info = await session.work(() =>
    unframed(plainNar(session), async (nar) => {
      if (isGiven && !isHashAlgorithm(algorithm))
        throw new DevshellError("HASH_INVALID", `unknown hash algorithm '${algorithm}'`);
      const request: DumpRequest = {
        name,
        method: !isGiven || isTree ? "nar" : "flat",
        algorithm: isGiven && isHashAlgorithm(algorithm) ? algorithm : "sha256",
        references: [],
        form: "nar",
        signal: session.signal,
      };
      const added = await addDump(session.wholeStore, request, nar);
      await session.reveal([added.path]);
      return added;
    }),
  );
  session.reply.string(info.path);
}

/** As {@link framed}, for a NAR without frames. */
async function unframed<T>(
  source: AsyncGenerator<Buffer>,
  use: (nar: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  // Without `return`: a reader that stops early must not close what is to be read to its end.
  const nar = { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) };
  try {
    return await use(nar);
  } finally {
    await drain(nar);
  }
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  let step = await iterator.next();
  while (step.done !== true) step = await iterator.next();
}

/** A NAR that nothing announces the size of: its own structure tells where it ends. */
async function* inStep(session: Session, nar: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* nar;
  } catch (error) {
    // Nobody knows where the next request begins.
    session.isOutOfStep = true;
    throw error;
  }
}

function plainNar(session: Session): AsyncGenerator<Buffer> {
  return inStep(session, readNar(session.source));
}

/** A NAR that the client sends on demand. */
function tunnelled(session: Session): AsyncGenerator<Buffer> {
  const takeSome = async (): Promise<Buffer> => {
    session.log.ask(PIECE_BYTES);
    const part = await session.read(readBytes("a piece of a NAR", PIECE_BYTES));
    if (part.length === 0) throw new DevshellError("NAR_TRUNCATED", "unexpected end-of-file");
    return part;
  };
  // A piece is the NAR's own: what comes after its end is no request.
  return inStep(session, readNar({ takeSome, unread: () => undefined }));
}
