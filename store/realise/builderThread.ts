import { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Worker } from "node:worker_threads";
import { DevshellError, isFromSnapshot, spawnWorker } from "../../core/index.ts";
import { closeSocket, socketPair } from "../local/socketCalls.ts";
import type { StoreSettings } from "../types.ts";
import { canScopeSockets } from "./filterCalls.ts";

/** What the thread is to start; numbers in `stdio` are descriptors of this process. */
export interface StartOrder {
  readonly id: number;
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdio: readonly ("ignore" | number)[];
}

/** What is to hold for the thread and all that it starts. */
export interface ThreadData {
  readonly isFiltered: boolean;
  /** Abstract sockets of others are out of reach. */
  readonly isScoped: boolean;
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

export interface ChildExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that runs a builder, in a process group of its own. */
export interface BuilderChild {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ChildExit>;
}

interface Waiting {
  readonly started: (pid: number) => void;
  readonly exited: (exit: ChildExit) => void;
  readonly failed: (error: Error) => void;
}

/** Starts builders in a thread whose system calls are filtered, and those of what it starts. */
export class BuilderThread implements AsyncDisposable {
  /** Why there is no filter; such a thread starts nothing. */
  readonly obstacle: string | undefined;
  readonly #worker: Worker;
  readonly #isShared: boolean;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(worker: Worker, obstacle: string | undefined, isShared: boolean) {
    this.#worker = worker;
    this.#isShared = isShared;
    this.obstacle = obstacle;
    worker.unref();
    if (obstacle !== undefined) return;
    worker.on("message", (message: ThreadReport) => this.#take(message));
    const lost = (error: Error): void => {
      if (isShared) current = undefined;
      for (const { failed } of this.#waiting.values()) failed(error);
      this.#waiting.clear();
    };
    worker.on("error", lost);
    worker.on("exit", (status) => lost(new Error(`The thread that starts builders ended (${status})`)));
  }

  /** For builders that nothing else need be kept from: it lives as long as the process. */
  static get(): Promise<BuilderThread> {
    current ??= BuilderThread.start({ isFiltered: true, isScoped: false }, true);
    return current;
  }

  static async start(data: ThreadData, isShared = false): Promise<BuilderThread> {
    const worker = spawnWorker("store/realise/builderThread.worker", data);
    const obstacle = await new Promise<string | undefined>((resolve, reject) => {
      worker.once("message", (message: ThreadReport) =>
        message.kind === "ready" ? resolve(message.obstacle) : reject(new Error("The thread is not ready")),
      );
      worker.once("error", reject);
    });
    if (obstacle !== undefined) void worker.terminate();
    return new BuilderThread(worker, obstacle, isShared);
  }

  /** Ends one that is a single builder's. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isShared) return;
    this.#worker.removeAllListeners();
    await this.#worker.terminate();
  }

  /** @param order its standard output and standard error are this thread's to read */
  async launch({ stdio, ...order }: Omit<StartOrder, "id">): Promise<BuilderChild> {
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

/**
 * The thread for a builder whose system calls are to be filtered, as the option `filter-syscalls` says, or who has the
 * host's network and so its abstract sockets.
 * @returns `undefined` where neither is so, or can be and nobody insists
 * @throws {DevshellError} `BUILD_FILTER` where they cannot be filtered though the option is set
 */
export async function builderThreadFor(
  { config }: StoreSettings,
  options: { readonly hasNetwork: boolean },
): Promise<BuilderThread | undefined> {
  const wanted = config.raw.get("filter-syscalls");
  const isFiltered = wanted !== "false";
  const canThread = !isFromSnapshot();
  const isScoped = canThread && options.hasNetwork && canScopeSockets();
  if (!isFiltered && !isScoped) return undefined;
  const thread = !canThread
    ? undefined
    : isScoped
      ? await BuilderThread.start({ isFiltered, isScoped })
      : await BuilderThread.get();
  const obstacle = thread === undefined ? "this process has no threads" : thread.obstacle;
  if (obstacle === undefined) return thread;
  if (wanted !== "true") return undefined;
  throw new DevshellError("BUILD_FILTER", `Cannot filter the system calls of builders: ${obstacle}`, {
    hint: "without `filter-syscalls` builds run unfiltered where that is so",
  });
}

function readerOf(fd: number): Readable {
  const socket = new Socket({ fd, readable: true, writable: false });
  // What was cut off has ended.
  return socket.on("error", () => undefined);
}
