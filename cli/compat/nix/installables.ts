import { DevshellError, textOfBytes } from "../../../core/index.ts";
import type { FoundDerivation, StoreContext } from "../../../env/index.ts";
import {
  AttrSet,
  NO_POS,
  contextOf,
  force,
  forceString,
  isList,
  isStringValue,
  textOf,
  type Value,
} from "../../../lang/index.ts";
import { isInStore, parseBuiltElement, parseStorePath, type DerivedPath } from "../../../store/index.ts";
import type { CommonFlags } from "../commandLine.ts";
import { openCompatEvaluation, selectValues, type CompatEvaluation } from "../evaluate.ts";
import { derivedPathOf, inStore } from "../storeArgument.ts";

/** What the words of a `nix` subcommand are looked up in. */
export interface InstallableFlags {
  file: string | undefined;
  expression: string | undefined;
}

export function newInstallableFlags(): InstallableFlags {
  return { file: undefined, expression: undefined };
}

/** Takes `-f` and `--expr`. */
export function takeInstallableFlag(flags: InstallableFlags, word: string, next: () => string): boolean {
  if (word === "-f" || word === "--file") flags.file = next();
  else if (word === "--expr" || word === "-E") flags.expression = next();
  else return false;
  return true;
}

/** The values that words select, with what evaluated them. */
export function valuesOf(
  context: StoreContext,
  common: CommonFlags,
  flags: InstallableFlags,
  words: readonly string[],
): { readonly evaluation: CompatEvaluation; readonly values: ReturnType<typeof selectValues> } {
  const evaluation = openCompatEvaluation(context, common);
  const root = rootOf(evaluation, flags, words);
  return { evaluation, values: selectValues(evaluation, root, words.map(attributeOf)) };
}

/** What the words mean to have built: attributes, derivations and paths in the store. */
export function targetsOf(
  context: StoreContext,
  common: CommonFlags,
  flags: InstallableFlags,
  words: readonly string[],
): DerivedPath[] {
  const { storeDir } = context.settings;
  const isEvaluated = flags.file !== undefined || flags.expression !== undefined;
  if (!isEvaluated && words.length > 0 && words.every((word) => isStoreWord(storeDir, word)))
    return words.map((word) => storeTarget(storeDir, word));
  const { evaluation, values } = valuesOf(context, common, flags, words);
  const targets = values.flatMap(({ value }, index) =>
    isStringValue(value)
      ? [targetOfString(storeDir, value)]
      : evaluation.derivationsOf(value).map((found): DerivedPath => {
          const outputs = outputsOf(words[index] ?? "") ?? usualOutputs(found);
          return { kind: "built", drvPath: found.drvPath, outputs };
        }),
  );
  evaluation.host.flush();
  return targets;
}

function rootOf(evaluation: CompatEvaluation, flags: InstallableFlags, words: readonly string[]): Value {
  if (flags.file !== undefined)
    return evaluation.evaluate(flags.file === "-" ? { kind: "stdin" } : { kind: "file", file: flags.file });
  if (flags.expression !== undefined) return evaluation.evaluate({ kind: "text", text: flags.expression });
  throw new DevshellError(
    "CLI_FLAKE_NOT_BUILT",
    `Cannot use "${words[0] ?? "."}" as a flake: flakes are not built yet`,
    { hint: "give -f FILE or --expr EXPRESSION" },
  );
}

/** A string that names one store path: the context says whether and what must be built for it. */
function targetOfString(storeDir: string, value: Parameters<typeof contextOf>[0]): DerivedPath {
  const [element, ...others] = contextOf(value);
  if (element === undefined || others.length > 0 || !isInStore(storeDir, textOf(value)))
    throw new DevshellError(
      "SPEC_NOT_A_DERIVATION",
      `string '${textOfBytes(textOf(value))}' does not stand for one store path, so it cannot be built`,
    );
  if (element.startsWith("!")) {
    const { drvPath, outputs } = parseBuiltElement(storeDir, element);
    return { kind: "built", drvPath, outputs };
  }
  return { kind: "opaque", path: parseStorePath(storeDir, element.replace(/^=/, "")) };
}

/** The one that was selected, else what the package wants installed, else all. */
function usualOutputs({ value, outputName }: FoundDerivation): readonly string[] {
  const specified = value?.get("outputSpecified");
  if (value === undefined || (specified !== undefined && force(specified) === true)) return [outputName];
  const meta = value.get("meta");
  const forced = meta === undefined ? undefined : force(meta);
  const chosen =
    (forced instanceof AttrSet ? forced.get("outputsToInstall") : undefined) ?? value.get("outputs");
  const list = chosen === undefined ? undefined : force(chosen);
  const names =
    list !== undefined && isList(list)
      ? list.map((name) => forceString(name, NO_POS, "while evaluating an output's name"))
      : [];
  return names.length === 0 ? ["out"] : names;
}

function isStoreWord(storeDir: string, word: string): boolean {
  if (!word.includes("/")) return false;
  return isInStore(storeDir, inStore(storeDir, word.replace(/\^[^/]*$/, "")));
}

function storeTarget(storeDir: string, word: string): DerivedPath {
  const at = word.lastIndexOf("^");
  if (at >= 0) return derivedPathOf(storeDir, `${word.slice(0, at)}!${word.slice(at + 1)}`);
  const target = derivedPathOf(storeDir, word);
  return target.kind === "built" ? { kind: "opaque", path: target.drvPath } : target;
}

function attributeOf(word: string): string {
  return word.replace(/\^[^^]*$/, "");
}

function outputsOf(word: string): readonly string[] | "*" | undefined {
  const outputs = /\^([^^]*)$/.exec(word)?.[1];
  if (outputs === undefined) return undefined;
  return outputs === "*" ? "*" : outputs.split(",");
}
