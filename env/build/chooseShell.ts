import { spawnSync } from "node:child_process";
import { isAbsolute } from "node:path";
import { DevshellError } from "../../core/index.ts";
import { findInPath, findProgram, isProgram } from "../../io/index.ts";

export interface ShellChoices {
  /** `NIX_BUILD_SHELL`. */
  readonly given: string | undefined;
  /** The one the environment names as its SHELL, from the store. */
  readonly own: string | undefined;
  /** nixpkgs' `bashInteractive`, where it was realised. */
  readonly interactive: string | undefined;
  /** The caller's PATH. */
  readonly hostPath: string;
  /** Where a store path's files lie. */
  readonly physicalPath: (path: string) => string;
}

/**
 * The Bash to start: the given one, the environment's own if it can edit lines, nixpkgs' interactive one, the
 * host's, at last whatever the environment has.
 * @throws {DevshellError} `ENV_NO_SHELL`
 */
export function chooseShell(choices: ShellChoices): string {
  const { given, own, interactive, hostPath, physicalPath } = choices;
  if (given !== undefined && given !== "") {
    const found = isAbsolute(given) ? given : findInPath(given, hostPath);
    if (found !== undefined && isProgram(found)) return found;
    throw new DevshellError("ENV_NO_SHELL", `Cannot start NIX_BUILD_SHELL "${given}": it is not a program`);
  }
  const hasOwn = own !== undefined && isProgram(physicalPath(own));
  if (hasOwn && canEditLines(physicalPath(own))) return own;
  if (interactive !== undefined && isProgram(physicalPath(interactive))) return interactive;
  const host = findProgram("bash");
  if (host !== undefined) return host;
  if (hasOwn) return own;
  throw new DevshellError("ENV_NO_SHELL", "Cannot find a Bash for the environment", {
    hint: "set NIX_BUILD_SHELL to one, or add bash to the environment",
  });
}

/** Build shells are often made without readline; `bind` tells. */
function canEditLines(bash: string): boolean {
  const result = spawnSync(bash, ["--noprofile", "--norc", "-c", "builtin bind -v"], {
    stdio: "ignore",
    env: {},
    timeout: 10_000,
  });
  return result.status === 0;
}
