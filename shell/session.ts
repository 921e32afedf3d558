import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError } from "../core/index.ts";
import { keepFresh } from "./liveReload.ts";
import type { EnteredRecord, LiveReloadOptions } from "./liveReload.ts";
import { PtySession } from "./ptySession.ts";
import { renderRcFile } from "./rcFile.ts";

export interface SessionOptions {
  readonly entered: EnteredRecord;
  readonly loadRecord: LiveReloadOptions["loadRecord"];
  readonly watch: LiveReloadOptions["watch"];
  readonly refreshCommand: LiveReloadOptions["refreshCommand"];
  /** The caller's variables, with which the shell starts (cut down to the keep list when pure). */
  readonly callerEnvironment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly isReloading: boolean;
}

/**
 * Runs an interactive Bash in the environment until it ends.
 * @returns its exit status
 */
export async function runSession(options: SessionOptions): Promise<number> {
  const { entered } = options;
  using session = createSessionDir();
  writeFileSync(join(session.path, "applied"), "");
  const rcFile = join(session.path, "rc.bash");
  writeFileSync(
    rcFile,
    renderRcFile({
      environment: entered.environment,
      recordDir: entered.recordDir,
      sessionDir: session.path,
    }),
    { encoding: "latin1" },
  );
  const environment = startingEnvironment(options);
  const stopped = new AbortController();
  try {
    await using pty = await PtySession.start({
      file: entered.environment.shell,
      args: ["--rcfile", rcFile, "-i"],
      environment,
      directory: options.directory,
    }).catch((cause: unknown) => {
      throw new DevshellError("SHELL_NO_PTY", `Cannot open a pseudo-terminal: ${messageOf(cause)}`, {
        cause,
        hint: "run `devshell doctor`; `devshell --no-reload` enters without one",
      });
    });
    if (options.isReloading)
      void keepFresh({
        ...options,
        sessionDir: session.path,
        // The caller's own, also where the shell is pure: they say which store and cache are meant.
        environment: withoutUndefined(options.callerEnvironment),
        signal: stopped.signal,
      }).catch(() => undefined); // Without a watcher the session goes on as it is.
    return await pty.exited;
  } finally {
    stopped.abort();
  }
}

/** The variables the shell starts with: its rc file sets the environment's own on top. */
function startingEnvironment({ entered, callerEnvironment }: SessionOptions): Record<string, string> {
  const { isPure, keep } = entered.environment;
  const kept = new Set(keep);
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(callerEnvironment)) {
    if (value === undefined || INTERNAL.test(name)) continue;
    if (!isPure || kept.has(name)) environment[name] = value;
  }
  return environment;
}

function withoutUndefined(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Words from the launcher to itself, which no child should see. */
const INTERNAL = /^DEVSHELL_(?:ARGV0|GUARDED|LAUNCHER|REPLY_FD|SESSION_RECORD|STACK|TTY)$/;

function createSessionDir(): Disposable & { readonly path: string } {
  const base = process.env["XDG_RUNTIME_DIR"] ?? tmpdir();
  const path = makeDir(base) ?? makeDir(tmpdir());
  if (path === undefined)
    throw new DevshellError("SHELL_NO_TEMP_DIR", `Cannot create a directory in ${JSON.stringify(tmpdir())}`, {
      hint: "set TMPDIR to a directory that you may write to",
    });
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function makeDir(base: string): string | undefined {
  try {
    mkdirSync(base, { recursive: true });
    sweepSessionDirs(base);
    return mkdtempSync(join(base, `devshell-session-${process.pid}-`));
  } catch {
    return undefined;
  }
}

/** Takes away what sessions that were killed have left behind. */
function sweepSessionDirs(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = /^devshell-session-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const path = join(base, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true && stat.uid === process.getuid?.())
      rmSync(path, { recursive: true, force: true });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
}
