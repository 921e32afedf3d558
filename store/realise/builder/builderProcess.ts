import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import {
  DevshellError,
  bytesOfText,
  quoteForShell,
  textOfBytes,
  type ByteString,
} from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import { asUser, type BuilderUser } from "./sandboxMethod.ts";
import type { BuilderChild } from "./builderChild.ts";
import type { StartBuilder } from "./confineBuilder.ts";
import { replaceInherited } from "./inheritedFiles.ts";

/** What is to be run, as the builder itself sees it. */
export interface BuilderCommand {
  readonly builder: ByteString;
  readonly args: readonly ByteString[];
  readonly env: ReadonlyMap<ByteString, ByteString>;
  readonly hostBuildDir: string;
}

/** How to start it from here. */
export interface BuilderLaunch {
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly cwd: string;
  /** Set where a `\x02` on standard error says that everything stood before the builder began. */
  readonly setupFailure?: string | undefined;
}

export interface BuilderRun {
  /** Told once it is started. */
  readonly onBegun?: (() => void) | undefined;
  readonly onOutput: (chunk: Buffer) => void;
  readonly signal: AbortSignal;
  readonly start: StartBuilder;
  /** 0: unlimited. */
  readonly timeoutMs: number;
  readonly maxSilentMs: number;
}

export type BuilderExit =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signalled"; readonly signal: NodeJS.Signals }
  | { readonly kind: "timedOut"; readonly afterMs: number; readonly isSilence: boolean }
  | { readonly kind: "setupFailed"; readonly message: string };

/** How long a builder that has closed its log may live on, and a killed one's pipe may stay open. */
const GRACE_MS = 1000;

/**
 * Runs a builder to its end. Whatever it started is killed with it.
 * @throws the signal's reason when aborted, after the builder is dead
 */
export async function runBuilder(launch: BuilderLaunch, run: BuilderRun): Promise<BuilderExit> {
  run.signal.throwIfAborted();
  const child = await startBuilder(launch, run.start);
  const kill = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  };
  let ended: BuilderExit | undefined;
  const expire = (afterMs: number, isSilence: boolean): (() => void) => {
    return () => {
      ended ??= { kind: "timedOut", afterMs, isSilence };
      kill();
    };
  };
  const total = startTimer(expire(run.timeoutMs, false), run.timeoutMs);
  const silence = startTimer(expire(run.maxSilentMs, true), run.maxSilentMs);
  let lingering: NodeJS.Timeout | undefined;
  run.signal.addEventListener("abort", kill, { once: true });
  if (run.signal.aborted) kill();
  let setup = "";
  run.onBegun?.();
  try {
    const { stdout, stderr } = child;
    stdout.on("data", (chunk: Buffer) => {
      silence?.refresh();
      run.onOutput(chunk);
    });
    stdout.on("end", () => (lingering = setTimeout(kill, GRACE_MS)));
    stderr.on("data", (chunk: Buffer) => {
      if (setup.length < 16_384) setup += chunk.toString("utf8");
    });
    const { status, signal } = await child.exited;
    // Whatever it left behind still holds the pipe.
    kill();
    await Promise.all([stdout, stderr].map(endOf));
    run.signal.throwIfAborted();
    if (ended !== undefined) return ended;
    if (launch.setupFailure !== undefined && !setup.includes("\x02"))
      return { kind: "setupFailed", message: `${launch.setupFailure}: ${setup.trim()}` };
    return signal === null ? { kind: "exited", status: status ?? 1 } : { kind: "signalled", signal };
  } finally {
    clearTimeout(total);
    clearTimeout(silence);
    clearTimeout(lingering);
    run.signal.removeEventListener("abort", kill);
  }
}

/** What was written before the end is read by then. */
async function endOf(stream: Readable): Promise<void> {
  if (stream.readableEnded) return;
  await new Promise<void>((resolve) => {
    stream.once("end", resolve);
    setTimeout(resolve, GRACE_MS).unref();
  });
}

async function startBuilder(
  { argv: [program = "", ...args], cwd, env }: BuilderLaunch,
  start: StartBuilder,
): Promise<BuilderChild> {
  const nothing = openSync("/dev/null", "r+");
  try {
    return await start({
      program,
      args,
      cwd,
      env: Object.fromEntries(env),
      stdio: replaceInherited(nothing),
    });
  } finally {
    closeSync(nothing);
  }
}

