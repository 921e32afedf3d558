import type { ByteString } from "../../core/index.ts";
import {
  ACTIVITIES_SINCE,
  ACTIVITY,
  RESULT,
  VERBOSITY,
  bytesOf,
  failureOfError,
  writeMessage,
  type ServerMessage,
} from "../protocol/messages.ts";
import type { ProtocolVersion } from "../protocol/version.ts";
import type { RealiseEvent } from "../types.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Tells a client what is going on, while an operation of its own is at work; what comes up in between is kept for the
 * next one.
 */
export class ClientLog {
  readonly #version: ProtocolVersion;
  readonly #outbox: Outbox;
  readonly #maxUnreadBytes: number;
  readonly #waiting: ServerMessage[] = [];
  #isOpen = false;
  #nextId = 1n;
  /** What the client wants to be told: levels up to this one. */
  verbosity: number = VERBOSITY.info;

  /** @param maxUnreadBytes a client that is farther behind misses lines, rather than that they fill the memory */
  constructor(version: ProtocolVersion, outbox: Outbox, maxUnreadBytes = Infinity) {
    this.#version = version;
    this.#outbox = outbox;
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  /** Whether an error may be told now: an operation is at work. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  start(): void {
    this.#isOpen = true;
    for (const message of this.#waiting.splice(0)) this.#write(message);
  }

  finish(): void {
    this.#isOpen = false;
    this.#write({ kind: "last" });
    this.#outbox.flush();
  }

  fail(error: unknown): void {
    this.#isOpen = false;
    this.#write({ kind: "error", error: failureOfError(error) });
    this.#outbox.flush();
  }

  /** @param text may have several lines */
  say(level: keyof typeof VERBOSITY, text: string): void {
    if (VERBOSITY[level] <= this.verbosity && !this.#isClogged)
      this.#tell({ kind: "log", text: `${bytesOf(text)}\n` });
  }

  /** Asks for a piece of what the client has to send. */
  ask(maxBytes: number): void {
    this.#write({ kind: "read", maxBytes });
    this.#outbox.flush();
  }

  /** A listener for one realisation's events. */
  events(): (event: RealiseEvent) => void {
    const ids = new Map<number, bigint>();
    return (event) => this.#event(event, ids);
  }

  #event(event: RealiseEvent, ids: Map<number, bigint>): void {
    switch (event.kind) {
      case "start": {
        const id = this.#nextId++;
        ids.set(event.id, id);
        this.#activity(id, event);
        return;
      }
      case "log": {
        const id = ids.get(event.id);
        if (id === undefined) this.say("warning", event.line);
        else this.#result(id, RESULT.buildLogLine, [event.line]);
        return;
      }
      case "phase":
        this.#result(ids.get(event.id), RESULT.setPhase, [bytesOf(event.phase)]);
        return;
      case "transfer":
        this.say("talkative", `downloading '${event.url}'...`);
        return;
      case "progress":
        this.#result(ids.get(event.id), RESULT.progress, [event.doneBytes, event.totalBytes ?? 0, 1, 0]);
        return;
      case "end": {
        const id = ids.get(event.id);
        ids.delete(event.id);
        if (id !== undefined && this.#version.minor >= ACTIVITIES_SINCE) this.#tell({ kind: "stop", id });
        return;
      }
      case "plan":
        return;
    }
  }

  #activity(id: bigint, event: Extract<RealiseEvent, { kind: "start" }>): void {
    const isBuild = event.activity === "build" || event.activity === "download";
    const text = isBuild ? `building '${event.path}'` : `copying path '${event.path}'`;
    if (this.#version.minor < ACTIVITIES_SINCE) {
      this.say("info", `${text}...`);
      return;
    }
    this.#tell({
      kind: "start",
      id,
      level: VERBOSITY.info,
      type: isBuild ? ACTIVITY.build : ACTIVITY.copyPath,
      text,
      fields: isBuild ? [event.path, "", 1, 1] : [event.path, "", ""],
      parent: 0n,
    });
  }

  #result(id: bigint | undefined, type: number, fields: readonly (number | ByteString)[]): void {
    if (id === undefined || this.#isClogged) return;
    if (this.#version.minor >= ACTIVITIES_SINCE) this.#tell({ kind: "result", id, type, fields });
    else if (type === RESULT.buildLogLine) this.say("info", String(fields[0]));
  }

  #tell(message: ServerMessage): void {
    if (this.#isOpen) this.#write(message);
    else this.#waiting.push(message);
  }

  get #isClogged(): boolean {
    return this.#outbox.unreadBytes > this.#maxUnreadBytes;
  }

  #write(message: ServerMessage): void {
    this.#outbox.say((writer) => writeMessage(writer, message, this.#version));
  }
}
