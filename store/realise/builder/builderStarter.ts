import { fork } from "node:child_process";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { isFromSnapshot, spawnWorker, workerFile } from "../../../core/index.ts";
import { closeDescriptor, openPipe } from "../../local/socketCalls.ts";
import type { BuilderChild, ChildExit, ChildOrder } from "./builderChild.ts";

/** What is to be started; numbers in `stdio` are descriptors of the process that asks, from 0 on. */
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

/** What starts them, and tells of it. */
interface Helper {
  post(order: StartOrder): void;
  onReport(take: (report: ThreadReport) => void): void;
  onLost(lost: (error: Error) => void): void;
  /** Whether the process waits for it. */
  hold(isHeld: boolean): void;
  end(): void;
}

/** Starts builders by a thread, or a process, whose system calls are filtered, and those of what it starts. */
export class BuilderStarter {
  /** Why there is no filter; such a one starts nothing. */
  readonly obstacle: string | undefined;
  readonly #helper: Helper;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(helper: Helper, obstacle: string | undefined) {
    this.#helper = helper;
    this.obstacle = obstacle;
    helper.hold(false);
    if (obstacle !== undefined) {
      helper.end();
      return;
    }
    helper.onReport((report) => this.#take(report));
    helper.onLost((error) => {
      current = undefined;
      for (const { failed } of this.#waiting.values()) failed(error);
      this.#waiting.clear();
    });
  }

  /** The process's only one: it lives as long as that. */
  static get(): Promise<BuilderStarter> {
    current ??= BuilderStarter.#start();
    return current;
  }

  static async #start(): Promise<BuilderStarter> {
    // Threads of a process that was started from a snapshot cannot start programs.
    const helper = isFromSnapshot() ? startProcess() : startThread();
    const obstacle = await new Promise<string | undefined>((resolve, reject) => {
      helper.onReport((report) => {
        if (report.kind === "ready") resolve(report.obstacle);
      });
      helper.onLost(reject);
    });
    return new BuilderStarter(helper, obstacle);
  }

  /** @param order its standard output and standard error are read in the thread that asks */
  async launch({ stdio, ...order }: ChildOrder): Promise<BuilderChild> {
    const stdout = openPipe();
    const stderr = stdout === undefined ? undefined : openPipe();
    if (stdout === undefined || stderr === undefined) {
      stdout?.forEach(closeDescriptor);
      throw Object.assign(new Error("EMFILE: no pipe could be opened"), { code: "EMFILE" });
    }
    const [out, err] = [readerOf(stdout[0]), readerOf(stderr[0])];
    const id = this.#nextId++;
    const exit = Promise.withResolvers<ChildExit>();
    exit.promise.catch(() => undefined); // who waits for the start hears of it
    // Else the process could end before its builder.
    if (this.#waiting.size === 0) this.#helper.hold(true);
    try {
      const pid = await new Promise<number>((resolve, reject) => {
        const failed = (error: Error): void => {
          reject(error);
          exit.reject(error);
        };
        this.#waiting.set(id, { started: resolve, exited: exit.resolve, failed });
        this.#helper.post({ ...order, id, stdio: ["ignore", stdout[1], stderr[1], ...stdio] });
      });
      return { pid, stdout: out, stderr: err, exited: exit.promise };
    } catch (error) {
      out.destroy();
      err.destroy();
      throw error;
    } finally {
      // The builder has its own: as long as ours is open the log would not end.
      closeDescriptor(stdout[1]);
      closeDescriptor(stderr[1]);
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
    if (this.#waiting.size === 0) this.#helper.hold(false);
    if (message.kind === "exited") waiting?.exited(message);
    else waiting?.failed(Object.assign(new Error(message.message), { code: message.code }));
  }
}

let current: Promise<BuilderStarter> | undefined;

const ENTRY = "store/realise/builder/builderStarter.worker";

function startThread(): Helper {
  const worker = spawnWorker(ENTRY);
  return {
    post: (order) => worker.postMessage(order),
    onReport: (take) => void worker.on("message", take),
    onLost: (lost) => {
      worker.on("error", lost);
      worker.on("exit", (status) => lost(new Error(`The thread that starts builders ended (${status})`)));
    },
    hold: (isHeld) => (isHeld ? worker.ref() : worker.unref()),
    end: () => void worker.terminate(),
  };
}

/** It ends with us, and its builders with it. */
function startProcess(): Helper {
  const child = fork(workerFile(ENTRY), {
    env: {},
    execArgv: ["--no-warnings"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    detached: true,
  });
  return {
    post: (order) => void child.send(order),
    onReport: (take) => void child.on("message", (message) => take(message as ThreadReport)),
    onLost: (lost) => {
      child.on("error", lost);
      child.on("exit", (status) => lost(new Error(`The process that starts builders ended (${status})`)));
    },
    hold: (isHeld) => {
      if (isHeld) {
        child.ref();
        child.channel?.ref();
      } else {
        child.unref();
        child.channel?.unref();
      }
    },
    end: () => void child.kill("SIGKILL"),
  };
}

function readerOf(fd: number): Readable {
  const socket = new Socket({ fd, readable: true, writable: false });
  // What was cut off has ended.
  return socket.on("error", () => undefined);
}
