import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { bytesOfText } from "../../core/index.ts";
import type { EvalLink, StoreContext } from "../../env/index.ts";
import {
  isInStore,
  isWholeAddress,
  type DerivedPath,
  type OutputName,
  type RealiseReport,
  type StorePath,
} from "../../store/index.ts";
import { keepEvaluation, type Keeper } from "../keepEvaluation.ts";
import { openAskedStore } from "./askedStore.ts";
import { parseCommandLine, usageError, type CommonFlags } from "./commandLine.ts";
import { openContext } from "./context.ts";
import { realiseElsewhere } from "./realiseElsewhere.ts";
import { openCompatEvaluation, selectValues, type ExpressionSource } from "./evaluate.ts";
import { printHelp, printLine, printVersion } from "./output.ts";
import { reportFailures } from "./reportFailures.ts";
import { inStore, derivedPathOf } from "./storeArgument.ts";

interface Request {
  readonly flags: CommonFlags;
  readonly words: readonly string[];
  readonly attributePaths: readonly string[];
  readonly action: "build" | "help" | "version";
  readonly isStdin: boolean;
  readonly isExpression: boolean;
  readonly isDryRun: boolean;
  readonly isCheck: boolean;
  /** Undefined: none. */
  readonly outLink: string | undefined;
}

/** One output to be built, in the order in which it was asked for. */
interface Wanted {
  readonly drvPath: StorePath;
  readonly output: OutputName;
}

/** `nix-build`: evaluates, builds, links the results. */
export async function runNixBuild(argv: readonly string[]): Promise<number> {
  const request = parse(argv);
  if (request.action === "help") return printHelp("nix-build");
  if (request.action === "version") return printVersion("nix-build");
  if (!isWholeAddress(request.flags.store)) return await buildElsewhere(request);
  return keepEvaluation("nix-build", argv, (keeper) => build(request, keeper));
}

/** In a store that is none of this machine, where no links can be made. */
async function buildElsewhere(request: Request): Promise<number> {
  await using asked = await openAskedStore(request.flags, { isTarget: true });
  const { wanted } = wantedOutputs(request, asked.context);
  const report = await realiseElsewhere(asked, targetsOf(wanted), optionsOf(request));
  if (report.failures.length > 0) return reportFailures(report);
  if (!request.isDryRun) for (const path of builtPaths(report, wanted)) printLine(path);
  return 0;
}

function targetsOf(wanted: readonly Wanted[]): DerivedPath[] {
  return wanted.map(({ drvPath, output }) => ({ kind: "built", drvPath, outputs: [output] }));
}

function optionsOf({ isDryRun, isCheck, flags }: Request): Parameters<StoreContext["tryRealise"]>[1] {
  return { dryRun: isDryRun, mode: flags.isRepair ? "repair" : isCheck ? "check" : "normal" };
}

function builtPaths(report: RealiseReport, wanted: readonly Wanted[]): StorePath[] {
  return wanted.map(({ drvPath, output }, index) => {
    const path = report.results[index]?.outputs.get(output);
    if (path === undefined) throw new Error(`output ${output} of ${drvPath} was built but is not known`);
    return path;
  });
}

async function build(request: Request, keeper: Keeper): Promise<number> {
  using context = openContext(request.flags);
  const { wanted, isEvaluated } = wantedOutputs(request, context);
  keeper.endMessages();
  const report = await context.tryRealise(targetsOf(wanted), optionsOf(request));
  if (report.failures.length > 0) return reportFailures(report);
  if (request.isDryRun) return 0;
  const counters = new Map<StorePath, number>();
  const paths = builtPaths(report, wanted);
  const links: EvalLink[] = [];
  for (const [index, path] of paths.entries()) {
    const { drvPath, output } = wanted[index]!;
    const counter = counters.get(drvPath) ?? counters.size;
    counters.set(drvPath, counter);
    if (request.outLink !== undefined) {
      const numbered = counter === 0 ? request.outLink : `${request.outLink}-${counter + 1}`;
      const link = output === "out" ? numbered : `${numbered}-${output}`;
      const place = bytesOfText(resolve(link));
      context.store.addRoot(place, path);
      for (const made of [place, context.store.indirectRootOf(place)])
        if (made !== undefined) links.push({ link: made, target: realPathOf(context, path) });
    }
  }
  for (const path of paths) printLine(path);
  for (const path of paths) context.tracker.storePath(path);
  const isPlain = !request.isCheck && !request.flags.isRepair && wanted.length > 0;
  if (isPlain && isEvaluated) keeper.keep(context, links);
  return 0;
}

