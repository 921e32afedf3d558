import { lstatSync, readFileSync } from "node:fs";
import { fsPath, textOfBytes, type ByteString } from "../../core/index.ts";
import type { Store, StorePath } from "../../store/index.ts";
import { lastUsedMs, recordOwner } from "../cache/cacheRecord.ts";

/** Who keeps store paths alive: one or more roots. */
export interface StoreOwner {
  /** An environment that was entered, a profile's generations, a running process, or a link that someone made. */
  readonly kind: "project" | "profile" | "process" | "link";
  /** A directory with the words that select, a profile's path, a process's number and name, or the link's path. */
  readonly name: string;
  readonly roots: ReadonlySet<StorePath>;
  readonly lastUsedMs: number | undefined;
}

interface MutableOwner extends StoreOwner {
  readonly roots: Set<StorePath>;
  lastUsedMs: number | undefined;
}

/** The store's roots without those of this very process: it holds what it was started with, and will be gone. */
export function rootsOfOthers(store: Store): ReadonlyMap<StorePath, readonly ByteString[]> {
  return new Map(
    [...store.findRoots()].flatMap(([path, links]) => {
      const others = [...links].filter((link) => !isOwnRoot(link));
      return others.length === 0 ? [] : [[path, others] as const];
    }),
  );
}

/** All that keeps anything in the store, each with what it roots itself. */
export function storeOwners(roots: ReadonlyMap<StorePath, readonly ByteString[]>): StoreOwner[] {
  const owners = new Map<string, MutableOwner>();
  for (const [path, links] of roots)
    for (const link of links) {
      const { kind, name, usedMs } = ownerOf(link);
      const key = `${kind}\0${name}`;
      const owner = owners.get(key) ?? { kind, name, roots: new Set(), lastUsedMs: undefined };
      owners.set(key, owner);
      owner.roots.add(path);
      if (usedMs !== undefined) owner.lastUsedMs = Math.max(usedMs, owner.lastUsedMs ?? 0);
    }
  return [...owners.values()];
}

/** Whose a root is, by where it lies. */
export function ownerOf(link: ByteString): {
  readonly kind: StoreOwner["kind"];
  readonly name: string;
  readonly usedMs: number | undefined;
} {
  const pid = /^\/proc\/(\d+)\//.exec(link)?.[1] ?? /^\{temp:(\d+)/.exec(link)?.[1];
  if (pid !== undefined) return { kind: "process", name: nameOfProcess(pid), usedMs: Date.now() };
  const record = recordOfLink(link);
  if (record !== undefined) {
    // Another user's cannot be read.
    const { directory, selection } = recordOwner(record) ?? { directory: record, selection: [] };
    const words = selection.map((word) => (/[\s'"]/.test(word) ? JSON.stringify(word) : word));
    return { kind: "project", name: [directory, ...words].join(" "), usedMs: lastUsedMs(record) };
  }
  const usedMs = lstatSync(fsPath(link), { throwIfNoEntry: false })?.mtimeMs;
  const profile = /^(.*)-\d+-link$/s.exec(link)?.[1];
  return profile === undefined
    ? { kind: "link", name: textOfBytes(link), usedMs }
    : { kind: "profile", name: textOfBytes(profile), usedMs };
}

function isOwnRoot(link: ByteString): boolean {
  return link.startsWith(`/proc/${process.pid}/`) || /^\{temp:(\d+)/.exec(link)?.[1] === String(process.pid);
}

/** The record below whose `roots` a link lies, in anyone's cache. */
export function recordOfLink(link: ByteString): string | undefined {
  const record = /^(.*\/records\/[0-9a-z]{32})\/roots\/\d+$/s.exec(link)?.[1];
  return record === undefined ? undefined : textOfBytes(record);
}

function nameOfProcess(pid: string): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/comm`, "utf8").trim()}`;
  } catch {
    return pid;
  }
}
