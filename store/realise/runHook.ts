import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DevshellError } from "../../core/index.ts";

export interface HookRun {
  /** The option that names the program. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string | undefined;
  readonly signal: AbortSignal;
  /** What it prints, a byte string a line. */
  readonly onLine: (line: string) => void;
  /** Where its standard output goes, if not to `onLine`. */
  readonly onOutputLine?: ((line: string) => void) | undefined;
}

/**
 * Runs a program that the configuration names, to its end.
 * @throws {DevshellError} `BUILD_HOOK_FAILED`; the signal's reason when aborted
 */
export async function runHook({ name, program, args, env, cwd, signal, ...run }: HookRun): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(program, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"], signal });
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killedBy) =>
      resolve(
        code === 0 ? undefined : code === null ? `due to signal ${killedBy}` : `with exit code ${code}`,
      ),
    );
  });
  createInterface(child.stdout.setEncoding("latin1")).on("line", run.onOutputLine ?? run.onLine);
  createInterface(child.stderr.setEncoding("latin1")).on("line", run.onLine);
  let problem: string | undefined;
  try {
    problem = await ended;
  } catch (cause) {
    signal.throwIfAborted();
    throw new DevshellError("BUILD_HOOK_FAILED", `Cannot run the ${name} "${program}"`, {
      cause,
      hint: "the option names a program by its absolute path",
      exitStatus: 100,
    });
  }
  signal.throwIfAborted();
  if (problem !== undefined)
    throw new DevshellError("BUILD_HOOK_FAILED", `program '${program}' failed ${problem}`, {
      exitStatus: 100,
    });
}
