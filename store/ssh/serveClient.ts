import { DevshellError } from "../../core/index.ts";
import { derivationNameOfPath } from "../format/storePath.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { BuildResult } from "../protocol/buildResult.ts";
import { ByteSource } from "../protocol/byteSource.ts";
import { readPaths, writeBasicDerivation } from "../protocol/values.ts";
import { readNumber, readString, wireError, WireWriter, type Decoder } from "../protocol/wire.ts";
import { Semaphore } from "../realise/goals/semaphore.ts";
import type { Derivation, StorePath, ValidPathInfo } from "../types.ts";
import type { Channel } from "./channel.ts";
import { MessageSink } from "./messageSink.ts";
import { readNar } from "../protocol/readNar.ts";
import {
  SERVE_CLIENT_MAGIC,
  SERVE_COMMAND,
  SERVE_LATEST,
  SERVE_OLDEST,
  SERVE_SERVER_MAGIC,
  commonWire,
  readServeBuildResult,
  readServePathInfo,
  serveMinorOf,
  serveVersionNumber,
  writeBuildOptions,
  writeIncomingPath,
  type ServeBuildOptions,
  type ServeWire,
} from "./serveProtocol.ts";

export interface ServeClientOptions {
  /** For messages. */
  readonly host: string;
  readonly storeDir: string;
  /** Gives up another side that does not answer. */
  readonly signal?: AbortSignal | undefined;
}

/** What is asked in one message; more is asked in several. */
const MAX_BATCH = 1000;

/**
 * A connection to a `nix-store --serve`. It answers one question at a time, in order; callers may ask at once and wait
 * their turn. After a failure in the middle of something it is of no more use.
 */
export class ServeClient implements AsyncDisposable {
  readonly #host: string;
  readonly #channel: Channel;
  readonly #source: ByteSource;
  readonly #sink: MessageSink;
  readonly #wire: ServeWire;
  readonly #turn = new Semaphore(1);
  #isBroken = false;

  private constructor(
    host: string,
    channel: Channel,
    source: ByteSource,
    sink: MessageSink,
    wire: ServeWire,
  ) {
    this.#host = host;
    this.#channel = channel;
    this.#source = source;
    this.#sink = sink;
    this.#wire = wire;
  }

  /**
   * Greets the other side; the channel is the connection's from now on.
   * @throws {DevshellError} `SSH_FAILED`, `PROTOCOL_INVALID`
   */
  static async open(channel: Channel, { host, storeDir, signal }: ServeClientOptions): Promise<ServeClient> {
    const source = new ByteSource(channel.input);
    const hangUp = (): void => source.close();
    signal?.addEventListener("abort", hangUp, { once: true });
    const sink = new MessageSink(channel.output, `'${host}'`);
    try {
      signal?.throwIfAborted();
      const hello = new WireWriter().number(SERVE_CLIENT_MAGIC).number(serveVersionNumber(SERVE_LATEST));
      await sink.send(hello.take());
      if ((await source.decode(readMagic())) !== SERVE_SERVER_MAGIC)
        throw wireError(`'nix-store --serve' protocol mismatch from '${host}'`);
      const minor = serveMinorOf(await source.decode(readNumber()));
      if (minor === undefined || minor < SERVE_OLDEST)
        throw wireError(`unsupported 'nix-store --serve' protocol version on '${host}'`);
      return new ServeClient(host, channel, source, sink, {
        storeDir,
        minor: Math.min(minor, SERVE_LATEST),
      });
    } catch (error) {
      await channel[Symbol.asyncDispose]();
      signal?.throwIfAborted();
      throw connectionFailure(`cannot connect to '${host}'`, channel, error);
    } finally {
      signal?.removeEventListener("abort", hangUp);
    }
  }

