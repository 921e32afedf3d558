import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import {
  AttrSet,
  EvalError,
  NO_POS,
  force,
  parseAttrPath,
  suggest,
  type Pos,
  type Slot,
  type Value,
} from "../../lang/index.ts";

/** A value that was found among a flake's outputs. */
export interface FlakeOutput {
  readonly value: Value;
  readonly pos: Pos;
  /** From the outputs on. */
  readonly path: readonly string[];
}

/** Where a command looks in a flake's outputs; `%` stands for the system. */
export interface FlakePlaces {
  /** For a reference without a fragment, first to last. */
  readonly defaults: readonly string[];
  /** What is put before a fragment, first to last; then it is taken as it stands. */
  readonly prefixes: readonly string[];
}

export const PACKAGE_PLACES: FlakePlaces = {
  defaults: ["packages.%.default", "defaultPackage.%"],
  prefixes: ["packages.%.", "legacyPackages.%."],
};

export const SHELL_PLACES: FlakePlaces = {
  defaults: ["devShells.%.default", "devShell.%", ...PACKAGE_PLACES.defaults],
  prefixes: ["devShells.%.", ...PACKAGE_PLACES.prefixes],
};

/** Where packages are searched for. */
export const SEARCH_PLACES: FlakePlaces = {
  defaults: ["packages.%", "legacyPackages.%"],
  prefixes: PACKAGE_PLACES.prefixes,
};

export const APP_PLACES: FlakePlaces = {
  defaults: ["apps.%.default", "defaultApp.%", ...PACKAGE_PLACES.defaults],
  prefixes: ["apps.%.", ...PACKAGE_PLACES.prefixes],
};

/** The attribute paths that a fragment may mean; one that begins with `.` means what it says. */
export function outputPathsOf(fragment: string, places: FlakePlaces, system: string): string[] {
  const here = (path: string): string => path.replace("%", system);
  if (fragment === "") return places.defaults.map(here);
  if (fragment.startsWith(".")) return [fragment.slice(1)];
  return [...places.prefixes.map((prefix) => here(prefix) + fragment), fragment];
}

/**
 * The first of the paths that the outputs have.
 * @param shown the flake, for messages
 * @throws {DevshellError} `FLAKE_NO_ATTRIBUTE`, with what may have been meant
 */
export function findFlakeOutput(outputs: Slot, shown: string, paths: readonly string[]): FlakeOutput {
  const { value: found } = foundOutputs(outputs, shown, paths).next();
  if (found === undefined) throw new Error("nothing was found, and nothing thrown");
  return found;
}

/** As {@link findFlakeOutput}: each of the paths that the outputs have. */
export function findFlakeOutputs(outputs: Slot, shown: string, paths: readonly string[]): FlakeOutput[] {
  return [...foundOutputs(outputs, shown, paths)];
}

function* foundOutputs(
  outputs: Slot,
  shown: string,
  paths: readonly string[],
): Generator<FlakeOutput, undefined> {
  const missing: Missing[] = [];
  let isFound = false;
  for (const path of paths) {
    const names = parseAttrPath(bytesOfText(path));
    const found = attemptPath(outputs, names);
    if (found === undefined) continue;
    if ("slot" in found) {
      isFound = true;
      yield { value: force(found.slot), pos: found.pos, path: names };
    } else missing.push(found);
  }
  if (isFound) return;
  throw new DevshellError(
    "FLAKE_NO_ATTRIBUTE",
    `flake '${shown}' does not provide attribute ${listOf(paths)}`,
    {
      suggestions: nearest(missing),
    },
  );
}

interface Found {
  readonly slot: Slot;
  readonly pos: Pos;
}

/** A name that a set has not. */
interface Missing {
  readonly name: string;
  readonly known: readonly string[];
}

/** @returns undefined where something on the way is no set: another place may have it */
function attemptPath(outputs: Slot, names: readonly string[]): Found | Missing | undefined {
  let found: Found = { slot: outputs, pos: NO_POS };
  try {
    for (const name of names) {
      const set = force(found.slot);
      if (!(set instanceof AttrSet)) return undefined;
      const slot = set.get(name);
      if (slot === undefined) return { name, known: set.sortedNames() };
      found = { slot, pos: set.posOf(name) };
    }
    return found;
  } catch (error) {
    if (error instanceof EvalError && error.kind === "type") return undefined;
    throw error;
  }
}

/** The nearest of all sets together. */
function nearest(missing: readonly Missing[]): string[] {
  const near = new Set(missing.flatMap(({ name, known }) => suggest(name, known)));
  const [wanted] = missing;
  return wanted === undefined ? [] : suggest(wanted.name, near).map(textOfBytes);
}

function listOf(paths: readonly string[]): string {
  const quoted = paths.map((path) => `'${path}'`);
  const last = quoted.pop() ?? "";
  return quoted.length === 0 ? last : `${quoted.join(", ")} or ${last}`;
}
