import { fileURLToPath } from "node:url";
import { DevshellError, checkInterrupt, type ByteString } from "../../core/index.ts";
import type { FetchResult } from "../../lang/index.ts";
import type { RealiseEvent } from "../../store/index.ts";
import type { EnvironmentEvent } from "../types.ts";
import { LineProcess } from "./lineProcess.ts";

/** What evaluation, which is synchronous, needs done while it waits. */
export type SyncTask =
  | { readonly kind: "realise"; readonly elements: readonly ByteString[] }
  | {
      readonly kind: "fetch";
      readonly fetcher: "url" | "tarball";
      readonly url: string;
      readonly name: string;
      /** `<algorithm>:<base 16>`, when pinned. */
      readonly sha256?: string | undefined;
    }
  | {
      readonly kind: "fetchTree";
      readonly attributes: readonly (readonly [string, WireValue])[];
      /** The input's URL form, for messages. */
      readonly reference: ByteString;
      /** As a lock file has it. */
      readonly isFinal: boolean;
      /** Counts a revision's ancestors at once. */
      readonly isLocking: boolean;
    }
  | {
      readonly kind: "fetchClosure";
      readonly fromStore: string;
      readonly fromPath: ByteString;
      /** `""`: to be told which it would be. */
      readonly toPath?: ByteString | undefined;
      readonly isInputAddressed: boolean;
    }
  | { readonly kind: "countRevisions"; readonly directory: string; readonly rev: string };

/** An input's attribute as JSON has it; integers are numbers. */
export type WireValue = ByteString | number | boolean;

export interface SyncTaskRequest {
  readonly task: SyncTask;
  /** `nix.conf` options of the command line. */
  readonly settings: readonly (readonly [string, string])[];
  /** `--store`. */
  readonly store?: string | undefined;
  /** `--eval-store`: what is fetched is written there, and what is built is copied there. */
  readonly evalStore?: string | undefined;
  /** Holds what is in those of them that go with us (`dummy://?read-only=false`). */
  readonly transientRoot?: ByteString | undefined;
  /** What builders say is shown while they do. */
  readonly isLogShown?: boolean | undefined;
}

export type SyncTaskReply =
  | {
      readonly kind: "realised";
      readonly rewrites: readonly (readonly [ByteString, ByteString])[];
      readonly paths: readonly ByteString[];
    }
  | { readonly kind: "fetched"; readonly storePath: ByteString; readonly narHash: string }
  | {
      readonly kind: "fetchedTree";
      readonly storePath: ByteString;
      readonly attributes: readonly (readonly [string, WireValue])[];
      /** Files and directories outside the store that decided the result. */
      readonly inputs: readonly ByteString[];
      /** Where the revision's ancestors can be counted. */
      readonly history?: { readonly directory: string; readonly rev: string } | undefined;
    }
  | { readonly kind: "counted"; readonly count: number }
  | {
      readonly kind: "failed";
      readonly code: string | undefined;
      readonly exitStatus?: number | undefined;
      readonly message: string;
      readonly hint: string | undefined;
    };

/** What happens while a task is done. */
export type TaskEvent = RealiseEvent | EnvironmentEvent;

/** What a task's process writes, a line of JSON each: what happens, then the reply. */
export type SyncTaskLine =
  | { readonly kind: "event"; readonly event: TaskEvent }
  | { readonly kind: "reply"; readonly reply: SyncTaskReply };

/**
 * Has another process do a task and waits for it: its event loop runs while ours stands still, and it opens the store
 * under its own locks. It stays for the next task.
 * @param onEvent told what is built, copied and said, while it is
 * @throws {DevshellError} what the task threw
 */
export function runSyncTask(
  request: SyncTaskRequest,
  onEvent: (event: TaskEvent) => void = () => undefined,
): Exclude<SyncTaskReply, { kind: "failed" }> {
  const reply = ask(request, onEvent);
  // Ctrl-C at a terminal ends the task, too.
  checkInterrupt();
  if (reply.kind === "failed")
    throw new DevshellError(reply.code ?? "EVAL_TASK", reply.message, {
      hint: reply.hint,
      exitStatus: reply.exitStatus,
    });
  return reply;
}

/** The process that does tasks, and what it was started with. */
let server: { readonly process: LineProcess; readonly surroundings: string } | undefined;

function ask(request: SyncTaskRequest, onEvent: (event: TaskEvent) => void): SyncTaskReply {
  const tasks = taskServer();
  let reply: SyncTaskReply | undefined;
  try {
    tasks.write(JSON.stringify(request));
    while (reply === undefined) {
      const line = JSON.parse(tasks.read()) as SyncTaskLine;
      if (line.kind === "event") onEvent(line.event);
      else reply = line.reply;
    }
    return reply;
  } catch (error) {
    checkInterrupt();
    throw error;
  } finally {
    if (reply === undefined) tasks[Symbol.dispose]();
  }
}

/** Another one where the last has ended, or where variables or the directory are others. */
function taskServer(): LineProcess {
  const surroundings = JSON.stringify([process.cwd(), process.env]);
  if (server === undefined || server.process.isClosed || server.surroundings !== surroundings) {
    server?.process[Symbol.dispose]();
    server = { process: new LineProcess(process.execPath, [taskFile()]), surroundings };
  }
  return server.process;
}

/** What is in the store now because of a task. */
export function pathsOfReply(reply: SyncTaskReply): readonly ByteString[] {
  switch (reply.kind) {
    case "realised":
      return reply.paths;
    case "fetched":
    case "fetchedTree":
      return [reply.storePath];
    case "counted":
    case "failed":
      return [];
  }
}

/** What `builtins.fetch*` gets of a fetched path. */
export function fetchResult(reply: SyncTaskReply): FetchResult {
  if (reply.kind !== "fetched") throw new Error(`unexpected reply ${reply.kind}`);
  return { storePath: reply.storePath, attributes: new Map([["narHash", reply.narHash]]) };
}

function taskFile(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "./syncTask.worker.ts" : "./syncTask.worker.mjs", import.meta.url));
}
