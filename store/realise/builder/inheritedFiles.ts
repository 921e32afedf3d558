import { readFileSync, readdirSync } from "node:fs";
import { DevshellError } from "../../../core/index.ts";

/** Open files of ours beyond this are not looked for. */
const HIGHEST_FD = 4096;
const O_CLOEXEC = 0o2_000_000;

/**
 * What was open when we were started (a jobserver's pipe, a log) would go on to builders: Node closes its own files
 * only. In the builder these numbers name `/dev/null`.
 * @returns the part of `stdio` from 3 on
 * @throws {DevshellError} `BUILD_INHERITED_FILE` where a limit that came later leaves a number out of reach
 */
export function replaceInherited(nothing: number): ("ignore" | number)[] {
  // Once: what is opened later is ours, and closed by the system.
  inherited ??= readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd > 2 && fd <= HIGHEST_FD && isInherited(fd));
  const limit = openFilesLimit();
  const beyond = inherited.find((fd) => fd >= limit);
  if (beyond !== undefined)
    throw new DevshellError(
      "BUILD_INHERITED_FILE",
      `Cannot keep a file from builders that was open when devshell was started: its number is ${beyond}, the limit of open files is ${limit}`,
      { hint: `close it where devshell is started (in a shell: \`${beyond}>&-\`), or raise \`ulimit -n\`` },
    );
  const length = Math.max(0, ...inherited.map((fd) => fd - 2));
  const replaced = Array.from({ length }, (): "ignore" | number => "ignore");
  for (const fd of inherited) replaced[fd - 3] = nothing;
  return replaced;
}

let inherited: readonly number[] | undefined;

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    return false; // closed meanwhile: the directory's own
  }
}

function openFilesLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return limit === undefined ? Infinity : Number(limit);
}
