import { readFileSync, readdirSync } from "node:fs";

/** Open files of ours beyond this are not looked for. */
const HIGHEST_FD = 4096;
const O_CLOEXEC = 0o2_000_000;

/**
 * What was open when we were started (a jobserver's pipe, a log) would go on to builders: Node closes its own files
 * only. In the builder these numbers name `/dev/null`.
 * @returns the part of `stdio` from 3 on
 */
export function replaceInherited(nothing: number): ("ignore" | number)[] {
  // Once: what is opened later is ours, and closed by the system.
  inherited ??= readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd > 2 && fd <= HIGHEST_FD && isInherited(fd));
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
