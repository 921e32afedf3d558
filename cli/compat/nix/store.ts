import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import {
  DevshellError,
  NIX_VERSION,
  bytesOfText,
  formatHash,
  fsPath,
  parseHash,
} from "../../../core/index.ts";
import { DaemonStore, dumpNar, type DerivedPath } from "../../../store/index.ts";
import { prefetchFile, type StoreContext } from "../../../env/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { algorithmOf } from "../nixHash.ts";
import { printDeadCount, readFreedBytes, runCollection } from "../nixStore/garbage.ts";
import { printLine, say, writeStandardOutput } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { inStore, storePathOf } from "../storeArgument.ts";
import { builtPathsOf } from "./builtPaths.ts";
import { printClosureDiff } from "./closureDiff.ts";
import { deleteBuildTraces, printBuildTrace } from "./buildTrace.ts";
import { rewriteToContent } from "./makeContentAddressed.ts";
import { newInstallableFlags, takeInstallableFlag, targetsOf } from "./installables.ts";

interface StoreRequest {
  readonly context: StoreContext;
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  readonly given: ReadonlySet<string>;
  /** What the words mean to have built. */
  readonly targets: () => DerivedPath[];
}

type Action = (request: StoreRequest) => Promise<number> | number;

const ACTIONS: Readonly<Record<string, Action>> = {
  add: (request) => add(request, request.values.get("--mode") ?? "nar"),
  "add-file": (request) => add(request, "flat"),
  "add-path": (request) => add(request, "nar"),
  "build-trace": buildTrace,
  cat,
  delete: deletePaths,
  "diff-closures": diffClosures,
  "dump-path": dumpPath,
  gc: collect,
  info: ping,
  optimise,
  optimize: optimise,
  "path-from-hash-part": pathFromHashPart,
  ping,
  "prefetch-file": prefetch,
  verify,
};

const VALUED = new Set([
  "--expected-hash",
  "--hash-type",
  "--mode",
  "--name",
  "-n",
  "--hash-algo",
  "--max",
  "--sigs-needed",
]);

/** `nix store ACTION`. */
export async function store(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const values = new Map<string, string>();
  const given = new Set<string>();
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix store", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (VALUED.has(word)) values.set(word === "-n" ? "--name" : word, next());
    else if (GIVEN.has(word)) given.add(word);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [name, ...rest] = words;
  using context = openContext(flags);
  if (name === "repair") {
    const report = await context.tryRealise(targetsOf(context, flags, installables, rest), {
      mode: "repair",
    });
    return reportFailures(report);
  }
  if (name === "make-content-addressed")
    return await rewriteToContent(
      context,
      targetsOf(context, flags, installables, rest),
      given.has("--json"),
    );
  if (name === "build-trace" && rest[0] === "info")
    return printBuildTrace(
      context,
      targetsOf(context, flags, installables, rest.slice(1)),
      given.has("--json"),
    );
  const action = name === undefined ? undefined : ACTIONS[name];
  if (action === undefined)
    throw new DevshellError("CLI_NOT_BUILT", `Cannot run "nix store ${name ?? ""}": it is not built yet`, {
      hint: `there are ${Object.keys(ACTIONS).join(", ")}, make-content-addressed, repair`,
    });
  return await action({
    context,
    words: rest,
    values,
    given,
    targets: () => targetsOf(context, flags, installables, rest),
  });
}

const GIVEN = new Set([
  "--all",
  "--also-referrers",
  "--dry-run",
  "--executable",
  "--flat",
  "--ignore-liveness",
  "--json",
  "--no-contents",
  "--no-trust",
  "--recursive",
  "--skip-alive",
  "--skip-live",
  "--unpack",
  "-r",
]);

function buildTrace({ context, words }: StoreRequest): number {
  const [action, ...rest] = words;
  if (action === "delete") return deleteBuildTraces(context, rest);
  throw usageError("nix store build-trace", "there are 'info' and 'delete'");
}

function add({ context, words, values, given }: StoreRequest, mode: string): number {
  if (mode !== "flat" && mode !== "nar" && mode !== "text")
    throw usageError("nix store add", `content address method '${mode}' is not built yet`);
  const algorithm = algorithmOf(values.get("--hash-algo") ?? "sha256");
  for (const word of words) {
    const path = resolve(word);
    const name = values.get("--name") ?? basename(path);
    if (mode === "text") {
      printLine(context.store.addText(name, readFileSync(path).toString("latin1"), []));
      continue;
    }
    const method = given.has("--flat") ? "flat" : mode;
    printLine(
      context.store.addPath(bytesOfText(path), { name, method, algorithm, isDryRun: given.has("--dry-run") }),
    );
  }
  return 0;
}

function cat({ context, words }: StoreRequest): number {
  const { store: local } = context;
  for (const word of words) {
    local.pathInfo(storePathOf(local.storeDir, word));
    writeStandardOutput(readFileSync(fsPath(local.realPath(inStore(local.storeDir, word)))));
  }
  return 0;
}

