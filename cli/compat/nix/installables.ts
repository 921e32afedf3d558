import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import {
  findFlakeOutput,
  findFlakeOutputs,
  outputPathsOf,
  PACKAGE_PLACES,
  type FlakeOutput,
  type FlakePlaces,
  parseInstallable,
  type LockOptions,
  type StoreContext,
} from "../../../env/index.ts";
import { NO_POS, type Value } from "../../../lang/index.ts";
import { isInStore, type DerivedPath } from "../../../store/index.ts";
import { usageError, type CommonFlags } from "../commandLine.ts";
import { baseDirectory } from "../baseDirectory.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation, selectValues, type CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";
import { inStore, storePathOf } from "../storeArgument.ts";
import {
  newFlakeFlags,
  lockOptions,
  openFlakeOutputs,
  takeFlakeFlag,
  type FlakeFlags,
  type FlakeOutputs,
} from "./flakeOutputs.ts";
import { splitOutputs, type Outputs } from "./outputs.ts";
import { targetOfFlakeOutput, targetsOfValue } from "./targets.ts";

/** What the words of a `nix` subcommand are looked up in, and how. */
export interface InstallableFlags {
  file: string | undefined;
  expression: string | undefined;
  isImpure: boolean;
  readonly flake: FlakeFlags;
}

/** What one word means. */
export interface Installable {
  readonly word: string;
  /** Undefined for what is a path of the store. */
  readonly value: (() => FlakeOutput) | undefined;
  /** All that the word may mean in a flake; of others, the one. */
  readonly values?: (() => readonly FlakeOutput[]) | undefined;
  /** The flake, of what is in one. */
  readonly flake?: (() => FlakeOutputs) | undefined;
  /** What follows `^`. */
  readonly outputs?: Outputs;
  /** What is to be built for it. */
  targets(): DerivedPath[];
}

/** The words' meanings, with what evaluates them. */
export interface Installables {
  readonly all: readonly Installable[];
  /** Opened when it is first needed. */
  readonly evaluation: () => CompatEvaluation;
}

export function newInstallableFlags(): InstallableFlags {
  return { file: undefined, expression: undefined, isImpure: false, flake: newFlakeFlags() };
}

/** Takes `-f`, `--expr`, `--impure` and what is about flakes and their locks. */
export function takeInstallableFlag(flags: InstallableFlags, word: string, next: () => string): boolean {
  if (word === "-f" || word === "--file") flags.file = next();
  else if (word === "--expr" || word === "-E") flags.expression = next();
  else if (word === "--impure") flags.isImpure = true;
  else return takeFlakeFlag(flags.flake, word, next);
  return true;
}

/** As {@link openContext}; evaluation is pure unless `--impure` is given or a file is named, as in Nix. */
export function openInstallableContext(
  common: CommonFlags,
  flags: InstallableFlags,
  options: { readonly name: string; readonly isReadOnly?: boolean | undefined },
): StoreContext {
  const { settings } = common;
  if (flags.file !== undefined && flags.expression !== undefined)
    throw usageError(options.name, "'--file' and '--expr' are exclusive");
  if (flags.file !== undefined && settings.get("pure-eval") === "true")
    throw usageError(options.name, "'--file' and '--pure-eval' are not compatible");
  if (!settings.has("pure-eval"))
    settings.set("pure-eval", flags.isImpure || flags.file !== undefined ? "false" : "true");
  return openContext(common, { isReadOnly: options.isReadOnly });
}

/** What each word means; no word means the default of the flake here, or the whole of a file or expression. */
export function openInstallables(
  context: StoreContext,
  common: CommonFlags,
  flags: InstallableFlags,
  words: readonly string[],
  places: FlakePlaces = PACKAGE_PLACES,
): Installables {
  let opened: CompatEvaluation | undefined;
  const evaluation = (): CompatEvaluation => (opened ??= openCompatEvaluation(context, common));
  const given = words.length === 0 ? ["."] : words;
  if (flags.file !== undefined || flags.expression !== undefined) {
    const root = once(() =>
      flags.file === undefined
        ? evaluation().evaluate({ kind: "text", text: flags.expression ?? "" })
        : evaluation().evaluate(
            flags.file === "-" ? { kind: "stdin" } : { kind: "file", file: flags.file, isImported: true },
          ),
    );
    return { evaluation, all: given.map((word) => ofExpression(context, evaluation, root, word)) };
  }
  const options = once(() => lockOptions(context, evaluation(), flags.flake));
  const scope: FlakeScope = { context, common, evaluation, options, places };
  const all = given.map((word) => ofStore(context, word) ?? ofFlake(scope, word));
  return { evaluation, all };
}

