import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import { parseDerivationName } from "../../../lang/index.ts";
import { renderSize, storePathName, type Store, type StorePath } from "../../../store/index.ts";
import { printLine } from "../output.ts";

/** Smaller changes of size are not worth a line. */
const SHOWN_BYTES = 8 * 1024;
const RED = "\u001B[31;1m";
const GREEN = "\u001B[32;1m";
const PLAIN = "\u001B[0m";

/** Prints how the packages of two closures differ, a line for each name. */
export function printClosureDiff(store: Store, before: StorePath, after: StorePath, indent: string): void {
  for (const line of closureDiff(versionsIn(store, before), versionsIn(store, after)))
    printLine(bytesOfText(`${indent}${line}`));
}

/** Name → version → bytes of its paths. */
export type ClosureVersions = ReadonlyMap<string, ReadonlyMap<string, number>>;

export function closureDiff(before: ClosureVersions, after: ClosureVersions): readonly string[] {
  const lines: string[] = [];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, now] = [before, after].map((versions) => versions.get(name) ?? new Map<string, number>());
    if (old === undefined || now === undefined) continue;
    const removed = [...old.keys()].filter((version) => !now.has(version));
    const added = [...now.keys()].filter((version) => !old.has(version));
    const delta = sum(now) - sum(old);
    const items: string[] = [];
    if (removed.length > 0 || added.length > 0)
      items.push(`${showVersions(removed)} → ${showVersions(added)}`);
    if (Math.abs(delta) >= SHOWN_BYTES) items.push(`${delta > 0 ? RED : GREEN}${renderSize(delta)}${PLAIN}`);
    if (items.length > 0) lines.push(`${name}: ${items.join(", ")}`);
  }
  return lines;
}

/** `∅` for none; `ε` is a path without a version. */
export function showVersions(versions: Iterable<string>): string {
  const shown = [...new Set(versions)].map((version) => (version === "" ? "ε" : version)).sort();
  return shown.length === 0 ? "∅" : shown.join(", ");
}

function versionsIn(store: Store, path: StorePath): ClosureVersions {
  const groups = new Map<string, Map<string, number>>();
  for (const each of store.closureOf([path])) {
    const whole = storePathName(each);
    // The output's name; a version's end such as "unstable" looks the same.
    const bare = /^(.*)-(?:[a-z]+|lib32|lib64)$/.exec(whole)?.[1] ?? whole;
    const { name, version } = parseDerivationName(bare);
    const [group, shown] = [textOfBytes(name), textOfBytes(version)];
    const versions = groups.get(group) ?? new Map<string, number>();
    versions.set(shown, (versions.get(shown) ?? 0) + store.pathInfo(each).narSizeBytes);
    groups.set(group, versions);
  }
  return groups;
}

function sum(versions: ReadonlyMap<string, number>): number {
  return [...versions.values()].reduce((total, sizeBytes) => total + sizeBytes, 0);
}
