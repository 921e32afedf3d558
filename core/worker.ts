import { fileURLToPath } from "node:url";
import { Worker, parentPort, type Transferable } from "node:worker_threads";
import { DevshellError } from "./error.ts";

/**
 * Starts a worker thread from one of the package's worker entries, `<folder>/…/<name>.worker.ts`: the TypeScript
 * file itself when the sources run, `dist/<name>.worker.mjs` from the bundle (`scripts/build.ts` finds every
 * `*.worker.ts`, so names are unique).
 * @param entry path below the package's root without extension, e.g. `store/realise/digest.worker`
 * @param workerData handed to the worker as it starts
 */
export function spawnWorker(entry: string, workerData?: unknown): Worker {
  // The process's own flags (test runners' loaders, --stack-size) are not the worker's.
  return new Worker(workerFile(entry), { workerData, execArgv: [], stdin: false });
}

/**
 * Whether the process was started from a start-up snapshot. Its threads abort as soon as they load `node:net` (Node 24:
 * "Assertion failed: shutdown_wrap_template_.IsEmpty()"), so what needs the network needs a process of its own.
 */
export function isFromSnapshot(): boolean {
  return process.execArgv.includes("--snapshot-blob");
}

/** Where an entry is that {@link spawnWorker} would start. */
export function workerFile(entry: string): string {
  const isSource = import.meta.url.endsWith(".ts");
  const relative = isSource ? `../${entry}.ts` : `./${entry.slice(entry.lastIndexOf("/") + 1)}.mjs`;
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** What a worker's failure looks like on its way back: enough to make the same error again. */
interface WireError {
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string | undefined;
  readonly stack: string | undefined;
}

type WireRequest = { readonly id: number; readonly request: unknown };
type WireReply =
  | { readonly id: number; readonly kind: "done"; readonly reply: unknown }
  | { readonly id: number; readonly kind: "failed"; readonly error: WireError }
  | { readonly id: number; readonly kind: "note"; readonly note: unknown };

/**
 * Answers a {@link WorkerPool}'s requests inside a worker entry, one at a time.
 * @param handle `note` tells the caller something while it works
 */
export function serveWorker<Request, Reply, Note = never>(
  handle: (request: Request, note: (note: Note) => void) => Reply | Promise<Reply>,
): void {
  const port = parentPort;
  if (port === null) throw new Error("serveWorker runs only in a worker thread");
  let turn = Promise.resolve();
  port.on("message", ({ id, request }: WireRequest) => {
    turn = turn.then(async () => {
      try {
        const reply = await handle(request as Request, (note) =>
          port.postMessage({ id, kind: "note", note } satisfies WireReply),
        );
        port.postMessage({ id, kind: "done", reply } satisfies WireReply);
      } catch (error) {
        port.postMessage({ id, kind: "failed", error: toWire(error) } satisfies WireReply);
      }
    });
  });
}

export interface WorkerCall<Note> {
  readonly signal?: AbortSignal | undefined;
  readonly onNote?: ((note: Note) => void) | undefined;
  readonly transfer?: readonly Transferable[] | undefined;
}

interface Job {
  readonly id: number;
  readonly request: unknown;
  readonly transfer: readonly Transferable[];
  readonly onNote: ((note: unknown) => void) | undefined;
  readonly settle: (outcome: { reply: unknown } | { error: unknown }) => void;
}

/**
 * Up to `size` workers of one entry, started as work comes and kept until the pool closes. Idle workers do not keep
 * the process alive. An aborted call ends its worker, since a synchronous loop hears nothing else.
 */
export class WorkerPool<Request, Reply, Note = never> implements AsyncDisposable {
  readonly #entry: string;
  readonly #size: number;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  readonly #queue: Job[] = [];
  #nextId = 1;
  #isClosed = false;

  constructor(entry: string, size: number) {
    this.#entry = entry;
    this.#size = Math.max(1, size);
  }

  /** @throws what the worker threw; the signal's reason when aborted */
  async run(request: Request, { signal, onNote, transfer = [] }: WorkerCall<Note> = {}): Promise<Reply> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new Error("The worker pool is closed");
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const job: Job = {
      id: this.#nextId++,
      request,
      transfer,
      onNote: onNote as ((note: unknown) => void) | undefined,
      settle: (outcome) => {
        if ("reply" in outcome) resolve(outcome.reply as Reply);
        else reject(outcome.error as Error);
      },
    };
    const onAbort = (): void => this.#cancel(job, signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#queue.push(job);
    this.#startNext();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #startNext(): void {
    while (this.#queue.length > 0 && (this.#idle.length > 0 || this.#busy.size < this.#size)) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      const worker = this.#idle.pop() ?? this.#start();
      worker.ref();
      this.#busy.set(worker, job);
      worker.postMessage({ id: job.id, request: job.request } satisfies WireRequest, [...job.transfer]);
    }
  }

  #start(): Worker {
    const worker = spawnWorker(this.#entry);
    worker.on("message", (message: WireReply) => this.#receive(worker, message));
    worker.on("error", (error) => this.#lose(worker, error));
    worker.on("exit", (status) => this.#lose(worker, new Error(`Worker ended with status ${status}`)));
    return worker;
  }

  #receive(worker: Worker, message: WireReply): void {
    const job = this.#busy.get(worker);
    if (job?.id !== message.id) return;
    if (message.kind === "note") {
      job.onNote?.(message.note);
      return;
    }
    this.#busy.delete(worker);
    this.#idle.push(worker);
    worker.unref();
    job.settle(message.kind === "done" ? { reply: message.reply } : { error: fromWire(message.error) });
    this.#startNext();
  }

  #lose(worker: Worker, error: unknown): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    job?.settle({ error });
    if (!this.#isClosed) this.#startNext();
  }

  #cancel(job: Job, reason: unknown): void {
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
    for (const [worker, running] of this.#busy) if (running === job) void worker.terminate();
    job.settle({ error: reason });
  }
}

function toWire(error: unknown): WireError {
  if (error instanceof DevshellError)
    return { code: error.code, message: error.message, hint: error.hint, stack: undefined };
  if (error instanceof Error)
    return { code: undefined, message: error.message, hint: undefined, stack: error.stack };
  return { code: undefined, message: String(error), hint: undefined, stack: undefined };
}

function fromWire({ code, message, hint, stack }: WireError): Error {
  if (code !== undefined) return new DevshellError(code, message, { ...(hint !== undefined && { hint }) });
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
