import { textOfBytes } from "../../core/index.ts";
import type { ArchiveState } from "./index/indexWork.ts";
import { openPackageIndex } from "./index/suiteIndex.ts";

/** A package as a list for completion shows it. */
export interface FoundPackage {
  readonly name: string;
  /** The highest first. */
  readonly versions: readonly string[];
  /** One line. */
  readonly summary: string;
}

export interface FoundPackages {
  /** By name. */
  readonly packages: readonly FoundPackage[];
  /** There are more. */
  readonly isTruncated: boolean;
}

/**
 * The packages whose names begin with a prefix, from indexes that lie in the cache; no mirror is asked.
 * @param candidates lists of archives, the best first
 * @returns undefined where no list's indexes are all there
 */
export function searchIndex(
  cacheDir: string,
  candidates: readonly (readonly ArchiveState[])[],
  architecture: string,
  { prefix, limit }: { readonly prefix: string; readonly limit: number },
): FoundPackages | undefined {
  for (const archives of candidates) {
    if (archives.length === 0) continue;
    using index = openPackageIndex(cacheDir, archives, architecture);
    if (index === undefined) continue;
    const names = Object.keys(JSON.parse(index.namesJson()) as Record<string, null>)
      .filter((name) => name.startsWith(prefix))
      .sort();
    const packages = names.slice(0, limit).map((name) => {
      const versions = index.versionsOf(name);
      return {
        name,
        versions: [...new Set(versions.map(({ version }) => version))],
        summary: textOfBytes(versions[0]?.description ?? ""),
      };
    });
    return { packages, isTruncated: names.length > packages.length };
  }
  return undefined;
}
