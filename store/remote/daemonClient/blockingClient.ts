import { DevshellError } from "../../../core/index.ts";
import type { BlockingChannel } from "../../protocol/blockingChannel.ts";
import { FRAMED_NAR_SINCE, TUNNELLED_NAR_SINCE, type Call } from "../../protocol/calls.ts";
import { greetDaemon, type Greeting } from "../../protocol/greeting.ts";
import { heedMessage, readMessage, type ServerMessage } from "../../protocol/messages.ts";
import { NarBoundary } from "../../protocol/narBoundary.ts";
import type { Wire } from "../../protocol/values.ts";
import type { ProtocolVersion } from "../../protocol/version.ts";
import { WireWriter } from "../../protocol/wire.ts";

export interface ClientOptions {
  readonly storeDir: string;
  /** Told all that the daemon says but answers. */
  readonly onMessage: (message: ServerMessage) => void;
  /** Older than the latest, to speak an old protocol. */
  readonly version?: ProtocolVersion | undefined;
}

const BATCH_SIZE = 64;

/** A client of a daemon that stands still while it waits: for evaluation, which is synchronous. */
export class BlockingClient implements Disposable {
  readonly #channel: BlockingChannel;
  readonly #onMessage: (message: ServerMessage) => void;
  readonly greeting: Greeting;
  readonly wire: Wire;

  constructor(channel: BlockingChannel, { storeDir, onMessage, version }: ClientOptions) {
    this.#channel = channel;
    this.#onMessage = onMessage;
    this.greeting = channel.decode(greetDaemon((bytes) => channel.write(bytes), version));
    this.wire = { storeDir, version: this.greeting.version };
    this.#listen();
  }

  /** @throws {DevshellError} what the daemon answers with */
  run<T>(call: Call<T>): T {
    this.#channel.write(call.request);
    this.#listen();
    return this.#channel.decode(call.answer());
  }

  /** Several at once, not waiting for each answer: much faster than one by one. */
  runAll<T>(calls: readonly Call<T>[]): T[] {
    const results: T[] = [];
    // Not too many: while we write nobody reads the answers.
    for (let at = 0; at < calls.length; at += BATCH_SIZE) {
      const batch = calls.slice(at, at + BATCH_SIZE);
      this.#channel.write(Buffer.concat(batch.map(({ request }) => request)));
      let failure: unknown;
      for (const call of batch) {
        try {
          this.#listen();
          results.push(this.#channel.decode(call.answer()));
        } catch (error) {
          // What it said before it hung up tells more than that it did.
          if (!(error instanceof DevshellError) || error.code !== "DAEMON_FAILED") throw failure ?? error;
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
    }
    return results;
  }

  /** With content after the request, in frames. */
  runFramed<T>(call: Call<T>, content: Iterable<Uint8Array>): T {
    this.#channel.write(call.request);
    try {
      this.#sendFrames(content);
    } catch (error) {
      // It may have said why before it hung up.
      if (error instanceof DevshellError && error.code === "PROTOCOL_DISCONNECTED") this.#listen();
      throw error;
    }
    this.#listen();
    return this.#channel.decode(call.answer());
  }

  /** With a NAR after the request, as the version has it. */
  runNar<T>(call: Call<T>, nar: Iterable<Uint8Array>): T {
    const { minor } = this.wire.version;
    if (minor >= FRAMED_NAR_SINCE) return this.runFramed(call, nar);
    if (minor < TUNNELLED_NAR_SINCE) return this.runPlain(call, nar);
    this.#channel.write(call.request);
    this.#listen(nar[Symbol.iterator]());
    return this.#channel.decode(call.answer());
  }

  /** With a NAR right after the request, whatever the version. */
  runPlain<T>(call: Call<T>, nar: Iterable<Uint8Array>): T {
    this.#channel.write(call.request);
    for (const chunk of nar) this.#channel.write(chunk);
    this.#listen();
    return this.#channel.decode(call.answer());
  }

  /** The NAR that follows an answer. */
  *receiveNar(call: Call<void>): Generator<Buffer> {
    this.run(call);
    const boundary = new NarBoundary();
    while (!boundary.isPassed) {
      const [nar, rest] = boundary.split(this.#channel.takeSome(1 << 16));
      this.#channel.unread(rest);
      yield nar;
    }
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  #sendFrames(content: Iterable<Uint8Array>): void {
    const writer = new WireWriter();
    try {
      for (const chunk of content) {
        if (chunk.length === 0) continue;
        this.#channel.write(writer.number(chunk.length).take());
        this.#channel.write(chunk);
      }
    } finally {
      this.#channel.write(writer.number(0).take());
    }
  }

  /** Until the daemon has done its work. */
  #listen(content?: Iterator<Uint8Array>): void {
    let rest: Uint8Array = new Uint8Array();
    for (;;) {
      const message = this.#channel.decode(readMessage(this.greeting.version));
      const next = heedMessage(message, content !== undefined, this.#onMessage);
      if (next === "done") return;
      if (next === "more") continue;
      while (rest.length === 0) {
        const step = content?.next();
        if (step === undefined || step.done === true) break;
        rest = Buffer.from(step.value);
      }
      this.#channel.write(new WireWriter().bytes(rest.subarray(0, next)).take());
      rest = rest.subarray(next);
    }
  }
}
