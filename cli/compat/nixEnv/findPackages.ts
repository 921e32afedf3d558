import {
  AttrSet,
  NO_POS,
  addFrame,
  calls,
  enterLevel,
  evalError,
  force,
  forceBool,
  isCatchable,
  isDerivation,
  isList,
  type Evaluator,
  type Slot,
} from "../../../lang/index.ts";
import { EnvPackage } from "./envPackage.ts";

/** Names that take part in the search: others could not be given to `-A`. */
const SEARCHED_NAME = /^[A-Za-z_][A-Za-z0-9_+-]*$/;

export interface SearchOptions {
  readonly autoArguments: AttrSet;
  /** Before every attribute path. */
  readonly prefix: string;
  /** What throws or fails an assertion is passed over. */
  readonly skipsFailures: boolean;
}

/** All derivations of a value: itself, or those of its attributes or elements, and in sets that say so. */
export function findPackages(evaluator: Evaluator, root: Slot, options: SearchOptions): EnvPackage[] {
  const search = new PackageSearch(evaluator, options);
  search.visit(root, options.prefix);
  return search.found;
}

class PackageSearch {
  readonly found: EnvPackage[] = [];
  /** A derivation that goes by several names counts once. */
  readonly #done = new Set<AttrSet>();
  readonly #evaluator: Evaluator;
  readonly #options: SearchOptions;

  constructor(evaluator: Evaluator, options: SearchOptions) {
    this.#evaluator = evaluator;
    this.#options = options;
  }

  visit(slot: Slot, path: string): void {
    enterLevel(NO_POS);
    const value = this.#evaluator.autoCall(slot, this.#options.autoArguments);
    if (this.#isToBeSearched(value, path)) {
      if (value instanceof AttrSet) this.#visitSet(value, path);
      else if (isList(value))
        value.forEach((item, index) => {
          const inner = join(path, String(index));
          if (this.#isToBeSearched(item, inner)) this.visit(item, inner);
        });
      else
        throw evalError("type", "expression does not evaluate to a derivation (or a set or list of those)");
    }
    calls.depth--;
  }

  #visitSet(set: AttrSet, path: string): void {
    const isCombined = set.has("_combineChannels");
    for (const name of set.sortedNames()) {
      if (!SEARCHED_NAME.test(name)) continue;
      const item = set.get(name)!;
      const inner = join(path, name);
      try {
        if (isCombined) this.visit(item, inner);
        else if (this.#isToBeSearched(item, inner)) this.#visitOpen(item, inner);
      } catch (error) {
        throw addFrame(error, `while evaluating the attribute '${name}'`, set.posOf(name));
      }
    }
  }

  /** A set within a set is searched where it asks for it. */
  #visitOpen(slot: Slot, path: string): void {
    const value = force(slot);
    if (!(value instanceof AttrSet)) return;
    const recurses = value.get("recurseForDerivations");
    if (recurses === undefined) return;
    const context = "while evaluating the attribute `recurseForDerivations`";
    if (forceBool(recurses, value.posOf("recurseForDerivations"), context)) this.visit(value, path);
  }

  /** Takes a derivation. @returns whether the value is something else, which may hold some */
  #isToBeSearched(slot: Slot, path: string): boolean {
    const { depth } = calls;
    try {
      const value = force(slot);
      if (!(value instanceof AttrSet && isDerivation(value))) return true;
      if (this.#done.has(value)) return false;
      this.#done.add(value);
      this.found.push(new EnvPackage(this.#evaluator.runtime, path, value));
      return false;
    } catch (error) {
      if (!this.#options.skipsFailures || !isCatchable(error)) throw error;
      calls.depth = depth;
      return false;
    }
  }
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
