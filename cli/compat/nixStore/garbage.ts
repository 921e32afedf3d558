import { DevshellError } from "../../../core/index.ts";
import { dropOldRecords } from "../../../env/index.ts";
import {
  PathAliveError,
  removeOrphanedBuilds,
  removeOrphanedDownloads,
  renderSize,
  type GcOptions,
  type Store,
} from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine, printLines, say } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --gc`: collects garbage, or says what is alive, dead, or kept by what. */
export async function collect(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  const at = operation.own.indexOf("--max-freed");
  const maxFreedBytes = at < 0 ? undefined : readFreedBytes(operation.own[at + 1] ?? "");
  const own = at < 0 ? operation.own : operation.own.toSpliced(at, 2);
  const given = switchesOf({ ...operation, own }, ["--print-roots", "--print-live", "--print-dead"]);
  if (maxFreedBytes !== undefined && given.size > 0)
    throw usageError(
      "nix-store",
      "option --max-freed cannot be combined with --print-live, --print-dead, or --print-roots",
    );
  using context = openContext(operation.flags);
  if (given.has("--print-roots")) {
    printRoots(context.store);
    return 0;
  }
  const action = given.has("--print-dead")
    ? "returnDead"
    : given.has("--print-live")
      ? "returnLive"
      : "deleteDead";
  return await runCollection(context.store, { action, maxFreedBytes });
}

/** `nix-store --delete`: deletes paths that nothing needs. */
export async function deletePaths(operation: StoreOperation): Promise<number> {
  const given = switchesOf(operation, ["--ignore-liveness"]);
  using context = openContext(operation.flags);
  const { store } = context;
  const paths = operation.words.map((word) => storePathOf(store.storeDir, word));
  return await runCollection(store, {
    action: "deleteSpecific",
    paths,
    ignoreLiveness: given.has("--ignore-liveness"),
  });
}

/** `nix-store --optimise`. */
export async function optimise(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { linkedFiles, savedBytes } = await context.store.optimise();
  if (context.settings.daemon === undefined)
    say(`${renderSize(savedBytes)} freed by hard-linking ${linkedFiles} files`);
  return 0;
}

/** Runs a collection and says what came of it. */
export async function runCollection(store: Store, options: GcOptions): Promise<number> {
  const isDeleting = options.action === "deleteDead" || options.action === "deleteSpecific";
  const isWhole = options.action === "deleteDead" && options.paths === undefined;
  if (isWhole) dropOldRecords();
  // A daemon says itself what it does.
  const isOurs = store.settings.daemon === undefined;
  const result = await store
    .collectGarbage({
      ...options,
      onStep: (step) => say(STEPS[step](options)),
      onDelete: (path) => say(`deleting '${path}'`),
    })
    .catch((error: unknown) => {
      if (isDeleting) printFreed(0, 0);
      throw inNixWords(error);
    });
  if (isWhole && isOurs) {
    await removeOrphanedBuilds(store.settings.stateDir);
    removeOrphanedDownloads(store.settings.stateDir);
  }
  if (!isDeleting) {
    if (isOurs) say("determining live/dead paths...");
    printLines(result.paths.toSorted());
    return 0;
  }
  if (result.savedByLinksBytes !== undefined)
    say(`note: hard linking is currently saving ${renderSize(result.savedByLinksBytes)}`);
  printFreed(result.paths.length, result.freedBytes);
  return 0;
}

function printFreed(count: number, freedBytes: number): void {
  printLine(`${count} store paths deleted, ${renderSize(freedBytes)} freed`);
}

/** Scripts read this. */
function inNixWords(error: unknown): unknown {
  if (!(error instanceof PathAliveError)) return error;
  return new DevshellError(
    error.code,
    `Cannot delete path '${error.path}' since it is still alive. To find out why, use: nix-store --query --roots and nix-store --query --referrers`,
    { cause: error },
  );
}

/** Says how many paths a collection would delete: how much that frees shows only once it is done. */
export async function printDeadCount(store: Store): Promise<number> {
  const isOurs = store.settings.daemon === undefined;
  if (isOurs) say(STEPS.roots({ action: "returnDead" }));
  const { paths } = await store.collectGarbage({ action: "returnDead" });
  if (isOurs) say("determining live/dead paths...");
  printLine(`${paths.length} store paths would be deleted`);
  return 0;
}

const STEPS: Readonly<Record<"roots" | "paths" | "links", (options: GcOptions) => string>> = {
  roots: () => "finding garbage collector roots...",
  paths: ({ action, paths }) =>
    paths === undefined
      ? "deleting garbage..."
      : action === "deleteDead"
        ? "deleting garbage within specified paths..."
        : "deleting specified paths...",
  links: () => "deleting unused links...",
};

/** Bytes, or with K, M, G, T. */
export function readFreedBytes(text: string): number {
  const match = /^(-?\d{1,15})([KMGT]?)$/i.exec(text);
  if (match === null) throw usageError("nix-store", `'--max-freed' requires an integer argument`);
  const unit = ["", "K", "M", "G", "T"].indexOf((match[2] ?? "").toUpperCase());
  return Math.max(0, Number(match[1]) * 1024 ** unit);
}

function printRoots(store: Store): void {
  const lines: string[] = [];
  for (const [target, links] of store.findRoots())
    for (const link of links) if (!link.startsWith("{temp:")) lines.push(`${link} -> ${target}`);
  printLines(lines.toSorted());
}