/** The values that words select, with what evaluated them. @throws {DevshellError} for paths of the store */
export function valuesOf(
  context: StoreContext,
  common: CommonFlags,
  flags: InstallableFlags,
  words: readonly string[],
  places: FlakePlaces = PACKAGE_PLACES,
): { readonly evaluation: CompatEvaluation; readonly values: readonly FlakeOutput[] } {
  const { all, evaluation } = openInstallables(context, common, flags, words, places);
  const values = all.map(({ word, value }) => {
    if (value !== undefined) return value();
    throw usageError("nix", `installable '${word}' does not correspond to a Nix language value`);
  });
  return { evaluation: evaluation(), values };
}

/** What the words mean to have built: attributes, derivations and paths in the store. */
export function targetsOf(
  context: StoreContext,
  common: CommonFlags,
  flags: InstallableFlags,
  words: readonly string[],
  places: FlakePlaces = PACKAGE_PLACES,
): DerivedPath[] {
  const { all, evaluation } = openInstallables(context, common, flags, words, places);
  const targets = all.flatMap((installable) => installable.targets());
  if (all.some(({ value }) => value !== undefined)) evaluation().host.flush();
  return targets;
}

function ofExpression(
  context: StoreContext,
  evaluation: () => CompatEvaluation,
  root: () => Value,
  word: string,
): Installable {
  const { prefix, outputs } = splitOutputs(word);
  const attribute = prefix === "." ? "" : prefix;
  const value = once((): FlakeOutput => {
    const [selected] = selectValues(evaluation(), root(), [attribute]);
    return { value: selected?.value ?? null, pos: selected?.pos ?? NO_POS, path: [] };
  });
  return {
    word,
    value,
    targets: () =>
      targetsOfValue(
        context,
        evaluation(),
        value(),
        outputs,
        `while evaluating the attribute '${attribute}'`,
      ),
  };
}

/** A path in the store, or a link to one. */
function ofStore(context: StoreContext, word: string): Installable | undefined {
  const { prefix, outputs } = splitOutputs(word);
  const { storeDir } = context.settings;
  if (!prefix.includes("/") || !isInStore(storeDir, inStore(storeDir, prefix))) return undefined;
  // `….drv^out^dev`: of a derivation that is an output.
  const [place = "", ...via] = prefix.split("^");
  const path = storePathOf(storeDir, place);
  const target: DerivedPath =
    outputs === undefined ? { kind: "opaque", path } : { kind: "built", drvPath: path, via, outputs };
  return { word, value: undefined, targets: () => [target] };
}

interface FlakeScope {
  readonly context: StoreContext;
  readonly common: CommonFlags;
  readonly evaluation: () => CompatEvaluation;
  readonly options: () => LockOptions;
  readonly places: FlakePlaces;
}

function ofFlake(scope: FlakeScope, word: string): Installable {
  const { context, common, evaluation, options, places } = scope;
  if (common.arguments.length > 0)
    throw usageError("nix", "'--arg' and '--argstr' are incompatible with flakes");
  const { reference, fragment, outputs } = parseInstallable(word, {
    directory: baseDirectory(),
    notice: (line) => say(bytesOfText(line)),
  });
  const flake = once(() => openFlakeOutputs(context, evaluation(), reference, options()));
  const paths = (): string[] => outputPathsOf(textOfBytes(fragment), places, context.settings.config.system);
  const value = once(() => findFlakeOutput(flake().outputs, flake().shown, paths()));
  const values = (): FlakeOutput[] => findFlakeOutputs(flake().outputs, flake().shown, paths());
  return {
    word,
    value,
    values,
    flake,
    outputs,
    targets: () => [targetOfFlakeOutput(context, evaluation(), value(), outputs)],
  };
}

function once<T>(compute: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: compute() }).value;
}
