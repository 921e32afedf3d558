import { bytesOfText, type ByteString } from "../../../core/index.ts";
import { compareVersions } from "../../../lang/index.ts";
import { say } from "../output.ts";
import type { EnvPackage } from "./envPackage.ts";

/**
 * Of each name one: that of this system, of the highest priority, of the newest version, or the first. By name, sorted.
 * @param system this machine's
 */
export function newestOnly(packages: readonly EnvPackage[], system: string): EnvPackage[] {
  const newest = new Map<ByteString, EnvPackage>();
  const ambiguous = new Set<ByteString>();
  for (const each of packages) {
    const { name } = each.parsedName;
    const other = newest.get(name);
    const order = other === undefined ? 1 : preference(each, other, bytesOfText(system));
    if (order > 0) {
      newest.set(name, each);
      ambiguous.delete(each.name);
    } else if (order === 0) ambiguous.add(each.name);
  }
  return [...newest.keys()].sort().map((name) => {
    if (ambiguous.has(name))
      say(`warning: there are multiple derivations named '${name}'; using the first one`);
    return newest.get(name)!;
  });
}

/** By priority: positive where `a` hides `b`'s files. */
export function comparePriorities(a: EnvPackage, b: EnvPackage): number {
  const [first, second] = [a.priority, b.priority];
  return first < second ? 1 : first > second ? -1 : 0;
}

function preference(a: EnvPackage, b: EnvPackage, system: ByteString): number {
  if (a.system !== b.system) {
    if (a.system === system) return 1;
    if (b.system === system) return -1;
  }
  return comparePriorities(a, b) || compareVersions(a.parsedName.version, b.parsedName.version);
}
