import type { ByteString } from "../../../core/index.ts";
import { isStorePath, storePathName } from "../../format/storePath.ts";
import {
  ACTIVITY,
  RESULT,
  VERBOSITY,
  plain,
  type Field,
  type ServerMessage,
} from "../../protocol/messages.ts";
import { derivationLabel } from "../../realise/buildRequest.ts";
import type { RealiseEvent } from "../../types.ts";

/** What a daemon says as it works, as events of realising. */
export class ActivityEvents {
  readonly #storeDir: string;
  readonly #emit: (event: RealiseEvent) => void;
  readonly #ids = new Map<bigint, number>();
  #nextId = 1;

  constructor(storeDir: string, emit: (event: RealiseEvent) => void) {
    this.#storeDir = storeDir;
    this.#emit = emit;
  }

  take(message: ServerMessage): void {
    switch (message.kind) {
      case "log":
        this.#say(message.text);
        return;
      case "start":
        this.#start(message);
        return;
      case "stop": {
        const id = this.#ids.get(message.id);
        this.#ids.delete(message.id);
        if (id !== undefined) this.#emit({ kind: "end", id, status: "done" });
        return;
      }
      case "result":
        this.#result(this.#ids.get(message.id), message.type, message.fields);
        return;
      default:
        return;
    }
  }

  #say(text: ByteString): void {
    this.#emit({ kind: "log", id: 0, line: plain(text).replace(/\n$/, "") });
  }

  #start({ id, level, type, text, fields }: Extract<ServerMessage, { kind: "start" }>): void {
    const [path] = fields;
    if (typeof path !== "string" || !isStorePath(this.#storeDir, path) || !SHOWN.has(type)) {
      // What has no place among the events is told as a line, as Nix's simple logger does.
      if (level <= VERBOSITY.info && text !== "") this.#say(`${text}...`);
      return;
    }
    const own = this.#nextId++;
    this.#ids.set(id, own);
    const activity = type === ACTIVITY.build ? "build" : "substitute";
    const name = activity === "build" ? derivationLabel(path) : storePathName(path);
    this.#emit({ kind: "start", id: own, activity, name, path });
  }

  #result(id: number | undefined, type: number, fields: readonly Field[]): void {
    if (id === undefined) return;
    const [first, second] = fields;
    if (type === RESULT.buildLogLine || type === RESULT.postBuildLogLine)
      this.#emit({ kind: "log", id, line: String(first ?? "") });
    else if (type === RESULT.setPhase) this.#emit({ kind: "phase", id, phase: String(first ?? "") });
    else if (type === RESULT.progress && typeof first === "number") {
      const totalBytes = typeof second === "number" && second > 0 ? second : undefined;
      this.#emit({ kind: "progress", id, doneBytes: first, totalBytes });
    }
  }
}

const SHOWN: ReadonlySet<number> = new Set([ACTIVITY.build, ACTIVITY.copyPath]);
