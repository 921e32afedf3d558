import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LocalStore, type StorePath } from "../../../store/index.ts";
import { removeTree } from "../../../store/realise/builder/scratch.ts";
import { copyPaths } from "../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../store/remote/openRemoteStore.ts";
import { StoreEndpoint } from "../../../store/remote/storeEndpoint.ts";
import { temporaryDirectory, testSettings } from "../realiseFixture.ts";
import type { FillReport, FillRequest } from "./fillDisk.ts";
import { hasSmallDisks, onSmallDisk } from "./smallDisk.ts";

/** Smaller steps try more places where the disk may be full: `DEVSHELL_FULL_DISK_STEP=4096`. */
const STEP = Number(process.env["DEVSHELL_FULL_DISK_STEP"] ?? String(48 << 10));
const canMount = hasSmallDisks();

/** A cache with two paths: a small one, and one that is downloaded to a file first. */
async function writeCache(outside: string, storeDir: string): Promise<readonly StorePath[]> {
  const settings = {
    ...testSettings(`${outside}/origin`),
    storeDir,
    realStoreDir: `${outside}/origin/store`,
  };
  using origin = LocalStore.open(settings);
  const paths = [60_000, 300_000].map((size) => origin.addText(`offered-${size}`, "x".repeat(size), []));
  await using target = await openRemoteStore(settings, `file://${outside}/cache?compression=none`, {
    isTarget: true,
  });
  await copyPaths({ source: new StoreEndpoint(origin), target, paths, isRecursive: false });
  return paths;
}

describe.skipIf(!canMount)("a disk that is full (where a namespace may mount one)", () => {
  it.each([
    ["bytes", "size=64m", STEP],
    ["files", "size=64m,nr_inodes=700", Math.max(1, STEP >> 12)],
  ] as const)(
    "of %s: each operation says so, and leaves a store that is whole and goes on once there is room",
    { timeout: 600_000 },
    async (kind, options, step) => {
      const dir = temporaryDirectory();
      try {
        const [disk, outside] = [join(dir, "disk"), join(dir, "outside")];
        mkdirSync(disk);
        mkdirSync(outside);
        const [offered = "", offeredOnTheWeb = ""] = await writeCache(outside, `${disk}/nix/store`);
        const request: FillRequest = { disk, outside, offered, offeredOnTheWeb, kind, step };
        const program = join(import.meta.dirname, "fillDisk.ts");
        const { status, stdout, stderr } = onSmallDisk(disk, options, [
          process.execPath,
          "--disable-warning=ExperimentalWarning",
          program,
          JSON.stringify(request),
        ]);
        expect(stderr).toBe("");
        expect(status).toBe(0);
        const reports = JSON.parse(stdout) as FillReport[];
        if (process.env["DEVSHELL_FULL_DISK_STEP"] !== undefined)
          for (const { operation, failures, room } of reports)
            process.stderr.write(`${kind} ${operation}: ${failures} failures, done with ${room}\n`);
        expect(
          reports.flatMap(({ operation, problems }) => problems.map((what) => `${operation}: ${what}`)),
        ).toEqual([]);
        const failed = new Set(
          reports.flatMap(({ operation, failures }) => (failures > 0 ? [operation] : [])),
        );
        // What writes much cannot have had enough room from the start.
        for (const name of ["addText", "addPath", "addDump", "substitute", "download", "build"])
          expect(failed).toContain(name);
      } finally {
        await removeTree(dir);
      }
    },
  );
});
