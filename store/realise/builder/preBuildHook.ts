import { DevshellError, textOfBytes, type ByteString } from "../../../core/index.ts";
import type { BuildRequest } from "../buildRequest.ts";
import { runHook } from "../runHook.ts";

/**
 * Runs the program of the option `pre-build-hook` with the derivation's path and, for a sandboxed build, its root
 * directory. Its standard output holds commands: `extra-sandbox-paths`, then a path a line, then an empty one.
 * @returns paths to bind, as the option `sandbox-paths` writes them
 * @throws {DevshellError} `BUILD_HOOK_FAILED`; the signal's reason when aborted
 */
export async function runPreBuildHook(
  { store, drvPath, signal, onLine }: Pick<BuildRequest, "store" | "drvPath" | "signal" | "onLine">,
  chrootDir: ByteString | undefined,
): Promise<readonly string[]> {
  const program = store.settings.config.raw.get("pre-build-hook") ?? "";
  if (program === "") return [];
  const lines: string[] = [];
  await runHook({
    name: "pre-build-hook",
    program,
    args: [drvPath, ...(chrootDir === undefined ? [] : [chrootDir])].map(textOfBytes),
    env: process.env,
    signal,
    onLine: (line) => onLine(`pre-build-hook: ${line}`),
    onOutputLine: (line) => void lines.push(line),
  });
  return sandboxPathsOf(lines);
}

function sandboxPathsOf(lines: readonly string[]): readonly string[] {
  const paths: string[] = [];
  let isListing = false;
  for (const line of lines)
    if (isListing && line === "") isListing = false;
    else if (isListing) paths.push(line);
    else if (line === "extra-sandbox-paths" || line === "extra-chroot-dirs") isListing = true;
    else
      throw new DevshellError("BUILD_HOOK_FAILED", `unknown pre-build hook command '${line}'`, {
        exitStatus: 100,
      });
  return paths;
}
