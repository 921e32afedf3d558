import { lstat, mkdir, readFile, readdir, readlink, realpath, stat, symlink, unlink } from "node:fs/promises";
import { DevshellError, fsPath, type ByteString } from "../../../core/index.ts";

export interface LinkedPackage {
  readonly path: ByteString;
  /** Others are left out. */
  readonly isActive: boolean;
  /** Lower wins. */
  readonly priority: number;
}

export interface LinkOptions {
  readonly onWarn: (line: string) => void;
  /** Where the store's files lie, when not where its paths say; links lead to the paths. */
  readonly place?: { readonly storeDir: string; readonly realStoreDir: ByteString } | undefined;
  /** Throws where a directory or file must not be read. */
  readonly checkRead?: ((path: ByteString) => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Two packages of the same priority have a file in the same place. */
export class FileConflict extends DevshellError {
  readonly existing: ByteString;
  readonly added: ByteString;
  readonly priority: number;

  constructor(existing: ByteString, added: ByteString, priority: number) {
    super(
      "BUILTIN_BUILDENV",
      `Unable to build profile. There is a conflict for the following files:\n\n  ${existing}\n  ${added}`,
      { hint: `both packages have priority ${priority}; give one of them another priority` },
    );
    this.existing = existing;
    this.added = added;
    this.priority = priority;
  }
}

/**
 * Fills a directory with links to the files of packages: whole directories where only one package has them.
 * @throws {FileConflict}
 */
export async function linkPackages(
  packages: readonly LinkedPackage[],
  out: ByteString,
  options: LinkOptions,
): Promise<void> {
  await new LinkTree(options).addProfile(packages, out);
}

/** Files that every package may bring and no profile should show. */
const LEFT_OUT = [
  "/propagated-build-inputs",
  "/nix-support",
  "/perllocal.pod",
  "/info/dir",
  "/log",
  "/manifest.nix",
  "/manifest.json",
];
const FIRST_PROPAGATED_PRIORITY = 1000;

class LinkTree {
  readonly #priorities = new Map<string, number>();
  readonly #onWarn: (line: string) => void;
  readonly #place: LinkOptions["place"];
  readonly #checkRead: LinkOptions["checkRead"];
  readonly #signal: AbortSignal | undefined;

  constructor({ onWarn, place, checkRead, signal }: LinkOptions) {
    this.#onWarn = onWarn;
    this.#place = place;
    this.#checkRead = checkRead;
    this.#signal = signal;
  }

  async addProfile(packages: readonly LinkedPackage[], out: string): Promise<void> {
    const done = new Set<string>();
    let postponed = new Set<string>();
    const add = async (path: string, priority: number): Promise<void> => {
      if (done.has(path)) return;
      done.add(path);
      await this.#addTree(path, out, priority);
      for (const propagated of await this.#propagatedPackages(this.#realPath(path)))
        if (!done.has(propagated)) postponed.add(propagated);
    };
    // Best first, so that few links are made in vain.
    const order = [...packages].sort((a, b) => a.priority - b.priority || (a.path < b.path ? -1 : 1));
    for (const { path, priority, isActive } of order) if (isActive) await add(path, priority);
    // What packages bring along yields to what was asked for.
    let priority = FIRST_PROPAGATED_PRIORITY;
    while (postponed.size > 0) {
      const round = [...postponed].sort();
      postponed = new Set();
      for (const path of round) await add(path, priority++);
    }
  }

  async #addTree(from: string, to: string, priority: number): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#checkRead?.(this.#realPath(from));
    let names: string[];
    try {
      names = await readdir(fsPath(this.#realPath(from)), "latin1");
    } catch (error) {
      if (!hasCode(error, "ENOTDIR")) throw error;
      this.#onWarn(`warning: not including '${from}' in the user environment because it's not a directory`);
      return;
    }
    for (const name of names.sort()) {
      if (name.startsWith(".")) continue;
      const source = `${from}/${name}`;
      const target = `${to}/${name}`;
      const entry = await stat(fsPath(this.#realPath(source))).catch(() => undefined);
      if (entry === undefined) {
        this.#onWarn(`warning: skipping dangling symlink '${target}'`);
        continue;
      }
      if (LEFT_OUT.some((suffix) => source.endsWith(suffix))) continue;
      const isMerged = entry.isDirectory()
        ? await this.#mergeDirectory(source, target, priority)
        : await this.#yieldTo(source, target, priority);
      if (isMerged) continue;
      await symlink(fsPath(source), fsPath(target));
      this.#priorities.set(target, priority);
    }
  }

  /** @returns whether nothing is left to do: both trees are in a real directory now */
  async #mergeDirectory(source: string, target: string, priority: number): Promise<boolean> {
    const existing = await lstat(fsPath(target)).catch(() => undefined);
    if (existing === undefined) return false;
    if (existing.isSymbolicLink()) {
      const place = await realpath(
        fsPath(this.#realPath(await readlink(fsPath(target), "latin1"))),
        "latin1",
      );
      const linked = this.#shownPath(place);
      if (!(await lstat(fsPath(place))).isDirectory())
        throw new DevshellError(
          "BUILTIN_BUILDENV",
          `collision between '${source}' and non-directory '${linked}'`,
        );
      await unlink(fsPath(target));
      await mkdir(fsPath(target), { mode: 0o755 });
      await this.#addTree(linked, target, this.#priorities.get(target) ?? 0);
    } else if (!existing.isDirectory()) return false;
    await this.#addTree(source, target, priority);
    return true;
  }

  /** @returns whether what is there stays */
  async #yieldTo(source: string, target: string, priority: number): Promise<boolean> {
    const existing = await lstat(fsPath(target)).catch(() => undefined);
    if (existing === undefined) return false;
    if (existing.isDirectory())
      throw new DevshellError(
        "BUILTIN_BUILDENV",
        `collision between non-directory '${source}' and directory '${target}'`,
      );
    if (!existing.isSymbolicLink()) return false;
    const previous = this.#priorities.get(target) ?? 0;
    if (previous === priority)
      throw new FileConflict(await readlink(fsPath(target), "latin1"), source, priority);
    if (previous < priority) return true;
    await unlink(fsPath(target));
    return false;
  }

  async #propagatedPackages(path: string): Promise<readonly string[]> {
    const file = `${path}/nix-support/propagated-user-env-packages`;
    try {
      await this.#checkRead?.(file);
      const text = await readFile(fsPath(file), "latin1");
      return text.split(/[ \n]+/).filter((word) => word !== "");
    } catch (error) {
      if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return [];
      throw error;
    }
  }

  #realPath(path: ByteString): ByteString {
    return this.#place === undefined
      ? path
      : swapPrefix(path, this.#place.storeDir, this.#place.realStoreDir);
  }

  #shownPath(path: ByteString): ByteString {
    return this.#place === undefined
      ? path
      : swapPrefix(path, this.#place.realStoreDir, this.#place.storeDir);
  }
}

function swapPrefix(path: ByteString, from: ByteString, to: ByteString): ByteString {
  return path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
