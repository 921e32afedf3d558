import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import { APP_PLACES, type FlakeOutput, readDerivationValue, type StoreContext } from "../../../env/index.ts";
import {
  AttrSet,
  contextOf,
  force,
  forceAttrs,
  forceString,
  isStringValue,
  parseDerivationName,
  showType,
  textOf,
  type Value,
} from "../../../lang/index.ts";
import {
  downstreamPlaceholder,
  dynamicPlaceholder,
  isInStore,
  parseBuiltTarget,
  parseStorePath,
  type DerivedPath,
  type RealiseReport,
} from "../../../store/index.ts";
import { parseCommandLine } from "../commandLine.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { reportFailures } from "../reportFailures.ts";
import { becomeProgram } from "./becomeProgram.ts";
import { environmentOf, newEnvironmentFlags, takeEnvironmentFlag } from "./environmentFlags.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  valuesOf,
} from "./installables.ts";

/** A program, and what must be built for it. */
export interface App {
  readonly program: string;
  readonly targets: readonly DerivedPath[];
}

/** `nix run`: an app, or a package's main program. */
export async function run(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const variables = newEnvironmentFlags();
  const flags = parseCommandLine("nix run", argv, (word, next, { isLiteral }) => {
    if (isLiteral) words.push(word);
    else if (takeEnvironmentFlag(variables, word, next)) return true;
    else if (takeInstallableFlag(installables, word, next)) return true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [word = ".", ...args] = words;
  using context = openInstallableContext(flags, installables, { name: "nix run" });
  const { evaluation, values } = valuesOf(context, flags, installables, [word], APP_PLACES);
  const [selected] = values;
  if (selected === undefined) throw new Error("a word selected nothing");
  const app = appOf(context, evaluation, selected);
  evaluation.host.flush();
  const report = await context.tryRealise(app.targets);
  if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  const program = builtProgram(context, app, report);
  return becomeProgram(context, program, args, environmentOf(variables, process.env));
}

/** The app's program once it is built: until then outputs may be named by what stands for them. */
export function builtProgram({ settings }: StoreContext, app: App, report: RealiseReport): string {
  let { program } = app;
  for (const { target, outputs } of report.results) {
    if (target.kind === "opaque") continue;
    const { drvPath, via = [] } = target;
    for (const [output, path] of outputs)
      program = program.replaceAll(
        via.length === 0
          ? downstreamPlaceholder(drvPath, output)
          : dynamicPlaceholder(drvPath, [...via, output]),
        () => textOfBytes(path),
      );
  }
  if (!isInStore(settings.storeDir, bytesOfText(program)))
    throw new DevshellError("CLI_APP", `app program '${program}' is not in the Nix store`);
  return program;
}

/** What a value is to run as: `type = "app"` where apps are, a derivation elsewhere. */
export function appOf(context: StoreContext, evaluation: CompatEvaluation, selected: FlakeOutput): App {
  const { path } = selected;
  const value = evaluation.evaluator.autoCall(selected.value, evaluation.autoArguments);
  const shown = textOfBytes(path.join("."));
  const set = forceAttrs(value, selected.pos, "while evaluating an app");
  const expected = path[0] === "apps" || path[0] === "defaultApp" ? "app" : "derivation";
  if (textIn(set, "type") !== expected)
    throw new DevshellError("CLI_APP", `attribute '${shown}' should have type '${expected}'`);
  return expected === "app" ? appOfSet(context, set) : mainProgram(evaluation, set);
}

function appOfSet({ settings: { storeDir } }: StoreContext, set: AttrSet): App {
  const program = forced(set, "program");
  if (program === undefined || !isStringValue(program))
    throw new DevshellError(
      "CLI_APP",
      program === undefined
        ? "attribute 'program' missing"
        : `'program' is not a string but ${showType(program)}`,
    );
  const targets = [...contextOf(program)].map((element): DerivedPath => {
    if (element.startsWith("="))
      return { kind: "built", drvPath: parseStorePath(storeDir, element.slice(1)), outputs: "*" };
    if (element.startsWith("!")) return { kind: "built", ...parseBuiltTarget(storeDir, element) };
    return { kind: "opaque", path: parseStorePath(storeDir, element) };
  });
  return { program: textOfBytes(textOf(program)), targets };
}

function mainProgram(evaluation: CompatEvaluation, set: AttrSet): App {
  const { drvPath, outputName } = readDerivationValue(evaluation, set);
  const meta = forced(set, "meta");
  const name =
    (meta instanceof AttrSet ? textIn(meta, "mainProgram") : undefined) ??
    textIn(set, "pname") ??
    textOfBytes(parseDerivationName(bytesOfText(textIn(set, "name") ?? "")).name);
  return {
    program: `${textIn(set, "outPath") ?? ""}/bin/${name}`,
    targets: [{ kind: "built", drvPath, outputs: [outputName] }],
  };
}

function forced(set: AttrSet, name: string): Value | undefined {
  const slot = set.get(name);
  return slot === undefined ? undefined : force(slot);
}

function textIn(set: AttrSet, name: string): string | undefined {
  const slot = set.get(name);
  if (slot === undefined) return undefined;
  return textOfBytes(textOf(forceString(slot, set.posOf(name), `while evaluating the attribute '${name}'`)));
}
