import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { benchAdding } from "./store/adding.ts";
import { benchArchives } from "./store/archives.ts";
import { benchBuilds } from "./store/builds.ts";
import { benchCaches } from "./store/caches.ts";
import { benchCollecting } from "./store/collecting.ts";
import { benchQueries } from "./store/queries.ts";
import { StoreBench } from "./store/storeBench.ts";

const PARTS: Readonly<Record<string, (bench: StoreBench) => void | Promise<void>>> = {
  archives: benchArchives,
  adding: benchAdding,
  caches: benchCaches,
  queries: benchQueries,
  collecting: benchCollecting,
  builds: benchBuilds,
};

/**
 * The store, as whole processes of the drop-in commands and of real Nix's in turn, on a memory disk: a disk's journal
 * would be measured otherwise (restoring on ext4 after a deletion takes ten times as long). `BENCH_PARTS=archives,adding`
 * takes some of it, `BENCH_SCALE=0.1` less of everything.
 */
export async function benchStore(_scratch: string): Promise<void> {
  const wanted = (process.env["BENCH_PARTS"] ?? Object.keys(PARTS).join(",")).split(",");
  const place = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "devshell-bench-"));
  try {
    const bench = new StoreBench(place);
    for (const [name, run] of Object.entries(PARTS)) if (wanted.includes(name)) await run(bench);
  } finally {
    spawnSync("rm", ["-rf", place]);
  }
}
