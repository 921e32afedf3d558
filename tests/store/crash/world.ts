import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addGeneration } from "../../../store/local/profiles.ts";
import { LocalStore } from "../../../store/local/localStore.ts";
import { removeTree } from "../../../store/realise/builder/scratch.ts";
import { StoreEndpoint, copyPaths, openRemoteStore } from "../../../store/remote/index.ts";
import type { StoreSettings } from "../../../store/types.ts";
import { temporaryDirectory, testSettings } from "../realiseFixture.ts";

/** A store and what its operations read. Made known to other processes as JSON. */
export interface World {
  /** Whatever a crash may leave half done lies below it. */
  readonly root: string;
  readonly inputs: string;
  readonly sync: Sync;
}

/** What is brought to the disk: nothing, the database, or paths too. */
export type Sync = "nothing" | "metadata" | "paths";

export function settingsOf({ root, inputs, sync }: World, storeName = ""): StoreSettings {
  const settings = testSettings(join(root, storeName), {
    substituters: [`file://${inputs}/cache`],
    requireSignatures: false,
    raw: new Map([
      ["fsync-metadata", String(sync !== "nothing")],
      ["fsync-store-paths", String(sync === "paths")],
    ]),
  });
  return { ...settings, cacheDir: `${root}/cache` };
}

export function openStore(world: World): LocalStore {
  return LocalStore.open(settingsOf(world));
}

export function profileOf({ root }: World): string {
  return `${root}/state/profiles/test`;
}

/** Where operations put roots of their own. */
export function linksOf({ root }: World): string {
  return `${root}/links`;
}

/** A name for what the cache has: a tree, a text that names it, another that names both. */
export const CACHED_NAME = "cached-user";

/** A store with roots of several kinds, a profile, garbage, and a cache that has more; quickly, not to last. */
export async function createWorld(): Promise<World & AsyncDisposable> {
  const dir = temporaryDirectory();
  const world = { root: `${dir}/root`, inputs: `${dir}/inputs`, sync: "nothing" as const };
  for (const directory of [world.root, linksOf(world), world.inputs]) mkdirSync(directory);
  writeTree(`${world.inputs}/tree`, "one");
  writeTree(`${world.inputs}/other`, "two");
  await writeCache(world);
  using store = openStore(world);
  const kept = store.addPath(`${world.inputs}/tree`, { name: "kept", method: "nar" });
  store.addRoot(`${world.root}/state/gcroots/kept`, kept);
  const note = store.addText("note", `about ${kept}\n`, [kept]);
  store.addRoot(`${linksOf(world)}/note`, note);
  for (const number of [1, 2])
    addGeneration(store, profileOf(world), store.addText("generation", `content ${number}\n`, []));
  return { ...world, [Symbol.asyncDispose]: () => removeTree(dir) };
}

/** Files of several sizes and kinds, two of them equal. */
function writeTree(path: string, content: string): void {
  mkdirSync(`${path}/bin`, { recursive: true });
  mkdirSync(`${path}/share/empty`, { recursive: true });
  writeFileSync(`${path}/bin/run`, "#!/bin/sh\n");
  chmodSync(`${path}/bin/run`, 0o755);
  writeFileSync(`${path}/share/large`, content.repeat(50_000));
  for (const name of ["same", "same-again"])
    writeFileSync(`${path}/share/${name}`, "the same in all trees\n");
  symlinkSync("share/large", `${path}/link`);
}

async function writeCache(world: World): Promise<void> {
  const settings = settingsOf(world);
  const origin = `${world.inputs}/origin`;
  // A store of the same name elsewhere: what it holds can be copied to ours.
  using store = LocalStore.open({
    ...settings,
    realStoreDir: `${origin}/store`,
    stateDir: `${origin}/state`,
  });
  const tree = store.addPath(`${world.inputs}/other`, { name: "cached", method: "nar" });
  const text = store.addText("cached-text", `about ${tree}\n`, [tree]);
  const user = store.addText(CACHED_NAME, `about ${text} and ${tree}\n`, [text, tree]);
  const address = `file://${world.inputs}/cache?compression=none`;
  await using target = await openRemoteStore(settings, address, { isTarget: true });
  await copyPaths({ source: new StoreEndpoint(store), target, paths: [user], isRecursive: true });
  writeFileSync(`${world.inputs}/wanted`, user);
}
