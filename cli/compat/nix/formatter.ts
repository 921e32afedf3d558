import { resolve } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import type { FlakePlaces, StoreContext } from "../../../env/index.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { printLine } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { becomeProgram } from "./becomeProgram.ts";
import { builtPathsOf } from "./builtPaths.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  openInstallables,
  takeInstallableFlag,
  type InstallableFlags,
} from "./installables.ts";
import { appOf, builtProgram, type App } from "./run.ts";

const FORMATTERS: FlakePlaces = { defaults: ["formatter.%"], prefixes: [] };

/** `nix formatter run` and `nix formatter build`. */
export async function formatter(argv: readonly string[]): Promise<number> {
  const at = argv.findIndex((word) => word === "run" || word === "build");
  if (at < 0) throw usageError("nix formatter", "no subcommand specified; there are run, build");
  const rest = argv.toSpliced(at, 1);
  return argv[at] === "run" ? await fmt(rest) : await buildFormatter(rest);
}

/** `nix fmt`: runs the flake's formatter over what is named. */
export async function fmt(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix fmt", argv, (word, next, { isLiteral }) => {
    if (!isLiteral && takeInstallableFlag(installables, word, next)) return true;
    if (!isLiteral && word.startsWith("-")) return false;
    words.push(word);
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix fmt" });
  const { app, sourcePath, status } = await builtFormatter(context, flags, installables);
  if (status !== 0) return status;
  const environment = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  if (sourcePath !== undefined) environment["PRJ_ROOT"] = sourcePath;
  return becomeProgram(context, app.program, words, environment);
}

async function buildFormatter(argv: readonly string[]): Promise<number> {
  const installables = newInstallableFlags();
  let outLink: string | undefined = "result";
  const flags = parseCommandLine("nix formatter build", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "-o" || word === "--out-link") outLink = next();
    else if (word === "--no-link") outLink = undefined;
    else return false;
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix formatter build" });
  const { app, status } = await builtFormatter(context, flags, installables);
  if (status !== 0) return status;
  if (outLink !== undefined)
    for (const [index, target] of app.targets.entries())
      for (const [output, path] of builtPathsOf(context, target)) {
        const numbered = index === 0 ? outLink : `${outLink}-${index}`;
        context.store.addRoot(
          bytesOfText(resolve(output === "out" ? numbered : `${numbered}-${output}`)),
          path,
        );
      }
  printLine(bytesOfText(app.program));
  return 0;
}

async function builtFormatter(
  context: StoreContext,
  flags: CommonFlags,
  installables: InstallableFlags,
): Promise<{ readonly app: App; readonly sourcePath: string | undefined; readonly status: number }> {
  const opened = openInstallables(context, flags, installables, ["."], FORMATTERS);
  const [installable] = opened.all;
  if (installable?.value === undefined) throw new Error("a flake has no value");
  const app = appOf(context, opened.evaluation(), installable.value());
  opened.evaluation().host.flush();
  const report = await context.tryRealise(app.targets);
  const status = reportFailures(report) > 0 ? 1 : 0;
  const program = status === 0 ? builtProgram(context, app, report) : app.program;
  return { app: { ...app, program }, sourcePath: installable.flake?.().sourcePath, status };
}
