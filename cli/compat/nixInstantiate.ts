import { resolve } from "node:path";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import {
  AttrSet,
  coerceToString,
  isList,
  printAmbiguous,
  printExpr,
  printJson,
  printXml,
} from "../../lang/index.ts";
import type { Value } from "../../lang/index.ts";
import { StoreEndpoint, copyPaths, isWholeAddress } from "../../store/index.ts";
import { keepEvaluation, type Keeper } from "../keepEvaluation.ts";
import { openAskedStore } from "./askedStore.ts";
import { parseCommandLine, type CommonFlags } from "./commandLine.ts";
import { openContext } from "./context.ts";
import {
  openCompatEvaluation,
  selectValues,
  type CompatEvaluation,
  type ExpressionSource,
} from "./evaluate.ts";
import { printBytes, printHelp, printLine, printVersion, ROOT_WARNING, warnNoRoot } from "./output.ts";

type Output = "plain" | "raw" | "xml" | "json";

interface Request {
  readonly flags: CommonFlags;
  readonly words: readonly string[];
  readonly attributePaths: readonly string[];
  readonly action: "instantiate" | "eval" | "parse" | "findFile" | "help" | "version";
  readonly output: Output;
  readonly isStdin: boolean;
  readonly isExpression: boolean;
  readonly isStrict: boolean;
  readonly hasLocations: boolean;
  readonly isReadOnly: boolean;
  readonly root: string | undefined;
}

/** Attributes that are kept each for itself. */
const MAX_PARTS = 20;

/** `nix-instantiate`: writes derivations, or evaluates, parses, or looks files up. */
export async function runNixInstantiate(argv: readonly string[]): Promise<number> {
  const request = parse(argv);
  if (request.action === "help") return printHelp("nix-instantiate");
  if (request.action === "version") return printVersion("nix-instantiate");
  if (request.action === "instantiate" && !isWholeAddress(request.flags.store))
    return await instantiateElsewhere(request);
  return keepEvaluation("nix-instantiate", argv, (keeper) => run(request, argv, keeper));
}

/** Evaluates over this machine's store, and copies what was made to the one that `--store` names. */
async function instantiateElsewhere(request: Request): Promise<number> {
  if (request.root !== undefined)
    throw new DevshellError(
      "CLI_ROOT_ELSEWHERE",
      `Cannot add a root to the store "${request.flags.store}": it is none of this machine`,
    );
  await using asked = await openAskedStore(request.flags, { isTarget: true });
  const { context, store } = asked;
  const evaluation = openCompatEvaluation(context, request.flags);
  const found = sourcesOf(request).flatMap((source) =>
    selectValues(evaluation, evaluation.evaluate(source), request.attributePaths).flatMap(({ value }) => [
      ...evaluation.derivationsOf(value),
    ]),
  );
  evaluation.host.flush();
  const source = new StoreEndpoint(context.store);
  const paths = found.map(({ drvPath }) => drvPath);
  await copyPaths({ source, target: store, paths, isRecursive: true });
  for (const { drvPath, outputName } of found)
    printLine(`${drvPath}${outputName === "out" ? "" : `!${outputName}`}`);
  return 0;
}

function run(request: Request, argv: readonly string[], keeper: Keeper): number {
  // Without `using`: see `keepEvaluation`.
  const context = openContext(request.flags, {
    isReadOnly: request.isReadOnly,
    isRecording: keeper.isKeeping,
  });
  try {
    return runIn(context, request, argv, keeper);
  } finally {
    context[Symbol.dispose]();
  }
}

