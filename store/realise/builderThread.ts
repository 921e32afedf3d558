import { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Worker } from "node:worker_threads";
import { spawnWorker } from "../../core/index.ts";
import { closeSocket, socketPair } from "../local/socketCalls.ts";
import type { BuilderChild, ChildExit, ChildOrder } from "./builderChild.ts";

/** What the thread is to start; numbers in `stdio` are descriptors of this process, from 0 on. */
export interface StartOrder extends ChildOrder {
  readonly id: number;
}

export type ThreadReport =
  | { readonly kind: "ready"; readonly obstacle: string | undefined }
  | { readonly kind: "started"; readonly id: number; readonly pid: number }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly message: string;
      readonly code: string | undefined;
    }
  | ({ readonly kind: "exited"; readonly id: number } & ChildExit);

interface Waiting {
  readonly started: (pid: number) => void;
  readonly exited: (exit: ChildExit) => void;
  readonly failed: (error: Error) => void;
}

/** Starts builders in a thread whose system calls are filtered, and those of what it starts. */
export class BuilderThread {
  /** Why there is no filter; such a thread starts nothing. */
  readonly obstacle: string | undefined;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(worker: Worker, obstacle: string | undefined) {
    this.#worker = worker;
    this.obstacle = obstacle;
    worker.unref();
    if (obstacle !== undefined) return;
    worker.on("message", (message: ThreadReport) => this.#take(message));
    const lost = (error: Error): void => {
      current = undefined;
      for (const { failed } of this.#waiting.values()) failed(error);
      this.#waiting.clear();
    };
    worker.on("error", lost);
    worker.on("exit", (status) => lost(new Error(`The thread that starts builders ended (${status})`)));
  }

  /** The process's only one: it lives as long as that. */
  static get(): Promise<BuilderThread> {
    current ??= BuilderThread.#start();
    return current;
  }

  static async #start(): Promise<BuilderThread> {
    const worker = spawnWorker("store/realise/builderThread.worker");
    const obstacle = await new Promise<string | undefined>((resolve, reject) => {
      worker.once("message", (message: ThreadReport) =>
        message.kind === "ready" ? resolve(message.obstacle) : reject(new Error("The thread is not ready")),
      );
      worker.once("error", reject);
    });
    if (obstacle !== undefined) void worker.terminate();
    return new BuilderThread(worker, obstacle);
  }

  /** @param order its standard output and standard error are read in the thread that asks */
  async launch({ stdio, ...order }: ChildOrder): Promise<BuilderChild> {
    const [stdout, stderr] = [socketPair(), socketPair()];
    if (stdout === undefined || stderr === undefined) throw new Error("There is no filter without koffi");
    const [out, err] = [readerOf(stdout[0]), readerOf(stderr[0])];
    const id = this.#nextId++;
    const exit = Promise.withResolvers<ChildExit>();
    exit.promise.catch(() => undefined); // who waits for the start hears of it
    // Else the process could end before its builder.
    if (this.#waiting.size === 0) this.#worker.ref();
    try {
      const pid = await new Promise<number>((resolve, reject) => {
        const failed = (error: Error): void => {
          reject(error);
          exit.reject(error);
        };
        this.#waiting.set(id, { started: resolve, exited: exit.resolve, failed });
        this.#worker.postMessage({
          ...order,
          id,
          stdio: ["ignore", stdout[1], stderr[1], ...stdio],
        } satisfies StartOrder);
      });
      return { pid, stdout: out, stderr: err, exited: exit.promise };
    } catch (error) {
      out.destroy();
      err.destroy();
      throw error;
    } finally {
      // The builder has its own: as long as ours is open the log would not end.
      closeSocket(stdout[1]);
      closeSocket(stderr[1]);
    }
  }

  #take(message: ThreadReport): void {
    if (message.kind === "ready") return;
    const waiting = this.#waiting.get(message.id);
    if (message.kind === "started") {
      waiting?.started(message.pid);
      return;
    }
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (message.kind === "exited") waiting?.exited(message);
    else waiting?.failed(Object.assign(new Error(message.message), { code: message.code }));
  }
}

let current: Promise<BuilderThread> | undefined;

function readerOf(fd: number): Readable {
  const socket = new Socket({ fd, readable: true, writable: false });
  // What was cut off has ended.
  return socket.on("error", () => undefined);
}
