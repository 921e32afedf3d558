import { DevshellError } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { findInPath, findProgram, isProgram } from "../../../io/index.ts";
import { withoutInternals } from "../../launcher.ts";

/** Where programs are looked for without PATH, as `execvp` does. */
const USUAL_PATH = "/bin:/usr/bin";

/**
 * This process becomes a program: it has our process's number, its own environment and the caller's limits.
 * @param program a path, or a name that is looked up in the environment's PATH
 * @throws {DevshellError} `CLI_NOT_EXECUTABLE`
 */
export function becomeProgram(
  context: StoreContext,
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  const { storeDir, realStoreDir = storeDir } = context.settings;
  if (realStoreDir !== storeDir)
    throw new DevshellError(
      "CLI_NOT_BUILT",
      `Cannot run "${program}": running programs of a store that lies elsewhere ("${realStoreDir}" for "${storeDir}") is not built yet`,
    );
  const path = program.includes("/") ? program : findInPath(program, environment["PATH"] ?? USUAL_PATH);
  if (path === undefined || !isProgram(path))
    throw new DevshellError(
      "CLI_NOT_EXECUTABLE",
      `unable to execute '${program}': No such file or directory`,
    );
  const given = withoutInternals(environment) as Record<string, string>;
  // Evaluation has a deep stack; a program gets the caller's limit back, which only a shell can set.
  const limit = process.env["DEVSHELL_STACK"];
  const shell = findProgram("sh");
  if (limit !== undefined && shell !== undefined) {
    // What shells set by themselves is no variable of the caller's.
    const added = ["PWD", "OLDPWD", "SHLVL", "_"].filter((name) => !Object.hasOwn(given, name));
    const script = `ulimit -S -s "$1" 2>/dev/null; shift; unset ${added.join(" ")} devshell; exec "$@"`;
    process.execve?.(shell, ["sh", "-c", script, "sh", limit, path, ...args], given);
  }
  process.execve?.(path, [path, ...args], given);
  throw new DevshellError("CLI_NOT_EXECUTABLE", `unable to execute '${program}': this Node cannot`);
}
