import { DevshellError, textOfBytes, type ByteString } from "../../core/index.ts";
import {
  AttrSet,
  Lambda,
  addFrame,
  coerceToString,
  evalError,
  force,
  forceString,
  isList,
  type Slot,
} from "../../lang/index.ts";
import { parseStorePath, type StorePath } from "../../store/index.ts";
import type { SpecEvaluation } from "./evaluateSpec.ts";
import type { SelectedValue } from "./selection.ts";

/** A derivation as an expression gave it. */
export interface FoundDerivation {
  readonly drvPath: StorePath;
  /** The output that the value stands for. */
  readonly outputName: string;
  readonly name: string;
  /** The derivation as the expression gave it; absent for a `.drv` file. */
  readonly value?: AttrSet | undefined;
}

/** A value's derivations, as nix-build takes them: itself, or those of its attributes or elements. */
export function derivationsOf(
  evaluation: Pick<SpecEvaluation, "evaluator" | "host">,
  selected: Pick<SelectedValue, "slot" | "autoArguments">,
): FoundDerivation[] {
  const found: FoundDerivation[] = [];
  collectDerivations(evaluation, selected.slot, selected.autoArguments, found, new Set(), 0);
  return found;
}

/** Sets within sets; a set may well hold itself. */
const MAX_SEARCH_DEPTH = 10_000;
/** Attribute names that take part in a search for derivations. */
const SEARCHED_NAME = /^[A-Za-z_][A-Za-z0-9_+-]*$/;

function collectDerivations(
  evaluation: Pick<SpecEvaluation, "evaluator" | "host">,
  slot: Slot,
  autoArguments: AttrSet,
  found: FoundDerivation[],
  done: Set<AttrSet>,
  depth: number,
): void {
  if (depth > MAX_SEARCH_DEPTH) throw evalError("stackOverflow", "stack overflow; max-call-depth exceeded");
  const isRoot = depth === 0;
  const value = evaluation.evaluator.autoCall(slot, autoArguments);
  if (value instanceof AttrSet) {
    if (isDerivation(value)) {
      if (!done.has(value)) found.push(readDerivationValue(evaluation, value));
      done.add(value);
      return;
    }
    if (!isRoot && !isTrue(value.get("recurseForDerivations"))) return;
    for (const name of value.sortedNames()) {
      const item = value.get(name);
      if (item === undefined || !SEARCHED_NAME.test(name)) continue;
      const inner = force(item);
      if (inner instanceof AttrSet || inner instanceof Lambda)
        collectDerivations(evaluation, inner, autoArguments, found, done, depth + 1);
    }
  } else if (isList(value))
    for (const item of value) collectDerivations(evaluation, item, autoArguments, found, done, depth + 1);
  else if (isRoot)
    throw new DevshellError(
      "SPEC_NOT_A_DERIVATION",
      "expression does not evaluate to a derivation (or a set or list of those)",
    );
}

export function isDerivation(value: AttrSet): boolean {
  const type = value.get("type");
  return type !== undefined && force(type) === "derivation";
}

function isTrue(slot: Slot | undefined): boolean {
  return slot !== undefined && force(slot) === true;
}

export function readDerivationValue(
  { evaluator, host }: Pick<SpecEvaluation, "evaluator" | "host">,
  value: AttrSet,
): FoundDerivation {
  const text = (name: string): ByteString | undefined => {
    const slot = value.get(name);
    if (slot === undefined) return undefined;
    const context = new Set<string>();
    return name === "drvPath"
      ? coerceToString(
          evaluator.runtime,
          slot,
          context,
          value.posOf(name),
          `while evaluating the '${name}' attribute of a derivation`,
        )
      : forceString(slot, value.posOf(name), `while evaluating the '${name}' attribute of a derivation`);
  };
  const drvPath = text("drvPath");
  if (drvPath === undefined)
    throw new DevshellError("SPEC_NOT_A_DERIVATION", "derivation does not contain a 'drvPath' attribute");
  const path = parseStorePath(host.storeDir, drvPath);
  if (!path.endsWith(".drv"))
    throw addFrame(
      evalError(
        "eval",
        `store path '${path.slice(host.storeDir.length + 1)}' is not a valid derivation path`,
      ),
      "while evaluating the 'drvPath' attribute of a derivation",
      value.posOf("drvPath"),
    );
  return {
    drvPath: path,
    outputName: text("outputName") ?? "out",
    name: textOfBytes(text("name") ?? ""),
    value,
  };
}