/** Node takes a longer time for none at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @param ms 0: never */
function startTimer(expire: () => void, ms: number): NodeJS.Timeout | undefined {
  return ms > 0 && ms <= LONGEST_TIMER_MS ? setTimeout(expire, ms) : undefined;
}

/**
 * Shell commands that give a builder the limits it expects: no core files, and the stack that the caller of devshell
 * had, not the evaluator's deep one (the launcher notes it in DEVSHELL_STACK).
 */
export function builderLimits(environment: NodeJS.ProcessEnv = process.env): string {
  const stack = environment["DEVSHELL_STACK"] ?? "";
  const restored = /^(?:\d{1,12}|unlimited)$/.test(stack) ? `; ulimit -S -s ${stack} 2>/dev/null || :` : "";
  return `umask 022; ulimit -c 0${restored}`;
}

/** How to start a builder without a sandbox. @param user who it is to be, where that is not us */
export function launchDirectly(command: BuilderCommand, user?: BuilderUser): BuilderLaunch {
  const sh = findProgram("dash") ?? findProgram("sh") ?? "/bin/sh";
  const { safe, withheld, odd } = splitEnvironment(command.env);
  const script = `${builderLimits()}\nunset OLDPWD SHLVL 2>/dev/null || :\n${exportLines(withheld)}exec ${envWords(odd)}"$@" 2>&1`;
  return {
    argv: [
      ...deathSignal(),
      ...(user === undefined ? [] : [findProgram("setpriv") ?? "setpriv", ...asUser(user)]),
      sh,
      "-c",
      script,
      "devshell-builder",
      ...[command.builder, ...command.args].map(processText),
    ],
    env: safe,
    cwd: processText(command.hostBuildDir),
  };
}

/**
 * Words of `setpriv`, where it is there: the kernel kills the child when we die, and gives it no setuid rights.
 * @param more of its words
 */
export function deathSignal(more: readonly string[] = []): readonly string[] {
  const setpriv = findProgram("setpriv");
  return setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL", "--no-new-privs", ...more, "--"];
}

/** Words of `env` for variables whose names a shell would drop. */
export function envWords(odd: ReadonlyMap<string, string>): string {
  if (odd.size === 0) return "";
  const env = findProgram("env") ?? "/usr/bin/env";
  return `${[env, ...[...odd].map(([name, value]) => `${name}=${value}`)].map(quoteForShell).join(" ")} `;
}

export function exportLines(variables: ReadonlyMap<string, string>): string {
  return [...variables].map(([name, value]) => `export ${name}=${quoteForShell(value)}\n`).join("");
}

/** Variables that would act on the host's own programs on the way to the builder. */
const WITHHELD = /^(?:LD_.*|GLIBC_TUNABLES|MALLOC_.*|ENV|BASH_ENV|GCONV_PATH|LOCPATH)$/;

export interface SplitEnvironment {
  /** What the host's programs may see on the way to the builder. */
  readonly safe: ReadonlyMap<string, string>;
  /** What only the builder gets. */
  readonly withheld: ReadonlyMap<string, string>;
  /** No names of shell variables. */
  readonly odd: ReadonlyMap<string, string>;
}

const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function splitEnvironment(env: ReadonlyMap<ByteString, ByteString>): SplitEnvironment {
  const parts = {
    safe: new Map<string, string>(),
    withheld: new Map<string, string>(),
    odd: new Map<string, string>(),
  };
  for (const [name, value] of env) {
    const part = WITHHELD.test(name) ? "withheld" : SHELL_NAME.test(name) ? "safe" : "odd";
    parts[part].set(processText(name), processText(value));
  }
  return parts;
}

/**
 * The text that reaches a process as these bytes.
 * @throws {DevshellError} `BUILD_ARGUMENT` where no text does
 */
export function processText(bytes: ByteString): string {
  const text = textOfBytes(bytes);
  if (bytesOfText(text) !== bytes || text.includes("\0"))
    throw new DevshellError(
      "BUILD_ARGUMENT",
      `Cannot pass "${bytes.slice(0, 80)}" to a builder: it is not UTF-8, which is not built yet`,
    );
  return text;
}
