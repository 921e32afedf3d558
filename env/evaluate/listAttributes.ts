import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import { AttrSet, force, forceString, type Slot } from "../../lang/index.ts";
import { runInterruptibly } from "../interruptible.ts";
import type { StoreContext } from "../storeContext.ts";
import type { DevSpec, EnvironmentRequest } from "../types.ts";
import { flakeOutputSets, openFlakeSpec } from "./evaluateFlake.ts";
import { evaluateSpec, openEvaluation, type SpecEvaluation } from "./evaluateSpec.ts";
import type { SelectedValue } from "./selection.ts";
import { isDerivation } from "./findDerivations.ts";

/** What `-A` can name in a spec. */
export interface ListedAttribute {
  /** As `-A` takes it. */
  readonly name: string;
  readonly kind: "derivation" | "set" | "other" | "unknown";
  readonly description?: string | undefined;
}

export interface AttributeList {
  /** By name. */
  readonly attributes: readonly ListedAttribute[];
  /** There are more. */
  readonly isTruncated: boolean;
}

const NONE: AttributeList = { attributes: [], isTruncated: false };
/** Of so many their values are looked at, and for no longer than this. */
const LOOKED_AT = 100;
const LOOK_MS = 500;

/**
 * The attributes whose names begin with a prefix; one with dots is looked for inside. A derivation's own attributes
 * are no environments, and a collection's values are not evaluated.
 */
export function listAttributes(
  context: StoreContext,
  spec: DevSpec,
  request: EnvironmentRequest,
  options: { readonly prefix: string; readonly limit: number },
): AttributeList {
  if (spec.kind === "data" || spec.kind === "packages" || spec.kind === "derivation") return NONE;
  const { base, leaf } = splitPrefix(options.prefix);
  return runInterruptibly(() => {
    if (spec.kind === "flake" && base === "")
      return listFlakeOutputs(context, spec, request, leaf, options.limit);
    const attributes = base === "" ? [] : [base];
    const evaluation = evaluated(context, spec, { ...request, attributes });
    const [selected] = evaluation?.values ?? [];
    if (evaluation === undefined || selected === undefined) return NONE;
    const value = evaluation.evaluator.autoCall(selected.slot, selected.autoArguments);
    if (!(value instanceof AttrSet) || isDerivation(value)) return NONE;
    const start = bytesOfText(leaf);
    const names = value.sortedNames().filter((name) => name.startsWith(start) && isSelectable(name));
    const listed = names.slice(0, options.limit);
    const canLook = listed.length <= LOOKED_AT && (spec.kind === "file" || spec.kind === "expression");
    const untilMs = canLook ? Date.now() + LOOK_MS : 0;
    const within = base === "" ? "" : `${base}.`;
    return {
      attributes: listed.map((name) => ({
        name: within + quoted(textOfBytes(name)),
        ...(Date.now() < untilMs ? looked(evaluation, selected, value.get(name)) : { kind: "unknown" }),
      })),
      isTruncated: names.length > listed.length,
    };
  });
}

/** What a flake has for shells, then its packages; their values are not looked at. */
function listFlakeOutputs(
  context: StoreContext,
  spec: Extract<DevSpec, { kind: "flake" }>,
  request: EnvironmentRequest,
  leaf: string,
  limit: number,
): AttributeList {
  const start = bytesOfText(leaf);
  const sets = flakeSets(context, spec, request);
  const names = new Set(sets.flatMap((set) => set.sortedNames()));
  const fitting = [...names].filter((name) => name.startsWith(start) && isSelectable(name)).toSorted();
  return {
    attributes: fitting.slice(0, limit).map((name) => ({ name: quoted(textOfBytes(name)), kind: "unknown" })),
    isTruncated: fitting.length > limit,
  };
}

function flakeSets(
  context: StoreContext,
  spec: Extract<DevSpec, { kind: "flake" }>,
  request: EnvironmentRequest,
): AttrSet[] {
  context.becomePure();
  const { directory, includes = [] } = request;
  const { evaluator } = openEvaluation(context, { directory, includes });
  const opened = openFlakeSpec(context, evaluator, spec, {});
  return evaluator.run(() => flakeOutputSets(context, opened));
}

/** Undefined where there is no such place. */
function evaluated(
  context: StoreContext,
  spec: DevSpec,
  request: EnvironmentRequest,
): SpecEvaluation | undefined {
  try {
    return evaluateSpec(context, spec, request, { isShell: true });
  } catch (error) {
    const isAbsent =
      error instanceof DevshellError &&
      (request.attributes ?? []).length > 0 &&
      (error.code === "FLAKE_NO_ATTRIBUTE" || error.message.includes("in selection path"));
    if (isAbsent) return undefined;
    throw error;
  }
}

function looked(
  { evaluator }: SpecEvaluation,
  { autoArguments }: SelectedValue,
  slot: Slot | undefined,
): Omit<ListedAttribute, "name"> {
  if (slot === undefined) return { kind: "unknown" };
  try {
    const value = evaluator.autoCall(slot, autoArguments);
    if (!(value instanceof AttrSet)) return { kind: "other" };
    if (!isDerivation(value)) return { kind: "set" };
    const description = descriptionOf(value);
    return { kind: "derivation", ...(description !== undefined && { description }) };
  } catch (error) {
    if (error instanceof DevshellError) return { kind: "unknown" };
    throw error;
  }
}

function descriptionOf(value: AttrSet): string | undefined {
  const meta = value.get("meta");
  if (meta === undefined) return undefined;
  const facts = force(meta);
  const slot = facts instanceof AttrSet ? facts.get("description") : undefined;
  return slot === undefined ? undefined : textOfBytes(forceString(slot, 0, "while evaluating a description"));
}

/** At the last dot outside of quotes. */
function splitPrefix(prefix: string): { readonly base: string; readonly leaf: string } {
  let dot = -1;
  let isQuoted = false;
  for (let at = 0; at < prefix.length; at++) {
    if (prefix[at] === '"') isQuoted = !isQuoted;
    else if (prefix[at] === "." && !isQuoted) dot = at;
  }
  return { base: prefix.slice(0, Math.max(0, dot)), leaf: prefix.slice(dot + 1).replaceAll('"', "") };
}

/** A selection path has no escapes, and takes numbers for places in a list. */
function isSelectable(name: string): boolean {
  return name !== "" && !name.includes('"') && !/^[0-9]+$/.test(name);
}

function quoted(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_'-]*$/.test(name) ? name : `"${name}"`;
}
