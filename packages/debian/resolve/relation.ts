import { DevshellError } from "../../../core/index.ts";
import type { VersionOperator } from "./version.ts";

/** One alternative of a relation field: `python3:any (>= 3.11)`. */
export interface Relation {
  readonly name: string;
  /** After the colon: `any`, `native` or an architecture. */
  readonly qualifier?: string | undefined;
  readonly constraint?: VersionConstraint | undefined;
}

export interface VersionConstraint {
  readonly operator: VersionOperator;
  readonly version: string;
}

/** Alternatives, first the preferred one; never empty. */
export type RelationGroup = readonly Relation[];

export interface RelationContext {
  /** Debian's name of the architecture, e.g. `amd64`. */
  readonly architecture: string;
  /** Active build profiles, e.g. `nocheck`. */
  readonly profiles: ReadonlySet<string>;
}

/** Longer fields than any real one (the longest in sid has about 60,000 bytes). */
const MAX_FIELD_BYTES = 1 << 20;
const ALTERNATIVE =
  /^([A-Za-z0-9][A-Za-z0-9.+-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()<>=]+)\s*\))?\s*(?:\[([^\]]*)\])?\s*(.*)$/s;

/**
 * Reads a relation field (`Depends`, `Build-Depends`, `Provides` …). Alternatives that the architecture or the
 * build profiles exclude are left out, and groups that become empty with them.
 * @throws {DevshellError} `DEBIAN_RELATION_INVALID`
 * @see Debian Policy 7.1, and https://wiki.debian.org/BuildProfileSpec
 */
export function parseRelations(field: string, context: RelationContext): RelationGroup[] {
  if (field.length > MAX_FIELD_BYTES) throw invalid(field.slice(0, 60), "the field is too long");
  const groups: RelationGroup[] = [];
  for (const part of field.split(",")) {
    if (part.trim() === "") continue;
    const group = part.split("|").flatMap((text) => parseAlternative(text.trim(), context) ?? []);
    if (group.length > 0) groups.push(group);
  }
  return groups;
}

export function formatRelation({ name, qualifier, constraint }: Relation): string {
  const full = qualifier === undefined ? name : `${name}:${qualifier}`;
  return constraint === undefined ? full : `${full} (${constraint.operator} ${constraint.version})`;
}

export function formatRelationGroup(group: RelationGroup): string {
  return group.map(formatRelation).join(" | ");
}

function parseAlternative(text: string, context: RelationContext): Relation | undefined {
  const match = ALTERNATIVE.exec(text);
  if (match === null) throw invalid(text, "expected `name (>= version) [architecture] <profile>`");
  const [, name = "", qualifier, operator, version, architectures, profiles = ""] = match;
  if (architectures !== undefined && !isArchitectureListed(architectures, context.architecture))
    return undefined;
  if (!areProfilesMet(text, profiles, context.profiles)) return undefined;
  return {
    name,
    ...(qualifier !== undefined && { qualifier }),
    ...(operator !== undefined &&
      version !== undefined && { constraint: { operator: normaliseOperator(operator), version } }),
  };
}

/** `<` and `>` are the obsolete spellings of `<=` and `>=`. */
function normaliseOperator(operator: string): VersionOperator {
  switch (operator) {
    case "<<":
    case "<=":
    case "=":
    case ">=":
    case ">>":
      return operator;
    case "<":
      return "<=";
    default:
      return ">=";
  }
}

/** `linux-any !i386`: either all entries are negated, or none is. */
function isArchitectureListed(list: string, architecture: string): boolean {
  const entries = list.trim().split(/\s+/);
  if (entries[0]?.startsWith("!") === true)
    return !entries.some((entry) => matchesArchitecture(entry.replace(/^!/, ""), architecture));
  return entries.some((entry) => matchesArchitecture(entry, architecture));
}

/** A wildcard is `<abi>-<os>-<cpu>`, the front parts optional; every architecture here is `gnu-linux-<cpu>`. */
function matchesArchitecture(pattern: string, architecture: string): boolean {
  if (pattern === architecture || pattern === "any") return true;
  const parts = pattern.split("-");
  if (parts.length < 2 || parts.length > 3) return false;
  const cpu = parts.at(-1);
  const os = parts.at(-2);
  const abi = parts.at(-3) ?? "any";
  return (
    (cpu === "any" || cpu === architecture) &&
    (os === "any" || os === "linux") &&
    (abi === "any" || abi === "gnu")
  );
}

/** `<!nocheck> <a b>`: one list must hold, a list holds if all its terms do. */
function areProfilesMet(text: string, lists: string, active: ReadonlySet<string>): boolean {
  if (lists === "") return true;
  if (!/^(<[^<>]*>\s*)+$/.test(lists)) throw invalid(text, `found "${lists}" after it`);
  return [...lists.matchAll(/<([^<>]*)>/g)].some(([, terms = ""]) =>
    terms
      .trim()
      .split(/\s+/)
      .every((term) => (term.startsWith("!") ? !active.has(term.slice(1)) : active.has(term))),
  );
}

function invalid(text: string, why: string): DevshellError {
  return new DevshellError("DEBIAN_RELATION_INVALID", `Cannot read relation "${text}": ${why}`);
}
