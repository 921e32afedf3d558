import type { Readable, Writable } from "node:stream";
import { once } from "node:events";
import { ByteSource, endOfStream } from "../../protocol/byteSource.ts";
import { FRAMED_NAR_SINCE, TUNNELLED_NAR_SINCE, type Call } from "../../protocol/calls.ts";
import { greetDaemon, type Greeting } from "../../protocol/greeting.ts";
import { heedMessage, readMessage, type ServerMessage } from "../../protocol/messages.ts";
import { DevshellError } from "../../../core/index.ts";
import { readNar } from "../../protocol/readNar.ts";
import type { Wire } from "../../protocol/values.ts";
import { WireWriter } from "../../protocol/wire.ts";
import type { ClientOptions } from "./blockingClient.ts";

/** Both directions of a connection, and how it ends. */
export interface Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly close: () => void;
}

/** One connection to a daemon, for one request at a time. */
export class DaemonClient implements Disposable {
  readonly #source: ByteSource;
  readonly #connection: Connection;
  #onMessage: (message: ServerMessage) => void;
  readonly greeting: Greeting;
  readonly wire: Wire;
  readonly #gone: Promise<void>;
  /** Nothing can be asked any more: it broke off, or within an answer. */
  #isBroken = false;

  private constructor(
    connection: Connection,
    source: ByteSource,
    greeting: Greeting,
    { storeDir, onMessage }: ClientOptions,
  ) {
    this.#connection = connection;
    this.#source = source;
    this.#gone = new Promise((resolve) => source.onEnd(resolve));
    this.#onMessage = onMessage;
    this.greeting = greeting;
    this.wire = { storeDir, version: greeting.version };
  }

  /** @param signal gives up a daemon that lets us in and then says nothing */
  static async connect(
    connection: Connection,
    options: ClientOptions,
    signal?: AbortSignal,
  ): Promise<DaemonClient> {
    const hangUp = (): void => connection.close();
    signal?.addEventListener("abort", hangUp, { once: true });
    const source = new ByteSource(connection.input);
    // That the other side has gone is seen where it is read from.
    connection.output.on("error", () => undefined);
    try {
      signal?.throwIfAborted();
      const send = (bytes: Buffer): void => void connection.output.write(bytes);
      const greeting = await source.decode(greetDaemon(send, options.version));
      const client = new DaemonClient(connection, source, greeting, options);
      await client.#listen();
      return client;
    } catch (error) {
      connection.close();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", hangUp);
    }
  }

  get isBroken(): boolean {
    return this.#isBroken || this.#source.isEnded;
  }

  /** Whom to tell what the daemon says, from now on. */
  listenWith(onMessage: (message: ServerMessage) => void): void {
    this.#onMessage = onMessage;
  }

  /** @throws {DevshellError} what the daemon answers with */
  run<T>(call: Call<T>): Promise<T> {
    return this.#exchange(async () => {
      this.#connection.output.write(call.request);
      await this.#listen();
      return await this.#source.decode(call.answer());
    });
  }

  /** With content after the request, in frames; the daemon may refuse it in the middle. */
  runFramed<T>(call: Call<T>, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<T> {
    return this.#exchange(async () => {
      this.#connection.output.write(call.request);
      const stop = new AbortController();
      const refused = this.#listen().finally(() => stop.abort());
      const sent = this.#sendFrames(content, stop.signal).catch((error: unknown) => {
        this.#isBroken = true;
        this.#connection.close();
        throw error;
      });
      const [listening, sending] = await Promise.allSettled([refused, sent]);
      // What the daemon says before it hangs up tells more than that it does.
      if (listening.status === "rejected" && isAnswer(listening.reason)) throw listening.reason;
      if (sending.status === "rejected") throw sending.reason;
      if (listening.status === "rejected") throw listening.reason;
      return await this.#source.decode(call.answer());
    });
  }

  /** With a NAR after the request, as the version has it. */
  runNar<T>(call: Call<T>, nar: AsyncIterable<Uint8Array>): Promise<T> {
    const { minor } = this.wire.version;
    if (minor >= FRAMED_NAR_SINCE) return this.runFramed(call, nar);
    if (minor < TUNNELLED_NAR_SINCE) return this.runPlain(call, nar);
    return this.#exchange(async () => {
      this.#connection.output.write(call.request);
      await this.#listen(nar[Symbol.asyncIterator]());
      return await this.#source.decode(call.answer());
    });
  }

  /** With a NAR right after the request, whatever the version. */
  runPlain<T>(call: Call<T>, nar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<T> {
    return this.#exchange(async () => {
      this.#connection.output.write(call.request);
      for await (const chunk of nar) await this.#write(chunk);
      await this.#listen();
      return await this.#source.decode(call.answer());
    });
  }

  /** The NAR that follows an answer; left in the middle, the connection is of no more use. */
  async *receiveNar(call: Call<void>): AsyncGenerator<Buffer> {
    await this.run(call);
    let isWhole = false;
    try {
      yield* readNar(this.#source);
      isWhole = true;
    } finally {
      if (!isWhole) this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#isBroken = true;
    this.#connection.close();
  }

  /** A failure that is no answer of the daemon's leaves nobody knows what on the wire. */
  async #exchange<T>(work: () => Promise<T>): Promise<T> {
    if (this.isBroken) throw endOfStream();
    try {
      return await work();
    } catch (error) {
      if (!isAnswer(error)) this.#isBroken = true;
      throw error;
    }
  }

  async #sendFrames(
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const writer = new WireWriter();
    for await (const chunk of content) {
      if (signal.aborted) break;
      if (chunk.length === 0) continue;
      this.#connection.output.write(writer.number(chunk.length).take());
      await this.#write(chunk);
    }
    await this.#write(writer.number(0).take());
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { output } = this.#connection;
    // Chunks are only valid until the next is asked for.
    if (output.write(Buffer.from(bytes))) return;
    if (output.destroyed || this.#source.isEnded) throw endOfStream();
    const stop = new AbortController();
    try {
      await Promise.race([once(output, "drain", { signal: stop.signal }), this.#gone]);
    } finally {
      stop.abort();
    }
  }

  async #listen(content?: AsyncIterator<Uint8Array>): Promise<void> {
    let rest: Uint8Array = new Uint8Array();
    for (;;) {
      const message = await this.#source.decode(readMessage(this.greeting.version));
      const next = heedMessage(message, content !== undefined, this.#onMessage);
      if (next === "done") return;
      if (next === "more") continue;
      while (rest.length === 0) {
        const step = await content?.next();
        if (step === undefined || step.done === true) break;
        rest = Buffer.from(step.value);
      }
      await this.#write(new WireWriter().bytes(rest.subarray(0, next)).take());
      rest = rest.subarray(next);
    }
  }
}

/** What the daemon answered with, after which it goes on. */
function isAnswer(error: unknown): boolean {
  return error instanceof DevshellError && error.code === "DAEMON_FAILED";
}
