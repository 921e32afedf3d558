import { DevshellError } from "../../../core/index.ts";
import {
  formatRelation,
  formatRelationGroup,
  parseRelations,
  type Relation,
  type RelationContext,
  type RelationGroup,
} from "./relation.ts";
import { isVersionSatisfying } from "./version.ts";

/** A binary package as its index states it; relation fields are unparsed, `""` where absent. */
export interface BinaryPackage {
  readonly name: string;
  readonly version: string;
  /** The machine's own or `all`. */
  readonly architecture: string;
  readonly multiArch: string;
  readonly priority: string;
  readonly isEssential: boolean;
  readonly preDepends: string;
  readonly depends: string;
  readonly provides: string;
  readonly conflicts: string;
  readonly breaks: string;
}

/** What can be chosen from. */
export interface PackageUniverse<P extends BinaryPackage = BinaryPackage> {
  /** Every version of a package, the highest first. */
  versionsOf(name: string): readonly P[];
  /** Candidates (highest versions) whose `Provides` names the package. */
  providersOf(name: string): readonly P[];
}

export interface Resolution<P extends BinaryPackage = BinaryPackage> {
  /** In the order of their selection: a root, then what it needs, depth first. */
  readonly packages: readonly P[];
}

/** A root wish and what to call it in an error, e.g. `Build-Depends of source "pan"`. */
export interface ResolutionRoot {
  readonly group: RelationGroup;
  readonly from: string;
}

/** More than the whole of any sensible environment; an index that needs more is hostile. */
const MAX_PACKAGES = 20_000;
const PRIORITY_ORDER = ["required", "important", "standard", "optional", "extra"];

/**
 * Chooses the packages that the roots need, as `apt-get --no-install-recommends` does: Pre-Depends and Depends; of
 * alternatives one already chosen, else the first that can be had; of the providers of a virtual package the one
 * with the best priority. The order, depth first as the fields stand, is apt's too: it decides which alternative is
 * chosen already.
 * @param forbidden `Build-Conflicts`
 * @throws {DevshellError} `DEBIAN_UNSATISFIABLE` with the chain of packages that led there
 */
export function resolvePackages<P extends BinaryPackage>(
  universe: PackageUniverse<P>,
  roots: readonly ResolutionRoot[],
  context: RelationContext,
  forbidden: readonly RelationGroup[] = [],
): Resolution<P> {
  return new Resolver(universe, context, forbidden).resolve(roots);
}

interface Wish {
  readonly group: RelationGroup;
  /** The package that wishes, or the root's description. */
  readonly from: string;
}

class Resolver<P extends BinaryPackage> {
  readonly #universe: PackageUniverse<P>;
  readonly #context: RelationContext;
  readonly #forbidden: readonly RelationGroup[];
  readonly #selected = new Map<string, P>();
  /** Who asked for a package first. */
  readonly #askedBy = new Map<string, string>();
  readonly #parsed = new Map<string, readonly RelationGroup[]>();
  /** Selected packages that name something in Conflicts or Breaks: name → who refuses it and how. */
  readonly #refusals = new Map<string, { readonly by: P; readonly relation: Relation }[]>();

  constructor(universe: PackageUniverse<P>, context: RelationContext, forbidden: readonly RelationGroup[]) {
    this.#universe = universe;
    this.#context = context;
    this.#forbidden = forbidden;
  }

