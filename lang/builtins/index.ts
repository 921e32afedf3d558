import { NIX_VERSION } from "../../core/index.ts";
import { AttrSet, Thunk, type Runtime, type Slot } from "../value/index.ts";
import { ARITHMETIC_BUILTINS } from "./arithmetic.ts";
import { ATTRIBUTE_BUILTINS } from "./attrs.ts";
import { contextBuiltins } from "./context.ts";
import { controlBuiltins } from "./control.ts";
import { conversionBuiltins } from "./conversions.ts";
import type { Definition } from "./define.ts";
import { DERIVATION_SOURCE, derivationBuiltins } from "./derivation.ts";
import { fetchBuiltins } from "./fetch.ts";
import { fileBuiltins } from "./files.ts";
import { flakeBuiltins } from "./flakes.ts";
import { hashBuiltins } from "./hashes.ts";
import { LIST_BUILTINS } from "./lists.ts";
import { nativeBuiltins } from "./native.ts";
import { stringBuiltins } from "./strings.ts";
import { TYPE_BUILTINS } from "./types.ts";

export { treeValue } from "./fetch.ts";
export { parseNixHash } from "./hashes.ts";
export { compareVersions, parseDerivationName, splitVersion } from "./versions.ts";

/** `builtins.langVersion`. */
const LANGUAGE_VERSION = 6;

export interface Globals {
  /** The set `builtins`. */
  readonly builtins: AttrSet;
  /** Every global variable, `builtins` and the `__…` forms included. */
  readonly variables: ReadonlyMap<string, Slot>;
}

/** Makes all builtins for one evaluation. The runtime may still be incomplete: it is used only when they are called. */
export function makeGlobals(runtime: Runtime): Globals {
  const { settings, host } = runtime;
  const members = new Map<string, Slot>();
  const variables = new Map<string, Slot>();
  for (const { primOp, isGlobal, feature } of definitions(runtime)) {
    if (feature !== undefined && !settings.features.has(feature)) continue;
    members.set(primOp.name, primOp);
    variables.set(isGlobal ? primOp.name : `__${primOp.name}`, primOp);
  }
  const constants: [string, Slot][] = [
    ["nixVersion", NIX_VERSION],
    ["storeDir", host.storeDir],
    ["langVersion", LANGUAGE_VERSION],
    ["nixPath", searchPathValue(runtime)],
  ];
  if (!settings.isPure)
    constants.push(
      ["currentSystem", host.currentSystem],
      // Asked for when it is needed: what depends on the time cannot be kept.
      ["currentTime", new Thunk(() => host.currentTime, null)],
    );
  for (const [name, value] of constants) {
    members.set(name, value);
    variables.set(`__${name}`, value);
  }
  const derivation = new Thunk(
    () => runtime.evalInternal(DERIVATION_SOURCE, "derivation-internal.nix"),
    null,
  );
  for (const [name, value] of [
    ["true", true],
    ["false", false],
    ["null", null],
    ["derivation", derivation],
  ] as const) {
    members.set(name, value);
    variables.set(name, value);
  }
  const names = [...members.keys(), "builtins"];
  const values: Slot[] = [...members.values(), null];
  const builtins = AttrSet.of(names, values);
  values[values.length - 1] = builtins;
  variables.set("builtins", builtins);
  return { builtins, variables };
}

function definitions(runtime: Runtime): Definition[] {
  return [
    ...TYPE_BUILTINS,
    ...LIST_BUILTINS,
    ...ATTRIBUTE_BUILTINS,
    ...ARITHMETIC_BUILTINS,
    ...hashBuiltins(runtime),
    ...stringBuiltins(runtime),
    ...contextBuiltins(runtime),
    ...controlBuiltins(runtime),
    ...conversionBuiltins(runtime),
    ...fileBuiltins(runtime),
    ...derivationBuiltins(runtime),
    ...fetchBuiltins(runtime),
    ...flakeBuiltins(runtime),
    ...nativeBuiltins(runtime),
  ];
}

function searchPathValue(runtime: Runtime): Slot {
  return runtime.searchPath.map(({ prefix, value }) => AttrSet.of(["path", "prefix"], [value, prefix]));
}
