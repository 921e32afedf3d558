import { textOfBytes } from "../../core/index.ts";
import type { BuildRequest } from "./buildRequest.ts";
import type { OutputPaths } from "./outputs/outputPaths.ts";
import { runHook } from "./runHook.ts";

/**
 * Runs the program of the option `post-build-hook` after a build, with the derivation and its outputs in `DRV_PATH` and
 * `OUT_PATHS`. What it prints goes into the log.
 * @throws {DevshellError} `BUILD_HOOK_FAILED`; the signal's reason when aborted
 */
export async function runPostBuildHook(
  { store, drvPath, signal, onLine }: Pick<BuildRequest, "store" | "drvPath" | "signal" | "onLine">,
  outputs: OutputPaths,
): Promise<void> {
  const program = store.settings.config.raw.get("post-build-hook") ?? "";
  if (program === "") return;
  const paths = [...outputs.values()].map(textOfBytes).join(" ");
  await runHook({
    name: "post-build-hook",
    program,
    args: [],
    env: { ...process.env, DRV_PATH: textOfBytes(drvPath), OUT_PATHS: paths },
    signal,
    onLine: (line) => onLine(`post-build-hook: ${line}`),
  });
}
