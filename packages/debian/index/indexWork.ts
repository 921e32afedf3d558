import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { DevshellError, isFromSnapshot, spawnWorker, workerFile } from "../../../core/index.ts";

/** Where a compressed index lies and what it must be. */
export interface IndexFile {
  /** Below `dists/<dist>/`, e.g. `main/binary-amd64/Packages.xz`. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Of the text when decompressed. */
  readonly rawSizeBytes: number;
  readonly rawSha256: string;
}

/** One archive as its verified `InRelease` describes it. */
export interface ArchiveState {
  /** The name below `dists/`. */
  readonly dist: string;
  readonly role: "main" | "security";
  readonly codename: string;
  readonly date: string;
  readonly hasByHash: boolean;
  /** Accepted although its `Valid-Until` was over. */
  readonly isExpired?: true | undefined;
  readonly packages: IndexFile;
  readonly sources?: IndexFile | undefined;
}

/** What is to be done with the network or with a whole index; done in a worker thread. */
export type IndexTask =
  | {
      readonly kind: "release";
      readonly dist: string;
      readonly role: "main" | "security";
      readonly mirrors: readonly string[];
      readonly architecture: string;
      readonly keyrings: readonly string[];
      /** Absent is no error: the answer is `undefined`. */
      readonly isOptional: boolean;
      /** What to do with an index whose `Valid-Until` is over. */
      readonly whenExpired: "refuse" | "warn";
      /** Refuse an older one than was seen before. Seconds since 1970. */
      readonly notBeforeSeconds?: number | undefined;
    }
  | {
      readonly kind: "index";
      readonly content: "packages" | "sources";
      readonly dist: string;
      readonly mirrors: readonly string[];
      readonly architecture: string;
      readonly hasByHash: boolean;
      readonly file: IndexFile;
      /** The tables' path without extension. */
      readonly base: string;
    }
  | { readonly kind: "probe"; readonly urls: readonly string[] };

/** `release`: the state or `undefined`; `index`: nothing; `probe`: whether one of the URLs is there, if known. */
export type IndexAnswer = ArchiveState | boolean | undefined;

export type DebianEvent =
  | {
      readonly kind: "fetch";
      readonly what: string;
      readonly doneBytes: number;
      readonly totalBytes: number | undefined;
    }
  | { readonly kind: "warning"; readonly message: string };

export type WorkReply =
  | { readonly kind: "alive" }
  | { readonly kind: "event"; readonly event: DebianEvent }
  | { readonly kind: "done"; readonly answers: readonly IndexAnswer[] }
  | {
      readonly kind: "failed";
      readonly code: string | undefined;
      readonly message: string;
      readonly hint: string | undefined;
    };

/** Sent to the worker with the port it answers on; `wake[0]` counts what it has posted. */
export interface WorkOrder {
  readonly tasks: readonly IndexTask[];
  readonly port: MessagePort;
  readonly wake: Int32Array;
}

const WORKER = "packages/debian/index/debianIndex.worker";
const MAX_REPLY_BYTES = 64 << 20;
/** The worker says at least every two seconds that it lives. */
const SILENCE_MS = 60_000;

/**
 * Runs tasks at the same time in a worker thread and waits for all of them without giving up the thread:
 * evaluation is synchronous. Events are delivered while it waits; at the end where a process of its own is needed.
 */
export function runIndexTasks(
  tasks: readonly IndexTask[],
  onEvent: (event: DebianEvent) => void,
): readonly IndexAnswer[] {
  return isFromSnapshot() ? runInProcess(tasks, onEvent) : runInThread(tasks, onEvent);
}

function runInProcess(
  tasks: readonly IndexTask[],
  onEvent: (event: DebianEvent) => void,
): readonly IndexAnswer[] {
  const ended = spawnSync(process.execPath, [workerFile(WORKER)], {
    input: JSON.stringify(tasks),
    encoding: "utf8",
    maxBuffer: MAX_REPLY_BYTES,
  });
  return answersOfProcess(ended, onEvent);
}

/**
 * What a process of its own answered.
 * @throws {DevshellError} what it met; `DEBIAN_INDEX_TASK` where it ended without an answer
 */
export function answersOfProcess(
  {
    stdout,
    stderr,
    status,
    signal,
    error,
  }: Pick<SpawnSyncReturns<string>, "stdout" | "stderr" | "status" | "signal" | "error">,
  onEvent: (event: DebianEvent) => void,
): readonly IndexAnswer[] {
  for (const line of stdout?.split("\n") ?? []) {
    const reply = replyIn(line);
    const answers = reply && answersIn(reply, onEvent);
    // JSON has no `undefined`.
    if (answers !== undefined) return answers.map((answer) => answer ?? undefined);
  }
  throw new DevshellError(
    "DEBIAN_INDEX_TASK",
    `Cannot fetch the indexes of packages: the process that does so ended with ${error?.message ?? signal ?? `status ${status}`}`,
    { hint: stderr?.trim().split("\n").at(-1) || undefined },
  );
}

/** @returns `undefined` where the process ended in the middle of it */
function replyIn(line: string): WorkReply | undefined {
  try {
    return JSON.parse(line) as WorkReply;
  } catch {
    return undefined;
  }
}

function runInThread(
  tasks: readonly IndexTask[],
  onEvent: (event: DebianEvent) => void,
): readonly IndexAnswer[] {
  const worker = spawnWorker(WORKER);
  const { port1: ours, port2: theirs } = new MessageChannel();
  const wake = new Int32Array(new SharedArrayBuffer(4));
  try {
    worker.postMessage({ tasks, port: theirs, wake } satisfies WorkOrder, [theirs]);
    let seen = 0;
    for (;;) {
      if (Atomics.wait(wake, 0, seen, SILENCE_MS) === "timed-out")
        throw new Error("The index worker does not answer");
      seen = Atomics.load(wake, 0);
      for (let mail = receiveMessageOnPort(ours); mail !== undefined; mail = receiveMessageOnPort(ours)) {
        const answers = answersIn(mail.message as WorkReply, onEvent);
        if (answers !== undefined) return answers;
      }
    }
  } finally {
    ours.close();
    worker.unref();
    void worker.terminate();
  }
}

/** @returns `undefined` where there is more to come @throws what the worker met */
function answersIn(
  reply: WorkReply,
  onEvent: (event: DebianEvent) => void,
): readonly IndexAnswer[] | undefined {
  switch (reply.kind) {
    case "alive":
      return undefined;
    case "event":
      onEvent(reply.event);
      return undefined;
    case "done":
      return reply.answers;
    case "failed":
      throw reply.code === undefined
        ? new Error(reply.message)
        : new DevshellError(reply.code, reply.message, { hint: reply.hint });
  }
}