function runIn(context: StoreContext, request: Request, argv: readonly string[], keeper: Keeper): number {
  const evaluation = openCompatEvaluation(context, request.flags);
  if (request.action === "findFile") {
    for (const word of request.words) printLine(evaluation.evaluator.findFile(bytesOfText(word)));
    return 0;
  }
  if (request.action === "parse") {
    printParsed(request, evaluation);
    keeper.keep(context);
    return 0;
  }
  let roots = 0;
  let fullyLazy: CompatEvaluation | undefined;
  for (const source of sourcesOf(request)) {
    const select = selectorFrom(evaluation, source);
    const selectAgain = (attributePaths: readonly string[]): SelectedValues => {
      fullyLazy ??= openCompatEvaluation(context, request.flags, { isFullyLazy: true });
      return selectorFrom(fullyLazy, source)(attributePaths);
    };
    const print = (attributePaths: readonly string[]): void => {
      const selected = select(attributePaths);
      if (request.action === "eval")
        printEvaluated(request, evaluation, selected, () => selectAgain(attributePaths));
      else for (const { value } of selected) roots = instantiate(request, context, evaluation, value, roots);
    };
    const parts = partsOf(request, argv);
    if (parts.length === 0) print(request.attributePaths);
    const isWarned = isRootWarned(request);
    for (const { attributePath, words } of parts)
      keeper.part(context, {
        words,
        messages: isWarned ? `${ROOT_WARNING}\n` : "",
        print: () => print([attributePath]),
        warn: () => {
          if (isWarned) warnNoRoot();
        },
      });
  }
  if (roots === 0) keeper.keep(context);
  return 0;
}

/**
 * Of several attributes of one expression, each is kept for itself: what only one of them reads may change.
 * @returns none where they are not to be told apart
 */
function partsOf(
  request: Request,
  argv: readonly string[],
): { readonly attributePath: string; readonly words: readonly string[] }[] {
  const { attributePaths, words, isStdin, root } = request;
  const isOne = words.length + (isStdin ? 1 : 0) <= 1;
  const isUsual = request.action === "eval" || request.action === "instantiate";
  if (attributePaths.length < 2 || attributePaths.length > MAX_PARTS || !isOne || !isUsual) return [];
  const others: string[] = [];
  const found: string[] = [];
  for (let at = 0; at < argv.length; at++)
    if (argv[at] === "-A" || argv[at] === "--attr") found.push(argv[++at] ?? "");
    else others.push(argv[at] ?? "");
  if (root !== undefined || found.join("\0") !== attributePaths.join("\0")) return [];
  return found.map((attributePath) => ({ attributePath, words: [...others, "-A", attributePath] }));
}

function isRootWarned({ flags, root, action, isReadOnly }: Request): boolean {
  return action === "instantiate" && root === undefined && flags.isRootWarned && !isReadOnly;
}

/** Prints many small files' trees together: a write for each is a tenth of the time. */
function printParsed(request: Request, evaluation: CompatEvaluation): void {
  let text = "";
  try {
    for (const source of sourcesOf(request)) {
      text += `${printExpr(evaluation.parse(source))}\n`;
      if (text.length < PRINTED_TOGETHER) continue;
      printBytes(text);
      text = "";
    }
  } finally {
    printBytes(text);
  }
}

const PRINTED_TOGETHER = 1 << 16;

function parse(argv: readonly string[]): Request {
  const words: string[] = [];
  const attributePaths: string[] = [];
  let action: Request["action"] = "instantiate";
  let output: Output = "plain";
  let isStdin = false;
  let isExpression = false;
  let isStrict = false;
  let hasLocations = true;
  let isReadWrite = false;
  let isDryRun = false;
  let root: string | undefined;
  const flags = parseCommandLine("nix-instantiate", argv, (word, next) => {
    switch (word) {
      case "--help":
        action = "help";
        return true;
      case "--version":
        action = "version";
        return true;
      case "-":
        isStdin = true;
        return true;
      case "-E":
      case "--expr":
        isExpression = true;
        return true;
      case "--eval":
      case "--eval-only":
        if (action === "instantiate") action = "eval";
        return true;
      case "--parse":
      case "--parse-only":
        if (action === "instantiate" || action === "eval") action = "parse";
        return true;
      case "--find-file":
        action = "findFile";
        return true;
      case "--read-write-mode":
        isReadWrite = true;
        return true;
      case "-A":
      case "--attr":
        attributePaths.push(next());
        return true;
      case "--add-root":
        root = next();
        return true;
      case "--indirect":
        return true;
      case "--raw":
        output = "raw";
        return true;
      case "--xml":
        output = "xml";
        return true;
      case "--json":
        output = "json";
        return true;
      case "--no-location":
        hasLocations = false;
        return true;
      case "--strict":
        isStrict = true;
        return true;
      case "--dry-run":
        isDryRun = true;
        return true;
      default:
        if (word.startsWith("-")) return false;
        words.push(word);
        return true;
    }
  });
  const isEvaluating = action !== "instantiate";
  return {
    flags,
    words,
    attributePaths,
    action,
    output,
    isStdin,
    isExpression,
    isStrict,
    hasLocations,
    isReadOnly: flags.isReadOnly || isDryRun || (isEvaluating && !isReadWrite),
    root,
  };
}

