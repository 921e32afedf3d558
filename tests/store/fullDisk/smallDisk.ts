import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { mkdtempSync, realpathSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMESPACE = process.getuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];
const SCRIPT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"';

/**
 * Runs a program that sees a small disk at a path; nobody else does, and it goes with the program.
 * @param options of a tmpfs: `size=64m`
 */
export function onSmallDisk(
  disk: string,
  options: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): SpawnSyncReturns<string> {
  return spawnSync("unshare", [...NAMESPACE, "sh", "-c", SCRIPT, "sh", options, disk, ...command], {
    encoding: "utf8",
    timeout: 600_000,
    env,
  });
}

/** Whether this machine lets us have one. */
export function hasSmallDisks(): boolean {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "devshell-disk-")));
  try {
    return onSmallDisk(dir, "size=1m", ["true"]).status === 0;
  } finally {
    rmdirSync(dir);
  }
}
