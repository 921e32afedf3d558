import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, type ByteString } from "../../core/index.ts";
import { isVariableName, quoteSh } from "../render/quote.ts";
import { parseDeclarations, type Declaration } from "./parseDeclarations.ts";

/** What Bash holds after the setup ran. */
export interface CapturedSetup {
  readonly declarations: readonly Declaration[];
  /** Name → `name () { … }` as `declare -f` prints it. */
  readonly functions: ReadonlyMap<string, string>;
  /** Variables that the setup unsets, so that the caller's values go too. */
  readonly unset: readonly string[];
  /** Everything the setup printed. */
  readonly output: string;
}

export interface SetupRequest {
  readonly bash: string;
  /** The whole environment of the process: nothing of the caller's is added. Byte strings. */
  readonly environment: ReadonlyMap<string, ByteString>;
  /** A Bash text to source first (`.attrs.sh`), or undefined. */
  readonly attrsFile?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

const OUTPUT_LIMIT_BYTES = 1 << 20;

/**
 * Variables that programs of a store must often not see. The script sets them, empty and not exported; a setup that
 * unsets them is seen by their absence.
 */
const PROBED_VARIABLES = [
  "LD_LIBRARY_PATH",
  "LD_PRELOAD",
  "LOCPATH",
  "GCONV_PATH",
  "PERL5LIB",
  "PYTHONHOME",
  "PYTHONPATH",
  "GIO_EXTRA_MODULES",
  "XDG_DATA_DIRS",
];

/**
 * Sources `$stdenv/setup` in a clean Bash, once, and reads back every variable and function.
 * @throws {DevshellError} `ENV_SETUP_FAILED` with the last lines it printed
 */
export async function captureSetup(
  request: SetupRequest,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<CapturedSetup> {
  signal?.throwIfAborted();
  const dir = await mkdtemp(join(tmpdir(), "devshell-setup-")).catch((error: unknown) => {
    throw new DevshellError(
      "ENV_TMPDIR",
      `Cannot make a temporary directory in "${tmpdir()}": ${(error as Error).message}`,
      { hint: "set TMPDIR to a directory of yours that exists", cause: error },
    );
  });
  try {
    await mkdir(join(dir, "build"));
    const script = join(dir, "capture.sh");
    await writeFile(script, captureScript(request, dir), "latin1");
    const { status, output } = await runBash(request, script, dir, signal);
    const isComplete = await readFile(join(dir, "done"), "latin1").catch(() => undefined);
    if (status !== 0 || isComplete === undefined) throw setupFailed(status, output);
    const [declared, functions] = await Promise.all([
      readFile(join(dir, "declarations"), "latin1"),
      readFile(join(dir, "functions"), "latin1"),
    ]);
    // what the setup derived from its own temporary directory means the caller's
    const declarations = parseDeclarations(declared.replaceAll(`${dir}/build`, "/tmp"));
    const left = new Map(declarations.map((declaration) => [declaration.name, declaration.variable]));
    const isProbe = (name: string): boolean => {
      const variable = left.get(name);
      return !request.environment.has(name) && variable?.kind === "var" && variable.value === "";
    };
    return {
      declarations: declarations.filter(({ name }) => !PROBED_VARIABLES.includes(name) || !isProbe(name)),
      unset: PROBED_VARIABLES.filter((name) => !left.has(name) && !request.environment.has(name)),
      functions: splitFunctions(functions),
      output,
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Names of the script's own begin with `__devshell`. The variables stand in the script, not in the process's
 * environment, where Node could pass only valid UTF-8.
 */
function captureScript({ attrsFile, environment }: SetupRequest, dir: string): string {
  const exports = [...environment]
    .filter(([name, value]) => isVariableName(name) && !value.includes("\0"))
    .map(([name, value]) => `export ${name}=${quoteSh(value)}\n`)
    .join("");
  const probes = PROBED_VARIABLES.filter((name) => !environment.has(name)).map((name) => `${name}=\n`);
  return `${probes.join("")}${exports}export NIX_BUILD_TOP TMPDIR TMP TEMP TEMPDIR
NIX_BUILD_TOP=${quoteSh(`${dir}/build`)}
TMPDIR=$NIX_BUILD_TOP TMP=$NIX_BUILD_TOP TEMP=$NIX_BUILD_TOP TEMPDIR=$NIX_BUILD_TOP
cd "$NIX_BUILD_TOP" || exit 1
unset OLDPWD
export dontAddDisableDepTrack=1
${attrsFile === undefined ? "" : `source ${quoteSh(attrsFile)}\n`}
if [ -n "\${stdenv-}" ] && [ -e "$stdenv/setup" ]; then source "$stdenv/setup"; fi
set +eu
trap - EXIT ERR DEBUG
(
  unset -f builtin declare read printf
  builtin declare -p > ${quoteSh(`${dir}/declarations`)}
  builtin declare -F > ${quoteSh(`${dir}/names`)}
  while builtin read -r __devshell_d __devshell_f __devshell_name; do
    builtin printf '%s\\0' "$__devshell_name"
    builtin declare -f -- "$__devshell_name"
    builtin printf '\\0'
  done < ${quoteSh(`${dir}/names`)} > ${quoteSh(`${dir}/functions`)}
) && : > ${quoteSh(`${dir}/done`)}
exit 0
`;
}

async function runBash(
  request: SetupRequest,
  script: string,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<{ status: number | null; output: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | null; output: string }>();
  // its own process group, so that what the setup started ends with it
  const child = spawn(request.bash, ["--noprofile", "--norc", script], {
    env: {},
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const end = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it ended already
    }
  };
  const chunks: Buffer[] = [];
  let size = 0;
  const collect = (chunk: Buffer): void => {
    size += chunk.length;
    if (size < OUTPUT_LIMIT_BYTES) chunks.push(chunk);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const timer = setTimeout(end, request.timeoutMs ?? 300_000);
  signal?.addEventListener("abort", end, { once: true });
  child.once("error", reject);
  child.once("close", (status) => resolve({ status, output: Buffer.concat(chunks).toString("utf8") }));
  try {
    const result = await promise;
    signal?.throwIfAborted();
    return result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

function setupFailed(status: number | null, output: string): DevshellError {
  const lines = output.trimEnd().split("\n").slice(-10).join("\n");
  return new DevshellError(
    "ENV_SETUP_FAILED",
    `Cannot compute the environment: the setup script ended with ${status === null ? "a signal" : `status ${status}`}${lines === "" ? "" : `, after printing:\n${lines}`}`,
  );
}

/** Pairs of name and definition, each ended by a NUL, which no shell text holds. */
function splitFunctions(text: string): Map<string, string> {
  const parts = text.split("\0");
  const functions = new Map<string, string>();
  for (let n = 0; n + 1 < parts.length; n += 2) functions.set(parts[n] ?? "", (parts[n + 1] ?? "").trimEnd());
  return functions;
}
