import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { addGeneration, readGenerations } from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";

const STORE_MODULE = join(import.meta.dirname, "../../../store/index.ts");
/** More, to look for rare moments: `DEVSHELL_PROFILE_KILLS=500`. */
const KILLS = Number(process.env["DEVSHELL_PROFILE_KILLS"] ?? 4);

/** Changes a profile for ever: new generations, back and forth, old ones deleted. It says so once it has begun. */
const CHANGES = `
  const { LocalStore, resolveStoreSettings, addGeneration, switchGeneration, deleteGenerations } = store;
  const local = LocalStore.open(resolveStoreSettings(process.env));
  const profile = process.env.PROFILE;
  for (let i = 0; ; i++) {
    addGeneration(local, profile, local.addText("generation", "content " + process.pid + " " + i, []));
    if (i === 1) process.stdout.write("begun\\n");
    if (i % 3 === 1) switchGeneration(local, profile, undefined, { isDryRun: false, onSwitch() {} });
    if (i % 5 === 4) deleteGenerations(local, profile, { kind: "old" }, { isDryRun: false, onDelete() {} });
  }`;

async function changeUntilKilled(dir: TestDirectory, profile: string, afterMs: number): Promise<void> {
  const source = `import * as store from ${JSON.stringify(STORE_MODULE)};\n${CHANGES}`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    env: {
      ...process.env,
      HOME: dir.path,
      NIX_STORE_DIR: join(dir.path, "store"),
      NIX_STATE_DIR: join(dir.path, "state"),
      NIX_LOG_DIR: join(dir.path, "log"),
      NIX_CONF_DIR: join(dir.path, "conf"),
      PROFILE: profile,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(child.stdout, "data");
  await sleep(afterMs);
  child.kill("SIGKILL");
  await exited;
}

describe("a kill while a profile changes", () => {
  it(
    "leaves the old or the new generation, and nothing that the next change minds",
    { timeout: 30_000 + KILLS * 3000 },
    async () => {
      using dir = new TestDirectory();
      const profile = join(dir.path, "profile");
      for (let kill = 0; kill < KILLS; kill++) {
        await changeUntilKilled(dir, profile, Math.random() * 60);
        using store = dir.open();
        const { all, current } = readGenerations(profile);
        expect(lstatSync(profile).isSymbolicLink()).toBe(true);
        expect(all.map(({ number }) => number)).toContain(current);
        expect(readFileSync(profile, "utf8")).toMatch(/^content \d+ \d+$/);
        await store.collectGarbage({ action: "deleteDead" });
        // What the generations stand for is rooted, also right after the kill.
        for (const { target } of all) expect(existsSync(target)).toBe(true);
        expect((await store.verify({ checkContents: true })).problems).toEqual([]);
        const next = addGeneration(store, profile, store.addText("next", `${kill}`, []));
        expect(readGenerations(profile).current).toBe(next?.number);
      }
      // Temporary links of killed switches are few, and in nobody's way.
      expect(readdirSync(dir.path).filter((name) => name.startsWith(".tmp-")).length).toBeLessThanOrEqual(
        KILLS,
      );
    },
  );
});
