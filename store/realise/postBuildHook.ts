import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import { knownOutputPaths } from "../format/derivation.ts";
import type { BuildRequest } from "./buildRequest.ts";

/**
 * Runs the program of the option `post-build-hook` after a build, with the derivation and its outputs in `DRV_PATH` and
 * `OUT_PATHS`. What it prints goes into the log.
 * @throws {DevshellError} `BUILD_HOOK_FAILED`; the signal's reason when aborted
 */
export async function runPostBuildHook({
  store,
  drvPath,
  derivation,
  signal,
  onLine,
}: Pick<BuildRequest, "store" | "drvPath" | "derivation" | "signal" | "onLine">): Promise<void> {
  const program = store.settings.config.raw.get("post-build-hook") ?? "";
  if (program === "") return;
  const outputs = [...knownOutputPaths(derivation).values()].filter((path) => path !== undefined);
  const child = spawn(program, [], {
    env: { ...process.env, DRV_PATH: textOfBytes(drvPath), OUT_PATHS: outputs.map(textOfBytes).join(" ") },
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killedBy) =>
      resolve(
        code === 0 ? undefined : code === null ? `due to signal ${killedBy}` : `with exit code ${code}`,
      ),
    );
  });
  for (const stream of [child.stdout, child.stderr])
    createInterface(stream.setEncoding("latin1")).on("line", (line) => onLine(`post-build-hook: ${line}`));
  let problem: string | undefined;
  try {
    problem = await ended;
  } catch (cause) {
    signal.throwIfAborted();
    throw new DevshellError("BUILD_HOOK_FAILED", `Cannot run the post-build-hook "${program}"`, {
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
