import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";
import type { SyncTaskReply, SyncTaskRequest } from "../../../env/host/syncTask.ts";

/** Does what evaluation waits for in one thread that stays, where a process for each takes a second to load. */
export class TaskThread {
  readonly #worker: Worker;
  readonly #channel = new MessageChannel();
  readonly #done = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    const { port2 } = this.#channel;
    this.#worker = new Worker(new URL("./taskThread.worker.ts", import.meta.url), {
      workerData: { port: port2, done: this.#done },
      transferList: [port2],
    });
    this.#worker.unref();
    this.#channel.port1.unref();
  }

  run(request: SyncTaskRequest): SyncTaskReply {
    Atomics.store(this.#done, 0, 0);
    this.#channel.port1.postMessage({ request, variables: { ...process.env } });
    Atomics.wait(this.#done, 0, 0);
    const reply = receiveMessageOnPort(this.#channel.port1) as { message: SyncTaskReply } | undefined;
    if (reply === undefined) throw new Error("the thread did not reply");
    return reply.message;
  }

  async close(): Promise<void> {
    this.#channel.port1.close();
    await this.#worker.terminate();
  }
}
