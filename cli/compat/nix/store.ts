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
import { DaemonStore, dumpNar } from "../../../store/index.ts";
import { prefetchFile, type StoreContext } from "../../../env/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { algorithmOf } from "../nixHash.ts";
import { runCollection } from "../nixStore/garbage.ts";
import { printLine, say, writeStandardOutput } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { inStore, storePathOf } from "../storeArgument.ts";
import { deleteBuildTraces, printBuildTrace } from "./buildTrace.ts";
import { rewriteToContent } from "./makeContentAddressed.ts";
import { newInstallableFlags, takeInstallableFlag, targetsOf } from "./installables.ts";

interface StoreRequest {
  readonly context: StoreContext;
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  readonly given: ReadonlySet<string>;
}

type Action = (request: StoreRequest) => Promise<number> | number;

const ACTIONS: Readonly<Record<string, Action>> = {
  add: (request) => add(request, request.values.get("--mode") ?? "nar"),
  "add-file": (request) => add(request, "flat"),
  "add-path": (request) => add(request, "nar"),
  "build-trace": buildTrace,
  cat,
  delete: deletePaths,
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
  return await action({ context, words: rest, values, given });
}

const GIVEN = new Set([
  "--all",
  "--dry-run",
  "--executable",
  "--flat",
  "--ignore-liveness",
  "--json",
  "--no-contents",
  "--no-trust",
  "--recursive",
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

async function deletePaths({ context, words, given }: StoreRequest): Promise<number> {
  return await runCollection(context.store, {
    action: "deleteSpecific",
    paths: words.map((word) => storePathOf(context.settings.storeDir, word)),
    ignoreLiveness: given.has("--ignore-liveness"),
  });
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
  return await runCollection(context.store, {
    action: given.has("--dry-run") ? "returnDead" : "deleteDead",
    maxFreedBytes: max === undefined ? undefined : Number(max),
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