  /**
   * Which of the paths are there.
   * @param isLocked keeps them from being collected as long as the connection lasts
   * @param isSubstituted has the other side fetch first what its own substituters have
   */
  async queryValidPaths(
    paths: readonly StorePath[],
    { isLocked, isSubstituted }: { readonly isLocked: boolean; readonly isSubstituted: boolean },
    signal?: AbortSignal,
  ): Promise<ReadonlySet<StorePath>> {
    const valid = new Set<StorePath>();
    for (const batch of batches(paths)) {
      const request = new WireWriter()
        .number(SERVE_COMMAND.queryValidPaths)
        .flag(isLocked)
        .flag(isSubstituted)
        .strings(batch);
      for (const path of await this.#ask(request, readPaths(commonWire(this.#wire.storeDir)), signal))
        valid.add(path);
    }
    return valid;
  }

  /** What is known of those of the paths that are there. */
  async queryPathInfos(
    paths: readonly StorePath[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<StorePath, ValidPathInfo>> {
    const infos = new Map<StorePath, ValidPathInfo>();
    for (const batch of batches(paths)) {
      const request = new WireWriter().number(SERVE_COMMAND.queryPathInfos).strings(batch);
      for (const info of await this.#ask(request, readPathInfos(this.#wire, new Set(batch)), signal))
        infos.set(info.path, info);
    }
    return infos;
  }

  async queryClosure(
    paths: readonly StorePath[],
    includeOutputs: boolean,
    signal?: AbortSignal,
  ): Promise<readonly StorePath[]> {
    const request = new WireWriter().number(SERVE_COMMAND.queryClosure).flag(includeOutputs).strings(paths);
    return await this.#ask(request, readPaths(commonWire(this.#wire.storeDir)), signal);
  }

  /** A path's NAR; the connection is its own until it has been read, or given up. */
  async *readNar(path: StorePath, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const turn = await this.#takeTurn(signal);
    let isWhole = false;
    try {
      await this.#sink.send(new WireWriter().number(SERVE_COMMAND.dumpStorePath).string(path).take());
      yield* readNar(this.#source);
      isWhole = true;
    } catch (error) {
      throw await this.#failure(error);
    } finally {
      if (!isWhole) this.#break();
      turn.leave();
    }
  }

  /** Adds a path whose references are there. */
  addPath(info: IncomingPathInfo, nar: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    return this.#exchange(signal, async () => {
      const writer = new WireWriter().number(SERVE_COMMAND.addToStoreNar);
      writeIncomingPath(writer, info);
      await this.#sink.send(writer.take());
      let sentBytes = 0;
      for await (const chunk of nar) {
        signal?.throwIfAborted();
        sentBytes += chunk.length;
        if (sentBytes > info.narSizeBytes) break;
        await this.#sink.send(Buffer.from(chunk));
      }
      if (sentBytes !== info.narSizeBytes)
        throw new DevshellError(
          "STORE_SIZE_MISMATCH",
          `Cannot copy "${info.path}": expected ${info.narSizeBytes} bytes but found ${sentBytes > info.narSizeBytes ? "more" : sentBytes}`,
        );
      if ((await this.#source.decode(readNumber())) !== 1)
        throw wireError(`failed to add path '${info.path}' to remote host '${this.#host}'`);
    });
  }

  /** Builds a derivation whose inputs are there. */
  buildDerivation(
    drvPath: StorePath,
    derivation: Derivation,
    options: ServeBuildOptions,
    signal?: AbortSignal,
  ): Promise<BuildResult> {
    derivationNameOfPath(drvPath);
    const request = new WireWriter().number(SERVE_COMMAND.buildDerivation).string(drvPath);
    writeBasicDerivation(request, derivation);
    writeBuildOptions(request, options, this.#wire.minor);
    return this.#ask(request, readServeBuildResult(this.#wire), signal);
  }

  /** Ends the connection, whatever it is doing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isBroken = true;
    await this.#channel[Symbol.asyncDispose]();
  }

  #ask<T>(request: WireWriter, answer: Decoder<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#exchange(signal, async () => {
      await this.#sink.send(request.take());
      return await this.#source.decode(answer);
    });
  }

  /** Whatever fails in the middle, or is given up, leaves bytes that nobody can tell apart. */
  async #exchange<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = await this.#takeTurn(signal);
    const onAbort = (): void => this.#break();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await work();
    } catch (error) {
      this.#break();
      signal?.throwIfAborted();
      throw await this.#failure(error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      turn.leave();
    }
  }

  async #takeTurn(signal: AbortSignal | undefined): Promise<{ readonly leave: () => void }> {
    const entered = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const turn = this.#turn.run(() => {
      entered.resolve();
      return left.promise;
    }, signal);
    turn.catch((error: unknown) => entered.reject(error as Error));
    await entered.promise;
    if (this.#isBroken) {
      left.resolve();
      throw await this.#failure(undefined);
    }
    return { leave: () => left.resolve() };
  }

  #break(): void {
    this.#isBroken = true;
    this.#source.close();
    this.#sink.end();
  }

  async #failure(error: unknown): Promise<unknown> {
    if (isDisconnected(error)) await this.#channel.settled();
    return connectionFailure(`the connection to '${this.#host}' has ended`, this.#channel, error);
  }
}

/** What the other side printed says more than that it has gone. */
function connectionFailure(what: string, channel: Channel, error: unknown): unknown {
  if (error !== undefined && !(error instanceof DevshellError)) return error;
  const isGone = isDisconnected(error);
  const said = channel.complaint();
  if (!isGone && !(error?.code === "PROTOCOL_INVALID" && said !== "")) return error;
  const why = isGone ? what : (error?.message ?? what);
  return new DevshellError("SSH_FAILED", said === "" ? why : `${why}: ${said}`, { cause: error });
}

function isDisconnected(error: unknown): boolean {
  return error === undefined || (error instanceof DevshellError && error.code === "PROTOCOL_DISCONNECTED");
}

/** Something else than the protocol may greet us: a shell's message of the day. */
function* readMagic(): Decoder<number> {
  const bytes = yield 8;
  return bytes.readUInt32LE(4) === 0 ? bytes.readUInt32LE(0) : -1;
}

/** Until the empty path. @throws {DevshellError} `PROTOCOL_INVALID` for what was not asked for */
function* readPathInfos(wire: ServeWire, asked: Set<StorePath>): Decoder<ValidPathInfo[]> {
  const infos: ValidPathInfo[] = [];
  for (;;) {
    const text = yield* readString("a store path");
    if (text === "") return infos;
    const path = text as StorePath;
    if (!asked.delete(path)) throw wireError(`it tells of '${text}', which was not asked for`);
    infos.push(yield* readServePathInfo(wire, path));
  }
}

function* batches(paths: readonly StorePath[]): Generator<readonly StorePath[]> {
  for (let at = 0; at < paths.length; at += MAX_BATCH) yield paths.slice(at, at + MAX_BATCH);
}
