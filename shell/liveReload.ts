import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytesOfText } from "../core/index.ts";
import type { BuildEnvironment } from "../env/index.ts";
import { changeNote } from "./changeNote.ts";
import { renderNote, renderReload } from "./rcFile.ts";

/** A record together with the environment it holds. */
export interface EnteredRecord {
  readonly recordDir: string;
  readonly environment: BuildEnvironment;
}

export interface LiveReloadOptions {
  readonly entered: EnteredRecord;
  /** Where `next` is written for the prompt hook. */
  readonly sessionDir: string;
  /** Evaluates and realises anew; its last line of standard output is the record's directory. */
  readonly refreshCommand: (recordDir: string) => readonly string[];
  readonly loadRecord: (recordDir: string) => EnteredRecord;
  /** Calls back when an input of the record may have changed, until the signal. */
  readonly watch: (recordDir: string, onChange: () => void, signal: AbortSignal) => Promise<void>;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** An editor saves in several steps; what comes within this time is one change. */
const SETTLE_MS = 150;
const MAX_ERROR_LINES = 14;
const MAX_ERROR_BYTES = 64 * 1024;

/**
 * Keeps an open session's environment fresh: a changed input starts a refresh in a process of its own (the session
 * stays responsive whatever it costs), and its result waits in `next` for the next prompt. A failure leaves the old
 * environment and its reason in `next`.
 */
export async function keepFresh(options: LiveReloadOptions): Promise<void> {
  const { signal } = options;
  /** What the inputs now give. */
  let entered = options.entered;
  /** What the shell has applied; `next` is written against it. */
  let base = options.entered;
  /** A reload that waits in `next`. */
  let pending: { readonly entered: EnteredRecord; readonly text: string } | undefined;
  let lastFailure = "";
  let running: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isDirty = false;
  let watching = new AbortController();

  const file = join(options.sessionDir, "next");
  const writeNext = (text: string): void => {
    writeFileSync(`${file}.tmp`, text, { encoding: "latin1" });
    renameSync(`${file}.tmp`, file);
  };
  const settlePending = (): void => {
    if (pending === undefined || !isApplied(options.sessionDir)) return;
    base = pending.entered;
    pending = undefined;
  };
  const writeMessage = (message: string): void => {
    settlePending();
    writeNext(`${pending?.text ?? ""}${renderNote(bytesOfText(message))}`);
  };

  const watchInputs = async (): Promise<void> => {
    watching.abort();
    watching = new AbortController();
    await options.watch(entered.recordDir, onChange, AbortSignal.any([signal, watching.signal]));
  };

  const onChange = (): void => {
    isDirty = true;
    clearTimeout(timer);
    timer = setTimeout(() => void start(), SETTLE_MS);
  };

  const start = async (): Promise<void> => {
    if (running !== undefined || signal.aborted) return;
    isDirty = false;
    const result = await runRefresh(options, entered.recordDir, (child) => (running = child));
    running = undefined;
    if (signal.aborted) return;
    try {
      if (result.kind === "failed") {
        if (result.error !== lastFailure) writeMessage(failureNote(result.error));
        lastFailure = result.error;
      } else {
        await take(result.recordDir);
      }
    } catch (error) {
      // The session must outlive its reload: a record that cannot be read is a failed reload.
      writeMessage(failureNote(error instanceof Error ? error.message : String(error)));
    }
    if (isDirty) onChange();
  };

  const take = async (recordDir: string): Promise<void> => {
    const next = options.loadRecord(recordDir);
    settlePending();
    if (next.recordDir !== (pending?.entered ?? base).recordDir) {
      const note = bytesOfText(`devshell: reloaded: ${changeNote(base.environment, next.environment)}`);
      const text = renderReload(base.environment, base.recordDir, next.environment, next.recordDir, note);
      writeNext(text);
      pending = { entered: next, text };
    } else if (lastFailure !== "") {
      writeMessage("devshell: the spec is whole again; nothing changed");
    }
    lastFailure = "";
    entered = next;
    // What the new evaluation read may be other files.
    await watchInputs();
  };

  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    watching.abort();
    running?.kill("SIGTERM");
  });
  await watchInputs();
}

/** Whether the shell has sourced the present `next`: it touches `applied` first. */
function isApplied(sessionDir: string): boolean {
  const next = statSync(join(sessionDir, "next"), { bigint: true, throwIfNoEntry: false });
  const applied = statSync(join(sessionDir, "applied"), { bigint: true, throwIfNoEntry: false });
  return next !== undefined && applied !== undefined && applied.mtimeNs >= next.mtimeNs;
}

type RefreshResult =
  | { readonly kind: "done"; readonly recordDir: string }
  | { readonly kind: "failed"; readonly error: string };

function runRefresh(
  options: LiveReloadOptions,
  recordDir: string,
  onStart: (child: ChildProcess) => void,
): Promise<RefreshResult> {
  const [file = "", ...args] = options.refreshCommand(recordDir);
  return new Promise((resolve) => {
    // A group of its own: a Ctrl-C typed in the session is not meant for it.
    const child = spawn(file, args, {
      cwd: options.directory,
      env: { ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    onStart(child);
    let output = "";
    let error = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-MAX_ERROR_BYTES);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      error = (error + text).slice(-MAX_ERROR_BYTES);
    });
    child.on("error", (cause) => resolve({ kind: "failed", error: cause.message }));
    child.on("close", (status, killedBy) => {
      const record = output.trimEnd().split("\n").at(-1) ?? "";
      if (status === 0 && record.startsWith("/")) resolve({ kind: "done", recordDir: record });
      else
        resolve({
          kind: "failed",
          error:
            error.trim() === "" ? `the reload ended with ${killedBy ?? `status ${status}`}` : error.trim(),
        });
    });
  });
}

function failureNote(error: string): string {
  const lines = error.split("\n");
  let shown = lines.slice(0, MAX_ERROR_LINES);
  if (lines.length > shown.length) {
    const hidden = `… ${lines.length - shown.length} more lines`;
    // What begins with a trace has what happened at its end.
    shown =
      lines[0] === "error:"
        ? ["error:", `       ${hidden}`, ...lines.slice(1 - MAX_ERROR_LINES)]
        : [...shown, hidden];
  }
  return [
    "devshell: cannot reload; the environment stays as it was",
    ...shown.map((line) => `  ${line}`),
  ].join("\n");
}