function sourcesOf({ words, isStdin, isExpression }: Request): ExpressionSource[] {
  const sources = words.map((word): ExpressionSource =>
    isExpression ? { kind: "text", text: word } : { kind: "file", file: word },
  );
  if (isStdin) return [{ kind: "stdin" }, ...sources];
  return sources.length === 0 && !isExpression ? [{ kind: "file", file: "./default.nix" }] : sources;
}

type SelectedValues = readonly { readonly value: Value; readonly pos: number }[];

/** Selects from an expression that is evaluated once. */
function selectorFrom(
  evaluation: CompatEvaluation,
  source: ExpressionSource,
): (attributePaths: readonly string[]) => SelectedValues {
  let root: Value | undefined;
  return (attributePaths) => {
    root ??= evaluation.evaluate(source);
    return selectValues(evaluation, root, attributePaths);
  };
}

/** @param selectAgain what is selected, by an evaluation that delays all that Nix delays */
function printEvaluated(
  request: Request,
  evaluation: CompatEvaluation,
  selected: SelectedValues,
  selectAgain: () => SelectedValues,
): void {
  let again: SelectedValues | undefined;
  for (const [i, { value, pos }] of selected.entries()) {
    const result = withArguments(request, evaluation, value);
    // With a debugger, all was delayed the first time.
    if (showsThunks(request, result) && !request.flags.hasDebugger) {
      again ??= selectAgain();
      printOne(request, evaluation, withArguments(request, evaluation, again[i]!.value), pos);
    } else evaluation.evaluator.run(() => printOne(request, evaluation, result, pos));
  }
}

function withArguments(
  request: Request,
  { evaluator, autoArguments }: CompatEvaluation,
  value: Value,
): Value {
  return request.flags.arguments.length === 0 ? value : evaluator.autoCall(value, autoArguments);
}

/** Whether it is seen which parts of a value are evaluated. Ours may be where Nix's are not, if that is cheap. */
function showsThunks({ isStrict, output }: Request, value: Value): boolean {
  if (isStrict || (output !== "plain" && output !== "xml")) return false;
  return value instanceof AttrSet ? value.size > 0 : isList(value) && value.length > 0;
}

function printOne(request: Request, evaluation: CompatEvaluation, result: Value, pos: number): void {
  const { runtime } = evaluation.evaluator;
  const used = new Set<string>();
  switch (request.output) {
    case "raw":
      printBytes(coerceToString(runtime, result, used, 0, "while generating the nix-instantiate output"));
      break;
    case "xml":
      printBytes(printXml(result, used, { isStrict: request.isStrict, hasLocations: request.hasLocations }));
      break;
    case "json":
      printLine(printJson(runtime, result, used, pos));
      break;
    case "plain":
      if (request.isStrict) evaluation.evaluator.forceDeep(result);
      printLine(printAmbiguous(result, used));
      break;
  }
  evaluation.host.flush();
}

/** @returns how many roots there are now */
function instantiate(
  request: Request,
  context: StoreContext,
  evaluation: CompatEvaluation,
  value: Value,
  roots: number,
): number {
  const { root } = request;
  const found = evaluation.derivationsOf(value);
  evaluation.host.flush();
  for (const { drvPath, outputName } of found) {
    const suffix = outputName === "out" ? "" : `!${outputName}`;
    if (root === undefined) {
      if (isRootWarned(request)) warnNoRoot();
      printLine(`${drvPath}${suffix}`);
      continue;
    }
    roots++;
    const link = bytesOfText(resolve(roots === 1 ? root : `${root}-${roots}`));
    context.evalStore.addRoot(link, drvPath);
    printLine(`${link}${suffix}`);
  }
  return roots;
}
