import type { ByteString } from "../../../core/index.ts";
import type { PackageUniverse } from "../resolve/resolver.ts";
import { compareVersions } from "../resolve/version.ts";
import { packagesTablePath, providersTablePath, sourcesTablePath } from "./indexTables.ts";
import type { ArchiveState } from "./indexWork.ts";
import type { MirrorRole } from "./mirrors.ts";
import { parsePackages, parseSources, type IndexedPackage, type IndexedSource } from "./records.ts";
import { openRecordTable, type RecordTable } from "./recordTable.ts";

/** A suite's packages over all of its archives (the suite itself, its updates and security fixes). */
export interface PackageIndex extends PackageUniverse<IndexedPackage>, Disposable {
  readonly essential: readonly string[];
  /** One set of names as JSON: `{"gcc":null,…}`. */
  readonly namesJson: () => ByteString;
}

export interface SourceIndex extends Disposable {
  find(name: string): IndexedSource | undefined;
  readonly namesJson: () => ByteString;
}

/** Where an index's tables lie: named after its content, so that they never go stale. */
export function tableBase(cacheDir: string, rawSha256: string, architecture: string): string {
  return `${cacheDir}/indexes/${rawSha256}-${architecture}`;
}

/** @returns `undefined` where a table is missing and must be fetched first */
export function openPackageIndex(
  cacheDir: string,
  archives: readonly ArchiveState[],
  architecture: string,
): PackageIndex | undefined {
  const opened: { packages: RecordTable; providers: RecordTable; role: MirrorRole }[] = [];
  for (const { packages: file, role } of archives) {
    const base = tableBase(cacheDir, file.rawSha256, architecture);
    const packages = openRecordTable(packagesTablePath(base));
    const providers = packages === undefined ? undefined : openRecordTable(providersTablePath(base));
    if (packages === undefined || providers === undefined) {
      packages?.[Symbol.dispose]();
      for (const table of opened) disposeBoth(table);
      return undefined;
    }
    opened.push({ packages, providers, role });
  }
  const versions = new Map<string, readonly IndexedPackage[]>();
  const providing = new Map<string, readonly IndexedPackage[]>();

  const versionsOf = (name: string): readonly IndexedPackage[] => {
    let found = versions.get(name);
    if (found === undefined) {
      found = mergeVersions(
        opened.map(({ packages, role }) => {
          const record = packages.get(name);
          return record === undefined ? [] : parsePackages(record, role);
        }),
      );
      versions.set(name, found);
    }
    return found;
  };
  return {
    versionsOf,
    providersOf(name) {
      let found = providing.get(name);
      if (found === undefined) {
        const names = new Set(opened.flatMap(({ providers }) => providers.get(name)?.split("\n") ?? []));
        const isProvided = new RegExp(`(?:^|,)\\s*${escapeRegExp(name)}\\s*(?:[(,:]|$)`);
        found = [...names].flatMap((provider) => {
          const [candidate] = versionsOf(provider);
          return candidate !== undefined && isProvided.test(candidate.provides) ? [candidate] : [];
        });
        providing.set(name, found);
      }
      return found;
    },
    essential: [
      ...new Set(opened.flatMap(({ packages }) => (packages.notes["essential"] ?? "").split(" "))),
    ].filter((name) => name !== ""),
    namesJson: () => namesJson(opened.map(({ packages }) => packages.keys)),
    [Symbol.dispose]: () => opened.forEach(disposeBoth),
  };
}

/** @returns `undefined` where a table is missing and must be fetched first */
export function openSourceIndex(
  cacheDir: string,
  archives: readonly ArchiveState[],
  architecture: string,
): SourceIndex | undefined {
  const opened: { table: RecordTable; role: MirrorRole }[] = [];
  for (const { sources: file, role } of archives) {
    if (file === undefined) continue;
    const table = openRecordTable(sourcesTablePath(tableBase(cacheDir, file.rawSha256, architecture)));
    if (table === undefined) {
      for (const { table: other } of opened) other[Symbol.dispose]();
      return undefined;
    }
    opened.push({ table, role });
  }
  return {
    find(name) {
      const [best] = mergeVersions(
        opened.map(({ table, role }) => {
          const record = table.get(name);
          return record === undefined ? [] : parseSources(record, role);
        }),
      );
      return best;
    },
    namesJson: () => namesJson(opened.map(({ table }) => table.keys)),
    [Symbol.dispose]: () => opened.forEach(({ table }) => table[Symbol.dispose]()),
  };
}

/** `{"gcc":null,…}` of sorted lists, one name a line; names hold no character that JSON escapes. */
export function namesJson(lists: readonly ByteString[]): ByteString {
  const keys = lists.filter((list) => list !== "").reduce((all, list) => mergeLines(all, list), "");
  return keys === "" ? "{}" : `{"${keys.replaceAll("\n", '":null,"')}":null}`;
}

/** Both lists' lines, sorted, each once. */
function mergeLines(left: ByteString, right: ByteString): ByteString {
  if (left === "") return right;
  const a = left.split("\n");
  const b = right.split("\n");
  const merged: string[] = [];
  let j = 0;
  for (const line of a) {
    for (let other = b[j]; other !== undefined && other <= line; other = b[++j])
      if (other !== line) merged.push(other);
    merged.push(line);
  }
  for (; j < b.length; j++) merged.push(b[j] ?? "");
  return merged.join("\n");
}

function disposeBoth({ packages, providers }: { packages: RecordTable; providers: RecordTable }): void {
  packages[Symbol.dispose]();
  providers[Symbol.dispose]();
}

/** The highest first; of the same version in two archives the first archive's. */
function mergeVersions<T extends { readonly version: string }>(
  lists: readonly (readonly T[])[],
): readonly T[] {
  const filled = lists.filter((list) => list.length > 0);
  const [only] = filled;
  if (only === undefined) return [];
  if (filled.length === 1) return only;
  const byVersion = new Map<string, T>();
  for (const item of filled.flat()) if (!byVersion.has(item.version)) byVersion.set(item.version, item);
  return [...byVersion.values()].sort((a, b) => compareVersions(b.version, a.version));
}

function escapeRegExp(text: string): string {
  return text.replace(/[.+]/g, "\\$&");
}
