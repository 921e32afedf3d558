import { DevshellError, textOfBytes, type ByteString } from "../../core/index.ts";
import type { ContextElement, FetchRequest, FetchResult } from "../../lang/index.ts";
import { parseStorePath, type Store, type StoreSettings } from "../../store/index.ts";
import type { InputTracker } from "../inputTracker.ts";
import type { EvaluationMode } from "./accessRules.ts";
import { fetchResult, pathsOfReply, runSyncTask, type SyncTask, type TaskEvent } from "./syncTask.ts";
import type { TreeFetcher } from "./treeFetcher.ts";

export interface EvaluationTasksOptions {
  /** What is in force at this moment. */
  readonly settings: () => StoreSettings;
  readonly mode: () => EvaluationMode;
  /** How another process opens the store as this one does. */
  readonly place: () => Pick<
    Parameters<typeof runSyncTask>[0],
    "settings" | "store" | "evalStore" | "transientRoot" | "isLogShown"
  >;
  /** Keeps what other processes made. */
  readonly store: () => Store;
  readonly trees: () => TreeFetcher;
  readonly tracker: InputTracker;
  readonly warn: (text: string) => void;
  readonly onEvent: (event: TaskEvent) => void;
}

/** Of a task whose result a collector may take before it is kept. */
const MAX_ATTEMPTS = 3;

/** What an evaluation waits for: builds and downloads, in processes of their own. */
export class EvaluationTasks {
  readonly #options: EvaluationTasksOptions;

  constructor(options: EvaluationTasksOptions) {
    this.#options = options;
  }

  /** Makes what a context names valid. @returns what stands for outputs → their paths */
  realise(elements: readonly ContextElement[]): ReadonlyMap<ByteString, ByteString> {
    const { raw } = this.#options.settings().config;
    if (raw.get("allow-import-from-derivation") === "false")
      throw new DevshellError(
        "EVAL_IFD",
        "Cannot build during evaluation because the option 'allow-import-from-derivation' is disabled",
      );
    const [built] = elements.filter((element) => element.startsWith("!"));
    if (built !== undefined && raw.get("trace-import-from-derivation") === "true") {
      const [, output = "", ...path] = built.split("!");
      this.#options.warn(
        `built '${path.join("!")}^${output}' during evaluation due to an import from derivation`,
      );
    }
    const reply = this.run({ kind: "realise", elements });
    return new Map(reply.kind === "realised" ? reply.rewrites : []);
  }

  fetch(request: FetchRequest): FetchResult {
    const { tracker, mode, trees } = this.#options;
    const text = (name: string): string | undefined => {
      const value = request.attributes.get(name);
      return typeof value === "string" ? textOfBytes(value) : undefined;
    };
    if (request.kind === "closure") {
      const task = {
        kind: "fetchClosure",
        fromStore: text("fromStore") ?? "",
        fromPath: text("fromPath") ?? "",
        toPath: text("toPath"),
        isInputAddressed: request.attributes.get("inputAddressed") === true,
      } as const;
      const closure = fetchResult(this.run(task));
      tracker.storePath(closure.storePath);
      return closure;
    }
    if (request.kind !== "url" && request.kind !== "tarball") {
      if (!isPinned(request)) tracker.impure("a tree that nothing pins");
      const tree = trees().fetch(request);
      tracker.storePath(tree.storePath);
      return tree;
    }
    const url = text("url");
    if (url === undefined) throw new DevshellError("EVAL_FETCH", "Cannot fetch: 'url' is missing");
    const sha256 = text("sha256") ?? text("narHash") ?? text("hash");
    if (sha256 === undefined && mode() === "pure")
      throw new DevshellError(
        "EVAL_FETCH",
        `in pure evaluation mode, 'fetch${title(request.kind)}' requires a 'sha256' argument`,
      );
    const name = text("name") ?? (request.kind === "tarball" ? "source" : baseName(url));
    return this.download(request.kind, url, name, sha256);
  }

  download(fetcher: "url" | "tarball", url: string, name: string, sha256: string | undefined): FetchResult {
    const { tracker } = this.#options;
    const task = { kind: "fetch", fetcher, url, name, sha256 } as const;
    if (sha256 === undefined || sha256 === "") tracker.impure("a download that nothing pins");
    const fetched = fetchResult(this.run(task));
    tracker.storePath(fetched.storePath);
    return fetched;
  }

  /** In a process that opens the store as this one does. */
  run(task: SyncTask): ReturnType<typeof runSyncTask> {
    const { place, settings, store, onEvent } = this.#options;
    try {
      for (let attempt = 1; ; attempt++) {
        const reply = runSyncTask({ task, ...place() }, onEvent);
        const paths = pathsOfReply(reply).map((path) => parseStorePath(settings().storeDir, path));
        if (paths.length === 0) return reply;
        // That process kept them from collectors; now it is for this one, unless a collector was faster.
        store().addTempRoots(paths);
        if (attempt >= MAX_ATTEMPTS || paths.every((path) => store().isValidPath(path))) return reply;
      }
    } catch (error) {
      // It may do better the next time, and some commands go on without it.
      this.#options.tracker.impure("a failure");
      throw error;
    }
  }
}

/** Whether a tree's attributes say all of what is in it. */
function isPinned({ attributes, isFinal }: FetchRequest): boolean {
  if (isFinal === true || attributes.has("narHash")) return true;
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(String(attributes.get("rev") ?? ""));
}

function baseName(url: string): string {
  return (
    (url
      .replace(/[?#].*$/, "")
      .replace(/\/+$/, "")
      .split("/")
      .pop() ??
      "source") ||
    "source"
  );
}

function title(text: string): string {
  return text === "url" ? "url" : text.charAt(0).toUpperCase() + text.slice(1);
}
