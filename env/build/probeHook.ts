import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, type ByteString } from "../../core/index.ts";
import { findProgram, isProgram } from "../../io/index.ts";
import { renderHookProbe, type RenderOptions } from "../render/renderShell.ts";
import type { BuildEnvironment } from "../types.ts";

export interface ProbeRequest extends RenderOptions {
  readonly environment: BuildEnvironment;
  /** The caller's variables, before the environment. */
  readonly caller: NodeJS.ProcessEnv;
  /** Where the hook runs. */
  readonly directory: string;
  readonly timeLimitMs?: number | undefined;
}

/** The exported variables around a shell hook. */
export interface HookChanges {
  readonly before: ReadonlyMap<string, ByteString>;
  readonly after: ReadonlyMap<string, ByteString>;
}

const TIME_LIMIT_MS = 20_000;
const MAX_OUTPUT_BYTES = 4096;
const MAX_OUTPUT_LINES = 10;
/** As /usr/bin/env first: the environment's own may be another machine's. */
const ENV_PLACES = ["/usr/bin/env", "/bin/env"];

/**
 * Runs an environment's shell hook once, without a terminal and without input, and says what it exports. What the hook
 * starts ends with it, unless it left the process group.
 * @throws {DevshellError} `ENV_HOOK_FAILED` with the last lines it printed
 */
export async function probeHook(
  request: ProbeRequest,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<HookChanges> {
  signal?.throwIfAborted();
  const { environment, caller, directory, scriptsDir } = request;
  const env = ENV_PLACES.find(isProgram) ?? findProgram("env");
  if (env === undefined) throw failed("this machine has no `env`");
  const keep = new Set(environment.keep);
  const given = Object.entries(caller).filter(([name]) => !environment.isPure || keep.has(name));
  const dir = await mkdtemp(join(tmpdir(), "devshell-hook-"));
  try {
    const [script, before, after] = [join(dir, "hook.bash"), join(dir, "before"), join(dir, "after")];
    const text = renderHookProbe(environment, { scriptsDir, env, before, after });
    await writeFile(script, text, { encoding: "latin1", mode: 0o600 });
    const child = spawn(environment.shell, ["--noprofile", "--norc", script], {
      cwd: directory,
      env: { ...Object.fromEntries(given), PWD: directory },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what it started ends with it.
      detached: true,
    });
    await ended(child, request.timeLimitMs ?? TIME_LIMIT_MS, signal);
    const dump = async (file: string): Promise<ReadonlyMap<string, ByteString>> =>
      parseVariables(await readFile(file, "latin1"));
    return {
      before: await dump(before),
      after: await dump(after).catch(() => {
        throw failed("it ended the shell, as `exit` and `exec` do");
      }),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Resolves when the process has ended well. */
async function ended(
  child: ChildProcess,
  timeLimitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let output = Buffer.alloc(0);
  const collect = (chunk: Buffer): void => {
    output = Buffer.concat([output, chunk]).subarray(-MAX_OUTPUT_BYTES);
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  const endGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it ended already
    }
  };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    endGroup();
  }, timeLimitMs);
  signal?.addEventListener("abort", endGroup, { once: true });
  process.once("exit", endGroup);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    child.once("error", (error) => reject(failed(error.message)));
    // Not `close`: what it left running may hold its output open.
    child.once("exit", (status, killedBy) =>
      resolve(status === 0 ? undefined : killedBy === null ? `status ${String(status)}` : killedBy),
    );
    const how = await promise;
    signal?.throwIfAborted();
    if (isLate) throw failed(`it ran for more than ${timeLimitMs / 1000} s`, output);
    if (how !== undefined) throw failed(`it ended with ${how}`, output);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", endGroup);
    process.off("exit", endGroup);
    endGroup();
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

function parseVariables(dump: string): Map<string, ByteString> {
  const variables = new Map<string, ByteString>();
  for (const entry of dump.split("\0")) {
    const at = entry.indexOf("=");
    if (at > 0) variables.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return variables;
}

function failed(why: string, output: Uint8Array = new Uint8Array()): DevshellError {
  const lines = Buffer.from(output).toString("utf8").trimEnd().split("\n").slice(-MAX_OUTPUT_LINES);
  const printed = lines.join("\n");
  return new DevshellError(
    "ENV_HOOK_FAILED",
    `Cannot run the shell hook: ${why}${printed === "" ? "" : `, after printing:\n${printed}`}`,
    { hint: "without a terminal a hook must end by itself, and without `exit` or `exec`" },
  );
}