function parse(argv: readonly string[]): Request {
  const words: string[] = [];
  const attributePaths: string[] = [];
  let action: Request["action"] = "build";
  let isStdin = false;
  let isExpression = false;
  let isDryRun = false;
  let isCheck = false;
  let outLink: string | undefined = "./result";
  const flags = parseCommandLine("nix-build", argv, (word, next) => {
    switch (word) {
      case "--help":
        action = "help";
        return true;
      case "--version":
        action = "version";
        return true;
      case "--add-drv-link":
      case "--indirect":
        return true;
      case "--drv-link":
        next();
        return true;
      case "--no-out-link":
      case "--no-link":
        outLink = undefined;
        return true;
      case "-o":
      case "--out-link":
      case "--add-root":
        outLink = next();
        return true;
      case "-A":
      case "--attr":
        attributePaths.push(next());
        return true;
      case "-E":
      case "--expr":
        isExpression = true;
        return true;
      case "--dry-run":
        isDryRun = true;
        return true;
      case "--check":
        isCheck = true;
        return true;
      case "-":
        isStdin = true;
        return true;
      default:
        if (word.startsWith("-")) return false;
        words.push(word);
        return true;
    }
  });
  return { flags, words, attributePaths, action, isStdin, isExpression, isDryRun, isCheck, outLink };
}

function wantedOutputs(
  request: Request,
  context: StoreContext,
): { readonly wanted: readonly Wanted[]; readonly isEvaluated: boolean } {
  const { storeDir } = context.settings;
  const wanted: Wanted[] = [];
  const sources: ExpressionSource[] = [];
  if (request.isStdin) sources.push({ kind: "stdin" });
  else
    for (const word of request.words)
      if (request.isExpression) sources.push({ kind: "text", text: word });
      else if (isDerivationWord(storeDir, word)) wanted.push(...outputsOfWord(context, word));
      else sources.push({ kind: "file", file: word });
  if (request.words.length === 0 && !request.isStdin && !request.isExpression)
    sources.push({ kind: "file", file: "." });
  if (sources.length === 0) return { wanted, isEvaluated: false };
  const evaluation = openCompatEvaluation(context, request.flags);
  for (const source of sources)
    for (const { value } of selectValues(evaluation, evaluation.evaluate(source), request.attributePaths))
      for (const { drvPath, outputName } of evaluation.derivationsOf(value))
        wanted.push({ drvPath, output: outputName });
  evaluation.host.flush();
  return { wanted, isEvaluated: true };
}

/** Where a store path's bytes lie on this side of a mount namespace. */
function realPathOf({ settings }: StoreContext, path: StorePath): string {
  const { storeDir, realStoreDir = storeDir } = settings;
  return realStoreDir + path.slice(storeDir.length);
}

/** `….drv` in the store, with `!output` or without. */
function isDerivationWord(storeDir: string, word: string): boolean {
  const path = word.replace(/![^/]*$/, "");
  if (path.startsWith("<") || !(path.endsWith(".drv") || existsSync(path))) return false;
  const place = inStore(storeDir, path);
  return isInStore(storeDir, place) && place.endsWith(".drv");
}

/** Without a named output it is the first one, as for a value of the language. */
function outputsOfWord(context: StoreContext, word: string): Wanted[] {
  const target = derivedPathOf(context.settings.storeDir, word);
  if (target.kind !== "built") throw usageError("nix-build", `'${word}' is not a derivation`);
  const { drvPath, outputs } = target;
  if (outputs !== "*") return outputs.map((output) => ({ drvPath, output }));
  const names = [...context.evalStore.readDerivation(drvPath).outputs.keys()];
  const output = names.includes("out") ? "out" : names[0];
  return output === undefined ? [] : [{ drvPath, output }];
}
