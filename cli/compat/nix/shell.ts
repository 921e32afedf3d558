import { existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { isInStore, parseStorePath, type StorePath } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { reportFailures } from "../reportFailures.ts";
import { becomeProgram } from "./becomeProgram.ts";
import { builtPathsOf } from "./builtPaths.ts";
import { environmentOf, newEnvironmentFlags, takeEnvironmentFlag } from "./environmentFlags.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix shell`: a shell, or a command, with packages on its PATH. */
export async function shell(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const variables = newEnvironmentFlags();
  let command: readonly string[] = [process.env["SHELL"] ?? "bash"];
  const flags = parseCommandLine("nix shell", argv, (word, next, { isLiteral, rest }) => {
    if (isLiteral) words.push(word);
    else if (word === "-c" || word === "--command") {
      command = rest();
      if (command.length === 0) throw usageError("nix shell", "--command requires at least one argument");
    } else if (takeEnvironmentFlag(variables, word, next)) return true;
    else if (takeInstallableFlag(installables, word, next)) return true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix shell" });
  const targets = targetsOf(context, flags, installables, words);
  const report = await context.tryRealise(targets);
  if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  const environment = environmentOf(variables, process.env);
  const directories = programDirectories(
    context,
    targets.flatMap((target) => builtPathsOf(context, target)).map(([, path]) => path),
  );
  const path = environment["PATH"];
  environment["PATH"] = [...directories, ...(path === undefined ? [] : [path])].join(":");
  const [program = "", ...args] = command;
  return becomeProgram(context, program, args, environment);
}

/** `nix env shell`. */
export function env(argv: readonly string[]): Promise<number> {
  const at = argv.indexOf("shell");
  if (at < 0) throw usageError("nix env", "no subcommand specified; there is: shell");
  return shell(argv.toSpliced(at, 1));
}

/** `bin` of the paths and of what they propagate, links followed. */
function programDirectories(context: StoreContext, paths: readonly StorePath[]): string[] {
  const directories: string[] = [];
  const done = new Set<StorePath>();
  const todo = [...paths];
  for (let path = todo.shift(); path !== undefined; path = todo.shift()) {
    if (done.has(path)) continue;
    done.add(path);
    directories.push(withinStore(context, path, "bin"));
    const propagated = withinStore(context, path, "nix-support/propagated-user-env-packages");
    if (!existsSync(propagated)) continue;
    const words = readFileSync(propagated, "latin1").split(/\s+/);
    for (const word of words) if (word !== "") todo.push(parseStorePath(context.settings.storeDir, word));
  }
  return directories;
}

/** A place in a path of the store; what of it exists has its links followed, which must not lead out. */
function withinStore(context: StoreContext, path: StorePath, place: string): string {
  const whole = resolveLinks(join(textOfBytes(path), place));
  if (isInStore(context.settings.storeDir, bytesOfText(whole))) return whole;
  throw new DevshellError("STORE_LINK_OUTSIDE", `path '${whole}' is not in the Nix store`);
}

const MAX_LINKS = 1024;

/** As `realpath`, for a path of which not all needs to exist. */
function resolveLinks(path: string): string {
  let done = "/";
  let links = 0;
  const todo = path.split("/").filter((part) => part !== "");
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    const place = resolve(done, part);
    if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) {
      done = place;
      continue;
    }
    if (++links > MAX_LINKS)
      throw new DevshellError("STORE_LINK_LOOP", `Cannot follow the links of "${path}": too many`);
    todo.unshift(
      ...resolve(dirname(place), readlinkSync(place))
        .split("/")
        .filter((each) => each !== ""),
    );
    done = "/";
  }
  return done;
}
