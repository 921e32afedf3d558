import { existsSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { formatHash } from "../../../core/index.ts";
import type { LocalStore } from "../../../store/local/localStore.ts";
import type { StorePath } from "../../../store/types.ts";
import { linksOf, openStore, profileOf, type World } from "./world.ts";

/** What was so before an operation that was disturbed. */
export interface Facts {
  /** All valid paths, with what is known of each. */
  readonly infos: ReadonlyMap<StorePath, string>;
  /** Those that roots reach. */
  readonly live: ReadonlySet<StorePath>;
}

export interface Tolerance {
  /** What no root reaches may be gone. */
  readonly forDead: boolean;
  /** What came since may be damaged. */
  readonly forNew: boolean;
}

export function factsOf(store: LocalStore): Facts {
  const infos = store.allValidPaths().map((path) => [path, describe(store, path)] as const);
  return { infos: new Map(infos), live: new Set(store.closureOf(store.findRoots().keys())) };
}

function describe(store: LocalStore, path: StorePath): string {
  const { narHash, ...rest } = store.pathInfo(path);
  return JSON.stringify({ ...rest, narHash: formatHash(narHash, "nix32") });
}

/** What is wrong with a store, a sentence each: damage, and what was valid before and is not now. */
export async function findProblems(world: World, before: Facts, tolerance: Tolerance): Promise<string[]> {
  const problems = databaseProblems(`${world.root}/state/db/db.sqlite`);
  if (problems.length > 0) return problems;
  using store = openStore(world);
  const verified = await store.verify({ checkContents: true });
  const damage = [...verified.problems, ...verified.forgotten.map((path) => `"${path}" is valid but absent`)];
  const isOld = (problem: string): boolean =>
    [...problem.matchAll(/"([^"]+)"/g)].some(([, path]) => before.infos.has(path as StorePath));
  problems.push(...(tolerance.forNew ? damage.filter(isOld) : damage));
  for (const [path, info] of before.infos) {
    if (store.isValidPath(path)) {
      if (describe(store, path) !== info) problems.push(`what is known of "${path}" has changed`);
    } else if (!tolerance.forDead || before.live.has(path)) problems.push(`"${path}" is not valid any more`);
  }
  if (!tolerance.forNew) problems.push(...rootProblems(world, store));
  return problems;
}

function databaseProblems(file: string): string[] {
  const db = new DatabaseSync(file);
  try {
    const rows = db
      .prepare("pragma integrity_check")
      .all()
      .map((row) => String(Object.values(row)[0]));
    const foreign = db.prepare("pragma foreign_key_check").all();
    return [...rows.filter((row) => row !== "ok"), ...foreign.map((row) => JSON.stringify(row))];
  } finally {
    db.close();
  }
}

/** Roots that lead to nothing valid. */
function rootProblems(world: World, store: LocalStore): string[] {
  const problems: string[] = [];
  const profiles = join(profileOf(world), "..");
  for (const directory of [`${world.root}/state/gcroots`, profiles, linksOf(world)])
    for (const name of readdirSync(directory)) {
      const link = join(directory, name);
      if (name.startsWith(".") || !lstatSync(link).isSymbolicLink()) continue;
      const target = endOf(link, store.storeDir);
      if (!store.isValidPath(target))
        problems.push(`root "${link}" leads to "${target}", which is not valid`);
    }
  return problems;
}

/** Where a link leads, over others, as soon as that is in the store. */
function endOf(link: string, storeDir: string): StorePath {
  const target = join(link, "..", readlinkSync(link));
  const absolute = target.includes(storeDir) ? target.slice(target.indexOf(storeDir)) : target;
  return absolute.startsWith(`${storeDir}/`) || !existsSync(absolute)
    ? (absolute as StorePath)
    : endOf(absolute, storeDir);
}

/** Collects garbage, and tells what is left that belongs to nothing, and what is not as a store's files are. */
export async function findLeftovers(world: World): Promise<string[]> {
  const valid = await collect(world);
  const { root } = world;
  const leftovers: string[] = [];
  const expectOnly = (directory: string, isExpected: (name: string) => boolean): void => {
    const names = existsSync(directory) ? readdirSync(directory) : [];
    leftovers.push(
      ...names.filter((name) => !isExpected(name)).map((name) => `left over: "${directory}/${name}"`),
    );
  };
  const nothing = (): boolean => false;
  expectOnly(`${root}/store`, (name) => name === ".links" || valid.has(name));
  expectOnly(`${root}/store/.links`, (name) => lstatSync(`${root}/store/.links/${name}`).nlink > 1);
  expectOnly(`${root}/state/temproots`, nothing);
  expectOnly(`${root}/state/builds`, nothing);
  expectOnly(`${root}/state/devshell/downloads`, nothing);
  expectOnly(`${root}/state/gcroots/auto`, (name) => /^[0-9a-z]{32}$/.test(name));
  expectOnly(
    `${root}/state/db`,
    (name) => ["db.sqlite", "schema", "big-lock"].includes(name) || /^reserved(-\d)?$/.test(name),
  );
  expectOnly(join(profileOf(world), ".."), (name) => /^(?:per-user|test(?:-\d+-link)?)$/.test(name));
  expectOnly(linksOf(world), (name) => /^[a-z]+$/.test(name));
  for (const name of valid) leftovers.push(...untidy(`${root}/store/${name}`));
  return leftovers;
}

/** @returns the names of the paths that stay */
async function collect(world: World): Promise<ReadonlySet<string>> {
  using store = openStore(world);
  await store.collectGarbage({ action: "deleteDead" });
  return new Set(store.allValidPaths().map((path) => basename(path)));
}

function untidy(path: string): string[] {
  const stats = lstatSync(path);
  const mode = (stats.mode & 0o7777).toString(8);
  const isTidy =
    stats.mtimeMs === 1000 &&
    (stats.isSymbolicLink() || mode === "555" || (mode === "444" && stats.isFile()));
  const own = isTidy ? [] : [`"${path}" has mode ${mode} and was changed at ${stats.mtimeMs / 1000}`];
  return stats.isDirectory()
    ? [...own, ...readdirSync(path).flatMap((name) => untidy(join(path, name)))]
    : own;
}
