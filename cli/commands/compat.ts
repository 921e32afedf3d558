import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { DevshellError } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";
import { COMPAT_NAMES } from "../compat/names.ts";
import { launcherPath } from "../launcher.ts";

/** `devshell compat DIR`: links to the launcher, which looks at its own name. */
export function run({ words, flags }: Invocation): number {
  const directory = resolve(words[0] ?? "");
  const launcher = launcherPath();
  mkdirSync(directory, { recursive: true });
  for (const name of COMPAT_NAMES) {
    const link = join(directory, name);
    const stat = lstatSync(link, { throwIfNoEntry: false });
    if (stat !== undefined) {
      const isOurs = stat.isSymbolicLink() && readlinkSync(link) === launcher;
      if (!isOurs && !flags.has("force"))
        throw new DevshellError("CLI_COMPAT_EXISTS", `Cannot make "${link}": something else is there`, {
          hint: "choose another directory, or give --force to replace it",
        });
      rmSync(link, { force: true });
    }
    symlinkSync(launcher, link);
  }
  process.stdout.write(`${COMPAT_NAMES.length} commands in ${directory}; put it on PATH\n`);
  return 0;
}