async function deletePaths({ context, words, targets, given }: StoreRequest): Promise<number> {
  const { store: local } = context;
  if (words.length === 0) throw usageError("nix store delete", "no store paths are named");
  const named = targets().flatMap((target) => builtPathsOf(context, target).map(([, path]) => path));
  const isRecursive = given.has("--recursive") || given.has("-r");
  // What is not valid has no closure, and may be deleted still.
  const paths = isRecursive ? local.closureOf(named.filter((path) => local.isValidPath(path))) : named;
  return await runCollection(local, {
    action: given.has("--skip-alive") || given.has("--skip-live") ? "deleteDead" : "deleteSpecific",
    paths: [...new Set([...named, ...paths])].sort(),
    includesReferrers: given.has("--also-referrers"),
    ignoreLiveness: given.has("--ignore-liveness"),
  });
}

/** What of packages and versions two closures differ in. */
async function diffClosures({ context, words, targets }: StoreRequest): Promise<number> {
  const wanted = targets();
  if (words.length !== 2 || wanted.length !== 2)
    throw usageError("nix store diff-closures", "expected two store paths or packages");
  const report = await context.tryRealise(wanted);
  if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  const [before, after] = wanted.map((target) => {
    const paths = builtPathsOf(context, target);
    if (paths.length > 1) throw usageError("nix store diff-closures", "an argument names several paths");
    return paths[0]?.[1];
  });
  if (before === undefined || after === undefined) throw new Error("what was realised has no path");
  printClosureDiff(context.store, before, after, "");
  return 0;
}

function dumpPath({ context, words }: StoreRequest): number {
  const { store: local } = context;
  for (const word of words) {
    const path = storePathOf(local.storeDir, word);
    local.pathInfo(path);
    dumpNar(local.realPath(path), writeStandardOutput);
  }
  return 0;
}

async function collect({ context, values, given }: StoreRequest): Promise<number> {
  const max = values.get("--max");
  if (max !== undefined && given.has("--dry-run"))
    throw usageError("nix store gc", "options --max and --dry-run cannot be combined");
  if (given.has("--dry-run")) return await printDeadCount(context.store);
  return await runCollection(context.store, {
    action: "deleteDead",
    maxFreedBytes: max === undefined ? undefined : readFreedBytes(max),
  });
}

async function optimise({ context }: StoreRequest): Promise<number> {
  await context.store.optimise();
  return 0;
}

function pathFromHashPart({ context, words }: StoreRequest): number {
  const [hashPart = ""] = words;
  const path = context.store.queryPathFromHashPart(hashPart);
  if (path === undefined)
    throw new DevshellError("CLI_NO_PATH", `there is no store path corresponding to '${hashPart}'`);
  printLine(path);
  return 0;
}

function ping({ context, given }: StoreRequest): number {
  const { store, settings } = context;
  const url = settings.daemon?.url ?? "local";
  const greeting = store instanceof DaemonStore ? store.greeting : undefined;
  const version = store instanceof DaemonStore ? greeting?.daemonVersion : NIX_VERSION;
  const isTrusted = store instanceof DaemonStore ? greeting?.isTrusted : true;
  if (given.has("--json")) printLine(JSON.stringify({ trusted: isTrusted, url, version }));
  else {
    const lines = [`Store URL: ${url}`, `Store directory: ${store.storeDir}`];
    if (version !== undefined) lines.push(`Version: ${version}`);
    if (isTrusted !== undefined) lines.push(`Trusted: ${isTrusted ? 1 : 0}`);
    lines.forEach(say);
  }
  return 0;
}

async function verify({ context, given }: StoreRequest): Promise<number> {
  const { problems } = await context.store.verify({ checkContents: !given.has("--no-contents") });
  for (const problem of problems) say(problem);
  return problems.length === 0 ? 0 : 1;
}

async function prefetch({ context, words, values, given }: StoreRequest): Promise<number> {
  const [url] = words;
  if (url === undefined || words.length > 1) throw usageError("nix store prefetch-file", "expected one URL");
  const expected = values.get("--expected-hash");
  const algorithm = algorithmOf(values.get("--hash-algo") ?? values.get("--hash-type") ?? "sha256");
  const { storePath, hash } = await prefetchFile(context.store, {
    url,
    name: values.get("--name"),
    algorithm,
    expected: expected === undefined ? undefined : parseHash(expected, algorithm),
    isUnpacked: given.has("--unpack"),
    isExecutable: given.has("--executable"),
  });
  const shown = formatHash(hash, "sri");
  if (given.has("--json")) printLine(JSON.stringify({ hash: shown, storePath }));
  else say(`Downloaded '${url}' to '${storePath}' (hash '${shown}').`);
  return 0;
}
