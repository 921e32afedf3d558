import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { parseArchives } from "./lock.ts";
import { runIndexTasks, type ArchiveState, type DebianEvent, type IndexTask } from "./indexWork.ts";
import { mirrorsOf, type Mirrors } from "./mirrors.ts";

/** Which archives a suite consists of now, as last fetched and verified; kept in the cache. */
export interface SuiteState {
  readonly fetchedSeconds: number;
  readonly archives: readonly ArchiveState[];
}

export interface SuiteRequest {
  readonly suite: string;
  readonly architecture: string;
  readonly cacheDir: string;
  readonly mirrors: Mirrors;
  readonly keyrings: readonly string[];
  readonly whenExpired: "refuse" | "warn";
  /** Also refuses an index older than the one used before. */
  readonly refusesOlder: boolean;
  readonly onEvent: (event: DebianEvent) => void;
}

/** Without a lock, an index is looked at again after a week. */
const MAX_AGE_SECONDS = 7 * 86_400;
/** These have neither a security archive nor updates of their own. */
const ROLLING = new Set(["sid", "unstable", "experimental"]);

export function suiteStatePath(cacheDir: string, suite: string, architecture: string): string {
  return `${cacheDir}/suites/${suite}-${architecture}.json`;
}

/**
 * The suite's archives: from the cache while it is young, else from the mirrors. An unreachable mirror is no
 * failure while there is anything in the cache.
 * @param isUpdate ask the mirrors whatever the cache holds, and fail where they fail
 */
export function loadSuite(request: SuiteRequest, isUpdate: boolean): readonly ArchiveState[] {
  const path = suiteStatePath(request.cacheDir, request.suite, request.architecture);
  const cached = readSuiteState(path);
  const isUsable = cached !== undefined && (request.whenExpired === "warn" || !hasExpiredMain(cached));
  if (!isUpdate && isUsable && Date.now() / 1000 - cached.fetchedSeconds < MAX_AGE_SECONDS)
    return cached.archives;
  let archives: readonly ArchiveState[];
  try {
    archives = fetchArchives(request, cached);
  } catch (error) {
    if (isUpdate || !isUsable || !(error instanceof DevshellError)) throw error;
    request.onEvent({ kind: "warning", message: `${error.message}; the index of last time is used` });
    return cached.archives;
  }
  writeState(path, { fetchedSeconds: Math.floor(Date.now() / 1000), archives });
  return archives;
}

function fetchArchives(request: SuiteRequest, cached: SuiteState | undefined): readonly ArchiveState[] {
  const { suite, architecture, mirrors, keyrings, whenExpired, onEvent } = request;
  const companions = ROLLING.has(suite) ? [] : mirrors.companions;
  const tasks = ["", ...companions].map((companion): IndexTask => {
    const dist = suite + companion;
    const role = companion === "-security" ? "security" : "main";
    const before = cached?.archives.find((archive) => archive.dist === dist);
    return {
      kind: "release",
      dist,
      role,
      mirrors: mirrorsOf(mirrors, role),
      architecture,
      keyrings,
      isOptional: companion !== "",
      // A companion that lags is better than none, which is all that a refusal would leave.
      whenExpired: companion === "" ? whenExpired : "warn",
      ...(request.refusesOlder &&
        before !== undefined && { notBeforeSeconds: Date.parse(before.date) / 1000 }),
    };
  });
  return runIndexTasks(tasks, onEvent).filter((answer) => typeof answer === "object");
}

function hasExpiredMain({ archives }: SuiteState): boolean {
  return archives[0]?.isExpired === true;
}

export function readSuiteState(path: string): SuiteState | undefined {
  try {
    const { fetchedSeconds, archives } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    if (typeof fetchedSeconds !== "number") return undefined;
    const parsed = parseArchives(archives);
    return parsed.length === 0 ? undefined : { fetchedSeconds, archives: parsed };
  } catch {
    // Absent or damaged: fetched anew.
    return undefined;
  }
}

function writeState(path: string, state: SuiteState): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, JSON.stringify(state));
  renameSync(temporary, path);
}
