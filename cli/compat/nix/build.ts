import { resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import {
  addGeneration,
  isWholeAddress,
  type DerivedPath,
  type OutputName,
  type RealiseReport,
  type StorePath,
} from "../../../store/index.ts";
import { openAskedStore, unsupported } from "../askedStore.ts";
import { parseCommandLine, type CommonFlags } from "../commandLine.ts";
import { realiseElsewhere } from "../realiseElsewhere.ts";
import { printLine, say, wordsOfStandardInput } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix build`. */
export async function build(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let outLink: string | undefined = "result";
  let isDryRun = false;
  let isJson = false;
  let isPrinting = false;
  let isRebuild = false;
  let hasStdin = false;
  let profile: string | undefined;
  const flags = parseCommandLine("nix build", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "-o" || word === "--out-link") outLink = next();
    else if (word === "--no-link") outLink = undefined;
    else if (word === "--dry-run") isDryRun = true;
    else if (word === "--json") isJson = true;
    else if (word === "--print-out-paths") isPrinting = true;
    else if (word === "--rebuild") isRebuild = true;
    else if (word === "--stdin") hasStdin = true;
    else if (word === "--profile") profile = next();
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (hasStdin) words.push(...wordsOfStandardInput());
  const open = (given: CommonFlags): StoreContext =>
    openInstallableContext(given, installables, { name: "nix build" });
  const isHere = isWholeAddress(flags.store);
  await using asked = isHere ? undefined : await openAskedStore(flags, { isTarget: true, open });
  using own = isHere ? open(flags) : undefined;
  const context = asked?.context ?? own;
  if (context === undefined) throw new Error("unreachable");
  if (asked !== undefined && profile !== undefined)
    throw unsupported(asked.store, "is not where profiles can be made");
  if (asked !== undefined) outLink = undefined;
  // Nothing on standard input means nothing, not the default.
  const targets = hasStdin && words.length === 0 ? [] : targetsOf(context, flags, installables, words);
  const options = {
    dryRun: isDryRun,
    mode: flags.isRepair ? "repair" : isRebuild ? "check" : "normal",
  } as const;
  const report =
    asked === undefined
      ? await context.tryRealise(targets, options)
      : await realiseElsewhere(asked, targets, options);
  // Unlike nix-build, `nix` knows one status for what failed.
  if (report.failures.length > 0) {
    const status = reportFailures(report) > 0 ? 1 : 0;
    const failed = report.results.filter((result) => result.status === "failed").map(showTarget);
    if (failed.length > 1) say(`error: build of ${failed.join(", ")} failed`);
    return status;
  }
  if (isJson) printLine(jsonOf(report.results));
  if (isDryRun) return 0;
  if (profile !== undefined) setProfile(context, profile, report);
  report.results.forEach(({ outputs }, index) => {
    for (const [output, path] of outputs) {
      if (outLink !== undefined) linkOutput(context, outLink, index, output, path);
      if (isPrinting) printLine(path);
    }
  });
  return 0;
}

function showTarget({ target }: { readonly target: DerivedPath }): string {
  if (target.kind === "opaque") return `'${target.path}'`;
  const inner = [target.drvPath, ...(target.via ?? [])].join("^");
  return `'${inner}^${target.outputs === "*" ? "*" : target.outputs.join(",")}'`;
}

/** As `nix-env --set`: the profile is what was built, alone. */
function setProfile(context: StoreContext, profile: string, { results }: RealiseReport): void {
  const [path, ...others] = results.flatMap(({ outputs }) => [...outputs].map(([, each]) => each));
  if (path === undefined || others.length > 0)
    throw new DevshellError(
      "CLI_USAGE",
      `'--profile' requires that the arguments produce a single store path, but there are ${path === undefined ? 0 : others.length + 1}`,
    );
  addGeneration(context.store, bytesOfText(resolve(profile)), path);
}

function linkOutput(
  context: StoreContext,
  outLink: string,
  index: number,
  output: OutputName,
  path: StorePath,
): void {
  const numbered = index === 0 ? outLink : `${outLink}-${index}`;
  context.store.addRoot(bytesOfText(resolve(output === "out" ? numbered : `${numbered}-${output}`)), path);
}

function jsonOf(results: RealiseReport["results"]): string {
  const entries = results.map(({ target, outputs }) =>
    target.kind === "opaque"
      ? textOfBytes(target.path)
      : { drvPath: target.drvPath, outputs: Object.fromEntries(outputs) },
  );
  return JSON.stringify(entries);
}
