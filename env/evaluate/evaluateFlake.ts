import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import { AttrSet, EMPTY_SET, force, showReference, type Evaluator, type Slot } from "../../lang/index.ts";
import { PACKAGE_PLACES, SHELL_PLACES, findFlakeOutput, outputPathsOf } from "../flake/flakeOutputs.ts";
import { lockFlake, openFlake } from "../flake/lockFlake.ts";
import { parseInstallable } from "../flake/parseInstallable.ts";
import type { StoreContext } from "../storeContext.ts";
import type { DevSpec, EnvironmentRequest } from "../types.ts";
import type { EvaluateOptions, SelectedValue } from "./selection.ts";

/** A flake that is a spec, locked. */
export interface OpenedFlake {
  /** Its outputs, inputs and metadata. */
  readonly flake: AttrSet;
  readonly outputs: Slot;
  /** The reference, for messages. */
  readonly shown: string;
  /** What the word that named it says of the attribute; "" for the default. */
  readonly fragment: string;
}

type FlakeSpec = Extract<DevSpec, { kind: "flake" }>;

/** Locks a spec's flake, writing its `flake.lock` where that changes, as `nix develop` does. */
export function openFlakeSpec(
  context: StoreContext,
  evaluator: Evaluator,
  spec: FlakeSpec,
  options: Pick<EvaluateOptions, "isUpdate">,
): OpenedFlake {
  const { reference, fragment, outputs } = parseInstallable(spec.installable, {
    directory: spec.root,
    notice: (line) => context.message("warning", line),
  });
  if (outputs !== undefined)
    throw new DevshellError(
      "SPEC_CONFLICT",
      `Cannot enter "${spec.installable}": a shell is of a derivation, not of its outputs`,
    );
  trackMissingRepository(context, spec.root);
  const within = { context, evaluator };
  const locked = lockFlake(within, reference, {
    isWritten: !context.isReadOnly,
    isRecreated: options.isUpdate,
    isReread: true,
  });
  // A tree that must be clean counts whole.
  if (context.settings.config.raw.get("allow-dirty") !== "false")
    context.tracker.trees.follow(locked.flake.directory);
  const flake = openFlake(within, locked);
  return {
    flake,
    outputs: flake.get("outputs") ?? null,
    shown: textOfBytes(showReference(reference)),
    fragment: textOfBytes(fragment),
  };
}

/** A Git repository that comes to be around a flake makes it one of another kind. */
function trackMissingRepository({ tracker }: StoreContext, root: string): void {
  for (let at = root; ; at = dirname(at)) {
    const repository = join(at, ".git");
    if (existsSync(repository)) return;
    tracker.type(bytesOfText(repository), undefined);
    if (at === dirname(at)) return;
  }
}

/** The outputs that `-A` or the word's fragment name, else the default. */
export function selectFlakeOutputs(
  context: StoreContext,
  opened: OpenedFlake,
  request: EnvironmentRequest,
  { isShell }: Pick<EvaluateOptions, "isShell">,
): SelectedValue[] {
  const { fragment, outputs, shown } = opened;
  const attributes = request.attributes ?? [];
  if (fragment !== "" && attributes.length > 0)
    throw new DevshellError(
      "SPEC_CONFLICT",
      `Cannot use -A with a reference that names an attribute: "#${fragment}"`,
    );
  if ((request.arguments ?? []).length > 0)
    throw new DevshellError(
      "SPEC_FLAKE_ARGUMENTS",
      "Cannot give --arg or --argstr to a flake: it takes none",
    );
  const places = isShell ? SHELL_PLACES : PACKAGE_PLACES;
  return (attributes.length === 0 ? [fragment] : attributes).map((attribute) => {
    const paths = outputPathsOf(attribute, places, context.settings.config.system);
    const { value } = findFlakeOutput(outputs, shown, paths);
    return { attribute, slot: value, autoArguments: EMPTY_SET };
  });
}

/** The sets whose attributes `-A` can name, those of shells first. */
export function flakeOutputSets(context: StoreContext, { outputs }: OpenedFlake): AttrSet[] {
  const { system } = context.settings.config;
  return SHELL_PLACES.prefixes.flatMap((prefix) => {
    let set = setOf(outputs);
    for (const name of prefix.replace("%", system).slice(0, -1).split("."))
      set = setOf(set?.get(bytesOfText(name)));
    return set === undefined ? [] : [set];
  });
}

/** nixpkgs' Bash with line editing, where an input of that name has it. */
export function interactiveBashOf(context: StoreContext, flake: AttrSet): AttrSet | undefined {
  const nixpkgs = setOf(setOf(flake.get("inputs"))?.get("nixpkgs"));
  const outputs = nixpkgs?.get("outputs");
  if (outputs === undefined) return undefined;
  const path = `legacyPackages.${context.settings.config.system}.bashInteractive`;
  return setOf(findFlakeOutput(outputs, "nixpkgs", [path]).value);
}

function setOf(slot: Slot | undefined): AttrSet | undefined {
  const value = slot === undefined ? undefined : force(slot);
  return value instanceof AttrSet ? value : undefined;
}
