import { textOfBytes } from "../../core/index.ts";
import {
  lastUsedMs,
  listRecords,
  readLedger,
  whyAlive,
  type Keeper,
  type LedgerEntry,
} from "../../env/index.ts";
import type { ChainLink, Store } from "../../store/index.ts";
import { storePathOf } from "../compat/storeArgument.ts";
import type { ParsedFlags } from "../flags.ts";
import { formatBytes } from "../tui/index.ts";

const SHOWN_KEEPERS = 10;
const DAY_MS = 86_400_000;

/** `devshell gc --why PATH`. @returns 1 when nothing keeps it */
export function explainPath(store: Store, word: string, flags: ParsedFlags): number {
  const path = storePathOf(store.storeDir, word);
  store.pathInfo(path);
  const keepers = whyAlive(store, path);
  if (flags.has("json")) {
    print(JSON.stringify({ path: textOfBytes(path), isAlive: keepers.length > 0, keepers }, null, 2));
    return keepers.length > 0 ? 0 : 1;
  }
  const [first, ...others] = keepers;
  if (first === undefined) {
    print(`${textOfBytes(path)} is dead: \`devshell gc\` will delete it`);
    return 1;
  }
  print(`${first.kind} ${first.owner}`);
  if (first.root !== first.owner) print(`  by ${first.root}`);
  for (const line of chainLines(first.chain)) print(line);
  if (others.length === 0) return 0;
  const shown = flags.has("verbose") ? others : others.slice(0, SHOWN_KEEPERS);
  print("Also kept by");
  for (const { kind, owner } of shown) print(`  ${kind} ${owner}`);
  if (shown.length < others.length) print(`  and ${others.length - shown.length} more: --verbose lists them`);
  return 0;
}

/** `devshell gc --dry-run`: who keeps how much, and what would go. */
export function printLedger(store: Store, flags: ParsedFlags, forgottenBeforeMs: number | undefined): number {
  const ledger = readLedger(store, forgottenBeforeMs);
  const forgotten =
    forgottenBeforeMs === undefined
      ? 0
      : listRecords().filter((record) => lastUsedMs(record) < forgottenBeforeMs).length;
  if (flags.has("json")) {
    print(JSON.stringify({ ...ledger, forgottenEnvironments: forgotten }, null, 2));
    return 0;
  }
  if (flags.has("verbose")) for (const path of ledger.deadPaths) print(textOfBytes(path));
  for (const line of ledgerLines(ledger.entries, Date.now())) print(line);
  const { deadPaths, deadBytes, totalBytes } = ledger;
  if (forgottenBeforeMs !== undefined) print(`${forgotten} environments would be forgotten`);
  print(
    `${deadPaths.length} of the store's paths would be deleted: ${formatBytes(deadBytes)} of ${formatBytes(totalBytes)}`,
  );
  return 0;
}

/** Rows under a heading; none where nobody keeps anything. */
export function ledgerLines(entries: readonly LedgerEntry[], nowMs: number): readonly string[] {
  if (entries.length === 0) return [];
  const rows = entries.map((entry) => [
    formatBytes(entry.exclusiveBytes),
    formatBytes(entry.sizeBytes),
    entry.lastUsedMs === undefined ? "" : showAge(nowMs - entry.lastUsedMs),
    `${entry.kind} ${entry.name}`,
  ]);
  const all = [["alone", "in all", "last used", "kept by"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  "),
  );
}

/** From the root to the path, a step a line. */
export function chainLines(chain: Keeper["chain"]): readonly string[] {
  return chain.map(
    ({ path, reason }, depth) => `${"  ".repeat(depth + 1)}${WORDS[reason ?? "root"]}${textOfBytes(path)}`,
  );
}

const WORDS: Readonly<Record<Exclude<ChainLink["reason"], undefined> | "root", string>> = {
  root: "",
  reference: "needs ",
  deriver: "was built by ",
  output: "builds ",
};

function showAge(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  return days <= 0 ? "today" : days === 1 ? "yesterday" : `${days} days ago`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
