import { readFileSync } from "node:fs";
import type { TurnLimits } from "./clientTurns.ts";

/** A process takes some 50 MB: nobody is to fill the machine with them. */
const RUNNING = 64;
const MOST_WAITING = 4096;
/** What a process may open where the system does not say. */
const USUAL_FILES = 1024;

/**
 * What those may have who ask for our store, users of a daemon and builders. A connection that waits is an open file of ours: each may have an eighth of
 * what we may open, all together half, so that there is room for whoever comes next.
 */
export function clientLimits(limits = readLimits()): TurnLimits {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  const files = soft === "unlimited" ? Infinity : Number(soft ?? USUAL_FILES);
  return {
    running: RUNNING,
    waiting: Math.min(MOST_WAITING, Math.floor(files / 8)),
    waitingInAll: Math.floor(files / 2),
  };
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}
