import { DevshellError, textOfBytes } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";
import { clearEvalCache, dropOldRecords, evalCacheUsage } from "../../env/index.ts";
import { removeOrphanedBuilds, removeOrphanedDownloads, type Store } from "../../store/index.ts";
import type { ParsedFlags } from "../flags.ts";
import { openStore } from "../openStore.ts";
import { formatBytes } from "../tui/index.ts";

/** `devshell gc`: deletes what no root keeps. */
export async function run({ flags }: Invocation): Promise<number> {
  if (flags.has("evalCache")) return forgetEvaluations(flags.has("dryRun"), flags.has("json"));
  using store = openStore(flags);
  const why = flags.value("why");
  if (why !== undefined) return (await import("./gcReport.ts")).explainPath(store, why, flags);
  if (flags.has("printRoots")) {
    for (const [path, links] of store.findRoots())
      for (const link of links) print(`${textOfBytes(link)} -> ${path}`);
    return 0;
  }
  const olderThan = flags.value("olderThan");
  const ageMs = olderThan === undefined ? undefined : readAge(olderThan);
  if (flags.has("dryRun")) {
    const { printLedger } = await import("./gcReport.ts");
    return printLedger(store, flags, ageMs === undefined ? undefined : Date.now() - ageMs);
  }
  if (ageMs !== undefined) {
    const { dropRecords } = await import("../dropRecords.ts");
    const count = dropRecords(ageMs, false);
    if (!flags.has("json")) print(`${count} environments not entered for ${olderThan ?? ""} forgotten`);
  }
  dropOldRecords();
  return await collect(store, flags);
}

async function collect(store: Store, flags: ParsedFlags): Promise<number> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.on("SIGINT", interrupt);
  try {
    const maxFreed = flags.value("maxFreed");
    const result = await store.collectGarbage({
      action: "deleteDead",
      ...(maxFreed === undefined ? {} : { maxFreedBytes: readSize(maxFreed) }),
      signal: interruption.signal,
    });
    await removeOrphanedBuilds(store.settings.stateDir);
    removeOrphanedDownloads(store.settings.stateDir);
    if (flags.has("json"))
      print(JSON.stringify({ paths: result.paths, freedBytes: result.freedBytes }, null, 2));
    else print(`${result.paths.length} paths deleted, ${formatBytes(result.freedBytes)} freed`);
    return 0;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function forgetEvaluations(isDryRun: boolean, isJson: boolean): number {
  const { count, sizeBytes } = isDryRun ? evalCacheUsage() : clearEvalCache();
  const line = isJson
    ? JSON.stringify({ count, sizeBytes })
    : `${count} kept evaluations, ${formatBytes(sizeBytes)}${isDryRun ? "" : ", forgotten"}`;
  process.stdout.write(`${line}\n`);
  return 0;
}

/** `30d`, `12h`, `4w`. @returns milliseconds */
function readAge(text: string): number {
  const match = /^(\d{1,6})([hdwmy])$/.exec(text);
  const unit = { h: 1, d: 24, w: 168, m: 720, y: 8760 }[match?.[2] ?? ""];
  if (match === null || unit === undefined)
    throw new DevshellError("CLI_AGE_INVALID", `Cannot read the age "${text}"`, {
      hint: "write it as 12h, 30d or 4w",
    });
  return Number(match[1]) * unit * 3_600_000;
}

function readSize(text: string): number {
  const match = /^(\d{1,15})([KMGT]?)$/i.exec(text);
  if (match === null)
    throw new DevshellError("CLI_SIZE_INVALID", `Cannot read the size "${text}"`, {
      hint: "write it as 500M or 2G",
    });
  return (
    Number(match[1]) * 1024 ** " KMGT".indexOf((match[2] === "" ? " " : (match[2] ?? " ")).toUpperCase())
  );
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
