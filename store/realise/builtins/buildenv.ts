import { lstat, mkdir, readFile, readdir, readlink, realpath, stat, symlink, unlink } from "node:fs/promises";
import { DevshellError, fsPath } from "../../../core/index.ts";
import { derivationAttribute } from "../derivationOptions.ts";
import type { BuiltinBuilder } from "../../types.ts";

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

interface Package {
  readonly path: string;
  readonly isActive: boolean;
  /** Lower wins. */
  readonly priority: number;
}

/** `builtin:buildenv`: a user environment, one tree of links to the files of several packages. */
export const buildenv: BuiltinBuilder = async ({ derivation, outputs, log, signal }) => {
  const attribute = (name: string): string => {
    const value = derivationAttribute(derivation, name);
    if (value === undefined) throw new DevshellError("BUILTIN_BUILDENV", `attribute '${name}' missing`);
    return value;
  };
  const out = outputs.get("out") ?? "";
  await mkdir(fsPath(out), { recursive: true });
  const tree = new LinkTree(log, signal);
  await tree.addProfile(parsePackages(attribute("derivations")), out);
  await symlink(fsPath(attribute("manifest")), fsPath(`${out}/manifest.nix`));
};

/** For each package: `active priority outputCount path…`, all separated by blanks. */
function parsePackages(text: string): readonly Package[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const packages: Package[] = [];
  for (let at = 0; at < words.length;) {
    const [active, priority, count] = words.slice(at, at + 3).map(String);
    const outputCount = Number(count);
    if (!Number.isSafeInteger(outputCount) || !Number.isSafeInteger(Number(priority)))
      throw new DevshellError("BUILTIN_BUILDENV", `Cannot read 'derivations' at word ${at}`);
    at += 3;
    for (const path of words.slice(at, at + outputCount))
      packages.push({ path, isActive: active !== "false", priority: Number(priority) });
    at += outputCount;
  }
  return packages;
}

class LinkTree {
  readonly #priorities = new Map<string, number>();
  readonly #log: (line: string) => void;
  readonly #signal: AbortSignal;

  constructor(log: (line: string) => void, signal: AbortSignal) {
    this.#log = log;
    this.#signal = signal;
  }

  async addProfile(packages: readonly Package[], out: string): Promise<void> {
    const done = new Set<string>();
    let postponed = new Set<string>();
    const add = async (path: string, priority: number): Promise<void> => {
      if (done.has(path)) return;
      done.add(path);
      await this.#addTree(path, out, priority);
      for (const propagated of await propagatedPackages(path))
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
    this.#signal.throwIfAborted();
    let names: string[];
    try {
      names = await readdir(fsPath(from), "latin1");
    } catch (error) {
      if (!hasCode(error, "ENOTDIR")) throw error;
      this.#log(`warning: not including '${from}' in the user environment because it's not a directory`);
      return;
    }
    for (const name of names.sort()) {
      if (name.startsWith(".")) continue;
      const source = `${from}/${name}`;
      const target = `${to}/${name}`;
      const entry = await stat(fsPath(source)).catch(() => undefined);
      if (entry === undefined) {
        this.#log(`warning: skipping dangling symlink '${target}'`);
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
      const linked = await realpath(fsPath(target), "latin1");
      if (!(await lstat(fsPath(linked))).isDirectory())
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
    if (previous === priority) throw conflict(await readlink(fsPath(target), "latin1"), source, priority);
    if (previous < priority) return true;
    await unlink(fsPath(target));
    return false;
  }
}

function conflict(existing: string, added: string, priority: number): DevshellError {
  return new DevshellError(
    "BUILTIN_BUILDENV",
    `Unable to build profile. There is a conflict for the following files:\n\n  ${existing}\n  ${added}`,
    { hint: `both packages have priority ${priority}; give one of them another priority` },
  );
}

async function propagatedPackages(path: string): Promise<readonly string[]> {
  try {
    const text = await readFile(fsPath(`${path}/nix-support/propagated-user-env-packages`), "latin1");
    return text.split(/[ \n]+/).filter((word) => word !== "");
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return [];
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
