import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { DevshellError } from "../../core/index.ts";

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
    if (found !== undefined && isExecutable(found)) return found;
    throw new DevshellError("ENV_NO_SHELL", `Cannot start NIX_BUILD_SHELL "${given}": it is not a program`);
  }
  const hasOwn = own !== undefined && isExecutable(physicalPath(own));
  if (hasOwn && canEditLines(physicalPath(own))) return own;
  if (interactive !== undefined && isExecutable(physicalPath(interactive))) return interactive;
  const host = findInPath("bash", hostPath) ?? ["/bin/bash", "/usr/bin/bash"].find(isExecutable);
  if (host !== undefined) return host;
  if (hasOwn) return own;
  throw new DevshellError("ENV_NO_SHELL", "Cannot find a Bash for the environment", {
    hint: "set NIX_BUILD_SHELL to one, or add bash to the environment",
  });
}

export function findInPath(name: string, path: string): string | undefined {
  return path
    .split(":")
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
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
