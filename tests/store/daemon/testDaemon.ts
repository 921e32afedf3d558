import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { LocalStore, type StoreSettings } from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";
import type { DaemonThreadData } from "./daemonThread.ts";

/** A daemon in another thread, and the settings of a client of it. */
export class TestDaemon implements AsyncDisposable {
  readonly directory = new TestDirectory();
  readonly local: StoreSettings;
  readonly settings: StoreSettings;
  readonly peers: unknown[] = [];
  readonly #thread: Worker;

  private constructor(isTrusted: boolean) {
    this.local = this.directory.settings({ sandbox: "false", substituters: "" });
    const socketPath = join(this.directory.path, "state", "daemon-socket", "socket");
    const address = { kind: "socket", path: socketPath } as const;
    this.settings = {
      ...this.local,
      rung: "daemon",
      daemon: { url: `unix://${socketPath}`, address, isHere: true, isFound: false },
    };
    const workerData: DaemonThreadData = { settings: this.local, socketPath, isTrusted };
    this.#thread = new Worker(new URL("./daemonThread.ts", import.meta.url), { workerData, execArgv: [] });
  }

  static async start(isTrusted = true): Promise<TestDaemon> {
    const daemon = new TestDaemon(isTrusted);
    await new Promise<void>((resolve, reject) => {
      daemon.#thread.on("error", reject);
      daemon.#thread.on("message", (message: unknown) => {
        if (message === "listening") resolve();
        else daemon.peers.push(message);
      });
    });
    return daemon;
  }

  /** What is really there. */
  store(): LocalStore {
    return LocalStore.open(this.local);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.terminate();
    this.directory[Symbol.dispose]();
  }
}
