import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { DevshellError, bytesOfText, textOfBytes, withoutLogins, type ByteString } from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";

export interface GitOptions {
  readonly signal: AbortSignal;
  /** Written to Git's standard input. */
  readonly input?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Gets the end of what Git says on standard error, whether it fails or not. */
  readonly onMessages?: ((said: ByteString) => void) | undefined;
  /** Takes the output as it comes; else it is collected, up to a bound. */
  readonly onOutput?: ((output: AsyncIterable<Buffer>) => Promise<void>) | undefined;
}

const MAX_OUTPUT_BYTES = 512 << 20;
const MAX_ERROR_BYTES = 64 << 10;
/** What reads a repository on this machine. */
const LOCAL_TIMEOUT_MS = 20 * 60_000;
/** What talks to a server; a stalled transfer ends long before, see `http.lowSpeedTime`. */
export const NETWORK_TIMEOUT_MS = 4 * 3600_000;

const PROTOCOLS = ["file", "git", "http", "https", "ssh"];
/** Variables by which a hook or a script has Git work on another repository than the one that is named. */
const OTHER_REPOSITORY = [
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_COMMON_DIR",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_NAMESPACE",
  "GIT_PREFIX",
  "GIT_QUARANTINE_PATH",
  "GIT_SHALLOW_FILE",
  "GIT_GRAFT_FILE",
  "GIT_REPLACE_REF_BASE",
  "GIT_TRACE",
  "GIT_EXTERNAL_DIFF",
];

/**
 * Runs Git without prompts, with the protocols of the allow list, and without what a repository's own configuration
 * could have it start.
 * @returns what it printed, as bytes
 * @throws {DevshellError} `FETCH_NO_GIT`, `FETCH_GIT`
 */
export async function runGit(args: readonly string[], options: GitOptions): Promise<ByteString> {
  const program = findProgram("git");
  if (program === undefined)
    throw new DevshellError("FETCH_NO_GIT", "Cannot fetch a Git repository: there is no program 'git'", {
      hint: "install Git, or put it in PATH",
    });
  options.signal.throwIfAborted();
  const child = spawn(program, [...SAFE_CONFIG, ...args], {
    env: { ...gitEnvironment(process.env), ...ceiling(args), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    signal: AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs ?? LOCAL_TIMEOUT_MS)]),
    killSignal: "SIGTERM",
  });
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve(code === 0 ? undefined : signal === null ? `exit code ${code}` : signal),
    );
  });
  ended.catch(() => undefined); // awaited below, after the output
  child.stdin.on("error", () => undefined); // Git ended before it read all; its status says why
  child.stdin.end(options.input === undefined ? "" : Buffer.from(options.input, "latin1"));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString("latin1")).slice(-MAX_ERROR_BYTES);
  });
  let output = "";
  try {
    if (options.onOutput === undefined) output = await collect(child.stdout);
    else await options.onOutput(child.stdout);
  } catch (error) {
    child.kill();
    child.stdout.destroy(); // 'close' waits for what nobody reads
    await ended.catch(() => undefined);
    options.signal.throwIfAborted();
    throw error;
  }
  const status = await ended;
  options.onMessages?.(said);
  if (status === undefined) return output;
  throw new DevshellError(
    "FETCH_GIT",
    `program 'git' failed with ${status}: ${withoutLogins(summary(said))}`,
  );
}

/** As {@link runGit}; `undefined` where Git says no. */
export async function tryGit(args: readonly string[], options: GitOptions): Promise<ByteString | undefined> {
  try {
    return await runGit(args, options);
  } catch (error) {
    if (error instanceof DevshellError && error.code === "FETCH_GIT") return undefined;
    throw error;
  }
}

const SAFE_CONFIG = [
  "core.fsmonitor=false",
  "core.hooksPath=/dev/null",
  "core.attributesFile=/dev/null",
  "core.quotePath=false",
  "fetch.recurseSubmodules=false",
  "gc.auto=0",
  "http.lowSpeedLimit=1",
  "http.lowSpeedTime=300",
  "maintenance.auto=false",
].flatMap((setting) => ["-c", setting]);

/** The variables that Git gets. */
export function gitEnvironment(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...base };
  for (const name of OTHER_REPOSITORY) delete env[name];
  const wanted = base["GIT_ALLOW_PROTOCOL"]?.split(":");
  env["GIT_ALLOW_PROTOCOL"] = PROTOCOLS.filter((name) => wanted === undefined || wanted.includes(name)).join(
    ":",
  );
  env["GIT_TERMINAL_PROMPT"] = "0";
  env["GIT_OPTIONAL_LOCKS"] = "0";
  env["GIT_ATTR_NOSYSTEM"] = "1";
  env["GIT_NO_REPLACE_OBJECTS"] = "1";
  env["LC_ALL"] = "C";
  if (env["GIT_SSH_COMMAND"] === undefined && env["GIT_SSH"] === undefined)
    env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes";
  return env;
}

/** Git looks for the named repository itself, not for one that it lies in. */
function ceiling([flag, directory]: readonly string[]): Readonly<Record<string, string>> {
  if (flag !== "-C" || directory === undefined) return {};
  try {
    return { GIT_CEILING_DIRECTORIES: dirname(realpathSync(directory)) };
  } catch {
    return {}; // absent: Git says so
  }
}

async function collect(output: AsyncIterable<Buffer>): Promise<ByteString> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of output) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_OUTPUT_BYTES)
      throw new DevshellError("FETCH_GIT", "Cannot use a Git repository: its listing is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("latin1");
}

/** Git's complaints in one line. */
function summary(said: ByteString): string {
  const lines = textOfBytes(said)
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => /^(?:fatal|error|remote):/.test(line));
  const text = lines.length > 0 ? lines.slice(0, 4).join("; ") : textOfBytes(said).trim().slice(-400);
  return text === "" ? "it did not say why" : text;
}

/** A path for Git's command line. */
export function gitPath(path: ByteString): string {
  const text = textOfBytes(path);
  if (bytesOfText(text) !== path)
    throw new DevshellError("FETCH_GIT", `Cannot fetch '${path}': its name is not UTF-8`);
  return text;
}
