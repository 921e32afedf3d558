import { resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import {
  APP_PLACES,
  findFlakeOutput,
  outputPathsOf,
  parseInstallable,
  readDerivationValue,
  type FlakePlaces,
  type StoreContext,
} from "../../../env/index.ts";
import { AttrSet, forceString, getAttr, isDerivation, type Value } from "../../../lang/index.ts";
import { parseStorePath, type StorePath } from "../../../store/index.ts";
import { baseDirectory } from "../baseDirectory.ts";
import { parseCommandLine } from "../commandLine.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { lockOptions, newFlakeFlags, openFlakeOutputs } from "./flakeOutputs.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  valuesOf,
} from "./installables.ts";

const DEFAULT_BUNDLER = "github:NixOS/bundlers";

const BUNDLER_PLACES: FlakePlaces = {
  defaults: ["bundlers.%.default", "defaultBundler.%"],
  prefixes: ["bundlers.%."],
};

/** `nix bundle`: builds what a flake's function makes of an app or a package. */
export async function bundle(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let bundler = DEFAULT_BUNDLER;
  let outLink: string | undefined;
  const flags = parseCommandLine("nix bundle", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "-B" || word === "--bundler") bundler = next();
    else if (word === "-o" || word === "--out-link") outLink = next();
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix bundle" });
  const { evaluation, values } = valuesOf(context, flags, installables, words, APP_PLACES);
  const { evaluator, autoArguments } = evaluation;
  const [selected] = values;
  if (selected === undefined) throw new Error("the words selected nothing");
  const value = evaluator.autoCall(selected.value, autoArguments);
  const bundled = callBundler(context, evaluation, bundler, value);
  const made = evaluator.run(() => derivationOf(evaluation, bundled, bundler));
  evaluation.host.flush();
  const report = await context.tryRealise([{ kind: "built", drvPath: made.drvPath, outputs: "*" }]);
  if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  const link = resolve(baseDirectory(), outLink ?? made.name);
  context.store.addRoot(bytesOfText(link), parseStorePath(context.settings.storeDir, made.outPath));
  return 0;
}

function callBundler(context: StoreContext, evaluation: CompatEvaluation, word: string, value: Value): Value {
  const { reference, fragment } = parseInstallable(word, {
    directory: baseDirectory(),
    notice: (line) => say(bytesOfText(line)),
  });
  const flags = newFlakeFlags();
  flags.lock.isWritten = false;
  const flake = openFlakeOutputs(context, evaluation, reference, lockOptions(context, evaluation, flags));
  const paths = outputPathsOf(textOfBytes(fragment), BUNDLER_PLACES, context.settings.config.system);
  return evaluation.evaluator.call(findFlakeOutput(flake.outputs, flake.shown, paths).value, value);
}

function derivationOf(
  evaluation: CompatEvaluation,
  value: Value,
  bundler: string,
): { readonly drvPath: StorePath; readonly outPath: string; readonly name: string } {
  if (!(value instanceof AttrSet) || !isDerivation(value) || !value.has("drvPath") || !value.has("outPath"))
    throw new DevshellError("CLI_BUNDLE", `the bundler '${bundler}' does not produce a derivation`);
  const { drvPath, name } = readDerivationValue(evaluation, value);
  const outPath = getAttr(value, "outPath", "");
  return {
    drvPath,
    name,
    outPath: forceString(outPath, value.posOf("outPath"), "while evaluating the attribute 'outPath'"),
  };
}
