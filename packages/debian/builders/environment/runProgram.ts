import { spawnSync } from "node:child_process";

/**
 * Runs a program of the environment to its end and returns its output; `undefined` where it fails, which is logged.
 * @param program its place in the tree, e.g. `/usr/bin/update-mime-database`
 */
export type RunProgram = (
  program: string,
  args: readonly string[],
  variables?: Readonly<Record<string, string>>,
) => string | undefined;

const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 << 20;

/** @param tmpDir HOME and TMPDIR of what runs, so that it leaves nothing elsewhere */
export function programRunner(root: string, tmpDir: string, log: (line: string) => void): RunProgram {
  const base = { PATH: `${root}/usr/bin`, HOME: tmpDir, TMPDIR: tmpDir, LC_ALL: "C.UTF-8", TZ: "UTC0" };
  return (program, args, variables = {}) => {
    const result = spawnSync(root + program, args, {
      cwd: tmpDir,
      env: { ...base, XDG_DATA_DIRS: `${root}/usr/share`, ...variables },
      encoding: "latin1",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: MAX_OUTPUT_BYTES,
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    if (result.status === 0) return result.stdout;
    const why = result.error?.message ?? (result.signal === null ? `status ${result.status}` : result.signal);
    log(`${program} failed (${why}): ${(result.stderr ?? "").trim().slice(0, 1000)}`);
    return undefined;
  };
}
