import type { ByteString } from "../../core/index.ts";
import type { RealiseEvent, StorePath } from "../types.ts";

interface Activity {
  readonly kind: "build" | "download" | "substitute";
  readonly name: string;
  readonly path: StorePath;
  readonly totalBytes?: number | undefined;
  /** The program that builds, of builds that run one. */
  readonly builder?: ByteString | undefined;
  readonly machine?: string | undefined;
}

/** Tells a listener what is going on: each piece of work with its own number, its beginning and its end. */
export class Activities {
  readonly #onEvent: ((event: RealiseEvent) => void) | undefined;
  readonly #signal: AbortSignal;
  #nextId = 1;

  constructor(onEvent: ((event: RealiseEvent) => void) | undefined, signal: AbortSignal) {
    this.#onEvent = onEvent;
    this.#signal = signal;
  }

  emit(event: RealiseEvent): void {
    this.#onEvent?.(event);
  }

  /** Says something that is of no piece of work. */
  tell(line: string): void {
    this.emit({ kind: "log", id: 0, line });
  }

  /** @param problem an error or a text */
  warn(problem: unknown): void {
    const message = problem instanceof Error ? problem.message : String(problem);
    this.tell(`warning: ${message}`);
  }

  /** Runs a piece of work between its events. @throws what the work throws */
  async run<T>(activity: Activity, work: (id: number) => Promise<T>): Promise<T> {
    const id = this.#nextId++;
    const { kind, ...about } = activity;
    this.emit({ kind: "start", id, activity: kind, ...about });
    try {
      const result = await work(id);
      this.emit({ kind: "end", id, status: "done" });
      return result;
    } catch (error) {
      const isCancelled = this.#signal.aborted;
      const message = isCancelled ? undefined : error instanceof Error ? error.message : String(error);
      this.emit({ kind: "end", id, status: isCancelled ? "cancelled" : "failed", message });
      throw error;
    }
  }
}