  resolve(roots: readonly ResolutionRoot[]): Resolution<P> {
    // A stack, the next wish last.
    const wishes: Wish[] = roots.toReversed();
    for (let wish = wishes.pop(); wish !== undefined; wish = wishes.pop()) {
      const chosen = this.#grant(wish);
      if (chosen === undefined) continue;
      const needs = [chosen.preDepends, chosen.depends].flatMap((field) => this.#relations(field));
      for (const group of needs.toReversed()) wishes.push({ group, from: chosen.name });
    }
    return { packages: [...this.#selected.values()] };
  }

  /** @returns the package newly selected, or `undefined` where the wish was met already */
  #grant({ group, from }: Wish): P | undefined {
    if (group.some((relation) => this.#isMet(relation))) return undefined;
    const reasons: string[] = [];
    for (const relation of group)
      for (const candidate of this.#candidates(relation, reasons)) {
        const refusal = this.#whyRefused(candidate);
        if (refusal === undefined) {
          this.#select(candidate, from);
          return candidate;
        }
        reasons.push(refusal);
      }
    throw new DevshellError(
      "DEBIAN_UNSATISFIABLE",
      `Cannot satisfy "${formatRelationGroup(group)}" ${this.#chain(from)}: ${reasons.join("; ")}`,
      { hint: "choose other packages or another suite, or refresh the index with `devshell update`" },
    );
  }

  #select(chosen: P, from: string): void {
    if (this.#selected.size >= MAX_PACKAGES)
      throw new DevshellError("DEBIAN_UNSATISFIABLE", `Cannot resolve: more than ${MAX_PACKAGES} packages`);
    this.#selected.set(chosen.name, chosen);
    this.#askedBy.set(chosen.name, from);
    for (const field of [chosen.conflicts, chosen.breaks])
      for (const group of this.#relations(field))
        for (const relation of group) {
          const known = this.#refusals.get(relation.name) ?? [];
          known.push({ by: chosen, relation });
          this.#refusals.set(relation.name, known);
        }
  }

  #isMet(relation: Relation): boolean {
    const chosen = this.#selected.get(relation.name);
    if (chosen !== undefined && this.#isMatch(chosen, relation)) return true;
    return this.#universe
      .providersOf(relation.name)
      .some(
        (provider) => this.#selected.get(provider.name) === provider && this.#provides(provider, relation),
      );
  }

  /** Real packages first, then providers; a version already selected excludes the package's others. */
  #candidates(relation: Relation, reasons: string[]): P[] {
    const versions = this.#universe.versionsOf(relation.name);
    const real = versions.filter((version) => this.#isMatch(version, relation));
    const [best] = real;
    const providers = this.#universe
      .providersOf(relation.name)
      .filter((provider) => this.#provides(provider, relation))
      .sort(byPriority);
    if (best === undefined && providers.length === 0) {
      const [have] = versions;
      reasons.push(
        have === undefined
          ? `no package and no provider is called "${relation.name}"`
          : `"${formatRelation(relation)}" is wanted, the suite has ${have.version}`,
      );
    }
    return best === undefined ? providers : [best, ...providers];
  }

  #whyRefused(candidate: P): string | undefined {
    const other = this.#selected.get(candidate.name);
    if (other !== undefined) return `${candidate.name} ${other.version} is chosen already`;
    for (const group of this.#forbidden)
      for (const relation of group)
        if (this.#isHit(candidate, relation)) return `the source conflicts with ${formatRelation(relation)}`;
    for (const name of [candidate.name, ...this.#providedNames(candidate)])
      for (const { by, relation } of this.#refusals.get(name) ?? [])
        if (by.name !== candidate.name && this.#isHit(candidate, relation))
          return `${by.name} refuses ${formatRelation(relation)}, which is ${candidate.name} ${candidate.version}`;
    for (const field of [candidate.conflicts, candidate.breaks])
      for (const group of this.#relations(field))
        for (const relation of group) {
          const hit = this.#selectedHit(candidate, relation);
          if (hit !== undefined)
            return `${candidate.name} refuses ${formatRelation(relation)}, which is chosen already`;
        }
    return undefined;
  }

  #selectedHit(candidate: P, relation: Relation): P | undefined {
    const named = this.#selected.get(relation.name);
    if (named !== undefined && named.name !== candidate.name && this.#isHit(named, relation)) return named;
    return this.#universe
      .providersOf(relation.name)
      .find(
        (provider) =>
          provider.name !== candidate.name &&
          this.#selected.get(provider.name) === provider &&
          this.#isHit(provider, relation),
      );
  }

  /** Whether a conflict's relation means this package, by its name or by what it provides. */
  #isHit(chosen: P, relation: Relation): boolean {
    if (chosen.name === relation.name) return isVersionMet(chosen.version, relation);
    return this.#provides(chosen, relation);
  }

  #isMatch(version: P, relation: Relation): boolean {
    return this.#isQualifierMet(version, relation) && isVersionMet(version.version, relation);
  }

  #isQualifierMet(version: P, { qualifier }: Relation): boolean {
    if (qualifier === undefined || qualifier === "native") return true;
    // Every package is of the machine's architecture, so `:any` asks for nothing more.
    return (
      qualifier === "any" || qualifier === this.#context.architecture || qualifier === version.architecture
    );
  }

  #provides(provider: P, relation: Relation): boolean {
    return this.#relations(provider.provides).some(([provided]) => {
      if (provided?.name !== relation.name) return false;
      if (relation.constraint === undefined) return true;
      // An unversioned Provides satisfies no versioned relation (Policy 7.5).
      return provided.constraint !== undefined && isVersionMet(provided.constraint.version, relation);
    });
  }

  #providedNames(candidate: P): string[] {
    return this.#relations(candidate.provides).flatMap(([provided]) => provided?.name ?? []);
  }

  #relations(field: string): readonly RelationGroup[] {
    if (field === "") return [];
    let groups = this.#parsed.get(field);
    if (groups === undefined) this.#parsed.set(field, (groups = parseRelations(field, this.#context)));
    return groups;
  }

  #chain(from: string): string {
    const links = [from];
    for (let at = this.#askedBy.get(from); at !== undefined && links.length < 12; at = this.#askedBy.get(at))
      links.push(at);
    return links.map((link, n) => `${n === 0 ? "for" : "wanted by"} ${link}`).join(", ");
  }
}

function isVersionMet(version: string, { constraint }: Relation): boolean {
  return constraint === undefined || isVersionSatisfying(version, constraint.operator, constraint.version);
}

function byPriority(a: BinaryPackage, b: BinaryPackage): number {
  const order = priorityOf(a) - priorityOf(b);
  if (order !== 0) return order;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function priorityOf({ priority }: BinaryPackage): number {
  const at = PRIORITY_ORDER.indexOf(priority);
  return at < 0 ? PRIORITY_ORDER.length : at;
}
