import { bytesOfText, textOfBytes, type ByteString } from "../../../core/index.ts";
import { type FlakeOutput, readDerivationValue, type StoreContext } from "../../../env/index.ts";
import {
  AttrSet,
  PathValue,
  addFrame,
  coerceToString,
  contextOf,
  evalError,
  force,
  forceString,
  isDerivation,
  isList,
  isStringValue,
  printValue,
  showType,
  textOf,
  type Pos,
  type Value,
} from "../../../lang/index.ts";
import { isStorePath, parseBuiltTarget, parseStorePath, type DerivedPath } from "../../../store/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import type { Outputs } from "./outputs.ts";

/** What a flake's output means to have built: a derivation, a path or a string that names one store path. */
export function targetOfFlakeOutput(
  context: StoreContext,
  evaluation: CompatEvaluation,
  { value, pos, path }: FlakeOutput,
  outputs: Outputs,
): DerivedPath {
  const shown = textOfBytes(path.join("."));
  if (value instanceof AttrSet && isDerivation(value)) {
    const { drvPath } = readDerivationValue(evaluation, value);
    return { kind: "built", drvPath, outputs: outputs ?? wantedOutputs(value) };
  }
  const single = singlePath(
    context,
    evaluation,
    value,
    pos,
    bytesOfText(`while evaluating the flake output attribute '${shown}'`),
  );
  if (single !== undefined) return single;
  throw evalError(
    "type",
    `expected flake output attribute '${bytesOfText(shown)}' to be a derivation or path but found ${showType(value)}: ${printValue(value, PRINTED)}`,
  );
}

/** As {@link targetOfFlakeOutput}, for a value of a file or an expression: a set's derivations count, too. */
export function targetsOfValue(
  context: StoreContext,
  evaluation: CompatEvaluation,
  { value, pos }: FlakeOutput,
  outputs: Outputs,
  frame: string,
): DerivedPath[] {
  const single = singlePath(context, evaluation, value, pos, bytesOfText(frame));
  if (single !== undefined) return [single];
  const chosen = new Map<string, Exclude<Outputs, undefined>>();
  for (const found of evaluation.derivationsOf(value)) {
    const before = chosen.get(found.drvPath);
    const names = outputs ?? (found.value === undefined ? [found.outputName] : installedOutputs(found.value));
    chosen.set(found.drvPath, before === undefined ? names : union(before, names));
  }
  return [...chosen]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([drvPath, names]) => ({
      kind: "built",
      drvPath: parseStorePath(context.settings.storeDir, drvPath),
      outputs: names,
    }));
}

const PRINTED = {
  derivationPaths: true,
  maxDepth: 10,
  maxAttributes: 10,
  maxItems: 10,
  maxStringLength: 1024,
};

/** A path, which is copied into the store, or a string: its context says whether and what must be built for it. */
function singlePath(
  { settings: { storeDir } }: StoreContext,
  { evaluator }: CompatEvaluation,
  value: Value,
  pos: Pos,
  frame: ByteString,
): DerivedPath | undefined {
  if (value instanceof PathValue) {
    // A flake's own tree is in the store already.
    const path = isStorePath(storeDir, value.path)
      ? value.path
      : parseStorePath(storeDir, coerceToString(evaluator.runtime, value, new Set(), pos, frame));
    return { kind: "opaque", path };
  }
  if (!isStringValue(value)) return undefined;
  try {
    return targetOfString(storeDir, textOf(value), [...contextOf(value)]);
  } catch (error) {
    throw addFrame(error, frame, pos);
  }
}

function targetOfString(storeDir: string, text: ByteString, context: readonly string[]): DerivedPath {
  const [element] = context;
  if (element === undefined || context.length > 1)
    throw evalError(
      "eval",
      `string '${text}' has ${context.length} entries in its context. It should only have exactly one entry`,
    );
  if (element.startsWith("="))
    throw evalError(
      "eval",
      `string '${text}' has a context which refers to a complete source and binary closure. This is not supported at this time`,
    );
  if (element.startsWith("!")) return { kind: "built", ...parseBuiltTarget(storeDir, element) };
  if (element !== text)
    throw evalError("eval", `path string '${text}' has context with the different path '${element}'`);
  return { kind: "opaque", path: parseStorePath(storeDir, element) };
}

/** The one that was selected, else what the package wants installed, else `out`. */
function wantedOutputs(value: AttrSet): readonly string[] {
  const specified = value.get("outputSpecified");
  if (specified !== undefined) {
    const name = value.get("outputName");
    if (force(specified) === true && name !== undefined)
      return [forceString(name, value.posOf("outputName"), "while evaluating the output name")];
    return ["out"];
  }
  const meta = value.get("meta");
  const forced = meta === undefined ? undefined : force(meta);
  return orOut(forced instanceof AttrSet ? namesIn(forced, "outputsToInstall") : []);
}

/** As {@link wantedOutputs}; what does not say what is to be installed is installed whole. */
function installedOutputs(value: AttrSet): readonly string[] {
  const specified = value.get("outputSpecified");
  if (specified !== undefined && force(specified) === true) return wantedOutputs(value);
  const meta = value.get("meta");
  const forced = meta === undefined ? undefined : force(meta);
  const wanted = forced instanceof AttrSet ? namesIn(forced, "outputsToInstall") : [];
  return wanted.length > 0 ? wanted : orOut(namesIn(value, "outputs"));
}

function orOut(names: readonly string[]): readonly string[] {
  return names.length === 0 ? ["out"] : [...new Set(names)].toSorted();
}

function namesIn(set: AttrSet, attribute: string): string[] {
  const slot = set.get(attribute);
  const list = slot === undefined ? undefined : force(slot);
  return list !== undefined && isList(list)
    ? list.map((name) => forceString(name, set.posOf(attribute), "while evaluating an output's name"))
    : [];
}

function union(a: readonly string[] | "*", b: readonly string[] | "*"): readonly string[] | "*" {
  return a === "*" || b === "*" ? "*" : [...new Set([...a, ...b])].toSorted();
}
