import { basename, resolve } from "node:path";
import {
  DevshellError,
  bytesOfText,
  formatHash,
  hashStream,
  parseHash,
  shownUrl,
  hashBytes,
} from "../../../core/index.ts";
import {
  DaemonStore,
  StoreEndpoint,
  invalidPath,
  isWholeAddress,
  openObjectTree,
  openRemoteStore,
  queryPaths,
  splitStorePath,
  type DerivedPath,
  type StorePath,
  makeFixedOutputPath,
} from "../../../store/index.ts";
import { prefetchFile, type StoreContext } from "../../../env/index.ts";
import { allPathsOf, openAskedStore, pathsOfTargets, unsupported, type AskedStore } from "../askedStore.ts";
import { drvPathOf, logOf } from "../buildLogs.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { algorithmOf } from "../nixHash.ts";
import { printDeadCount, readFreedBytes, runCollection } from "../nixStore/garbage.ts";
import { printLine, say, writeStandardOutput } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { inStore, storePathOf } from "../storeArgument.ts";
import { addToAsked, readRegular } from "./addElsewhere.ts";
import { builtPathsOf } from "./builtPaths.ts";
import { printClosureDiff } from "./closureDiff.ts";
import { deleteBuildTraces, printBuildTrace } from "./buildTrace.ts";
import { rewriteToContent } from "./makeContentAddressed.ts";
import {
  newInstallableFlags,
  takeInstallableFlag,
  targetsOf,
  type InstallableFlags,
} from "./installables.ts";
import { splitOutputs } from "./outputs.ts";
import { copySignatures, signPaths, verifyPaths } from "./storeSignatures.ts";
import { LIST_SWITCHES, listFlagsOf, listTree, printFile } from "./treeListing.ts";

interface StoreRequest {
  readonly context: StoreContext;
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  readonly given: ReadonlySet<string>;
  /** What the words mean to have built. */
  readonly targets: () => DerivedPath[];
}

/** What works on any store, wherever it is. */
interface AnyStoreRequest extends Omit<StoreRequest, "context" | "targets"> {
  readonly asked: AskedStore;
  /** The stores that `-s` names. */
  readonly others: readonly string[];
  /** The paths that the words, `-r` and `--all` mean. */
  readonly paths: () => Promise<readonly StorePath[]>;
}

type Action = (request: StoreRequest) => Promise<number> | number;
type AnyStoreAction = (request: AnyStoreRequest) => Promise<number> | number;

const ACTIONS: Readonly<Record<string, Action>> = {
  add: (request) => add(request, request.values.get("--mode") ?? "nar"),
  "add-file": (request) => add(request, "flat"),
  "add-path": (request) => add(request, "nar"),
  "build-trace": buildTrace,
  delete: deletePaths,
  "diff-closures": diffClosures,
  gc: collect,
  optimise,
  optimize: optimise,
  "path-from-hash-part": pathFromHashPart,
  "prefetch-file": prefetch,
  "submit-output": submitOutput,
};

const ANY_STORE_ACTIONS: Readonly<Record<string, AnyStoreAction>> = {
  cat,
  "copy-log": copyLog,
  "copy-sigs": async ({ asked, others, paths }) => await copySignatures(asked, await paths(), others),
  "dump-path": dumpPath,
  info: ping,
  ls,
  ping,
  sign: async ({ asked, values, paths }) =>
    await signPaths(asked.store, await paths(), values.get("--key-file")),
  verify,
};

/** Of those, the ones that change the store. */
const WRITERS = new Set(["sign", "copy-sigs", "copy-log"]);

const VALUED = new Set([
  "--expected-hash",
  "--from",
  "--key-file",
  "--to",
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
  const others: string[] = [];
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix store", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    const long = shortFor(words[0], word);
    if (VALUED.has(long)) values.set(long, next());
    else if (long === "--substituter") others.push(next());
    else if (GIVEN.has(long)) given.add(long);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [name = "", ...rest] = words;
  const anyStoreAction = Object.hasOwn(ANY_STORE_ACTIONS, name) ? ANY_STORE_ACTIONS[name] : undefined;
  if (anyStoreAction !== undefined) {
    await using asked = await openAskedStore(flags, { isTarget: WRITERS.has(name) });
    const paths = (): Promise<readonly StorePath[]> => pathsGiven(asked, flags, installables, rest, given);
    return await anyStoreAction({ asked, words: rest, values, given, others, paths });
  }
  if (/^add(?:-file|-path)?$/.test(name) && !isWholeAddress(flags.store)) {
    await using asked = await openAskedStore(flags, { isTarget: true });
    return await addToAsked(asked, { action: name, words: rest, values, given });
  }
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
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined)
    throw new DevshellError("CLI_NOT_BUILT", `Cannot run "nix store ${name}": it is not built yet`, {
      hint: `there are ${[...Object.keys(ACTIONS), ...Object.keys(ANY_STORE_ACTIONS)].join(", ")}, make-content-addressed, repair`,
    });
  return await action({
    context,
    words: rest,
    values,
    given,
    targets: () => targetsOf(context, flags, installables, rest),
  });
}

/** What a letter means depends on the action. */
function shortFor(action: string | undefined, word: string): string {
  switch (word) {
    case "-n":
      return action === "verify" ? "--sigs-needed" : "--name";
    case "-k":
      return action === "sign" ? "--key-file" : word;
    case "-s":
      return "--substituter";
    case "-r":
      return "--recursive";
    default:
      return (action === "ls" ? LIST_SWITCHES[word] : undefined) ?? word;
  }
}

async function pathsGiven(
  { context, store: asked }: AskedStore,
  flags: CommonFlags,
  installables: InstallableFlags,
  words: readonly string[],
  given: ReadonlySet<string>,
): Promise<readonly StorePath[]> {
  if (given.has("--all")) return await allPathsOf(asked);
  const named = pathsOfTargets(context, targetsOf(context, flags, installables, words));
  if (!given.has("--recursive")) return named;
  return [...(await queryPaths(asked, named, { isRecursive: true })).keys()];
}

const GIVEN = new Set([
  "--all",
  "--also-referrers",
  "--directory",
  "--dry-run",
  "--executable",
  "--flat",
  "--ignore-liveness",
  "--json",
  "--long",
  "--no-contents",
  "--no-trust",
  "--recursive",
  "--scan",
  "--skip-alive",
  "--skip-live",
  "--unpack",
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
  const isDryRun = given.has("--dry-run");
  for (const word of words) {
    const path = resolve(word);
    const name = values.get("--name") ?? basename(path);
    if (given.has("--scan")) {
      const request = { name, method: given.has("--flat") ? "flat" : mode, algorithm } as const;
      printLine(serverOf(context, "--scan").addScanned(bytesOfText(path), request));
      continue;
    }
    if (mode === "text" && !given.has("--flat")) {
      const text = readRegular(path).toString("latin1");
      const hash = hashBytes(algorithm, text);
      const storePath = makeFixedOutputPath(context.settings.storeDir, name, { method: "text", hash });
      printLine(isDryRun ? storePath : context.store.addText(name, text, []));
      continue;
    }
    const method = given.has("--flat") || mode === "text" ? "flat" : mode;
    printLine(context.store.addPath(bytesOfText(path), { name, method, algorithm, isDryRun }));
  }
  return 0;
}

/** The store of the build that this is run by. @throws {DevshellError} `CLI_NO_BUILDER` */
function serverOf({ store: opened }: StoreContext, what: string): DaemonStore {
  if (opened instanceof DaemonStore) return opened;
  throw new DevshellError("CLI_NO_BUILDER", `'${what}' works only in a builder that uses the store`, {
    hint: "the derivation needs the system feature recursive-nix or builder-rpc-v0",
  });
}

function submitOutput({ context, words }: StoreRequest): number {
  const [word, output, ...more] = words;
  if (word === undefined || output === undefined || more.length > 0)
    throw usageError("nix store submit-output", "a store path and the name of an output are expected");
  serverOf(context, "nix store submit-output").submitOutput(
    storePathOf(context.settings.storeDir, word),
    bytesOfText(output),
  );
  return 0;
}

async function cat({ asked, words }: AnyStoreRequest): Promise<number> {
  const { storeDir } = asked.context.settings;
  for (const word of words) {
    const { storePath, rest } = splitStorePath(storeDir, inStore(storeDir, word));
    await using tree = await openObjectTree(asked.store, storePath);
    const shown = `${storePath}${rest}`;
    await printFile(tree, rest, () => new DevshellError("CLI_NO_PATH", `path '${shown}' does not exist`));
  }
  return 0;
}

async function ls({ asked, words, given }: AnyStoreRequest): Promise<number> {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) throw usageError("nix store ls", "expected one path");
  const { storeDir } = asked.context.settings;
  const { storePath, rest } = splitStorePath(storeDir, inStore(storeDir, word));
  await using tree = await openObjectTree(asked.store, storePath);
  listTree(tree, rest, `${storePath}${rest}`, listFlagsOf(given));
  return 0;
}

async function deletePaths({ context, words, targets, given }: StoreRequest): Promise<number> {
  const { store: local } = context;
  if (words.length === 0) throw usageError("nix store delete", "no store paths are named");
  const named = targets().flatMap((target) => builtPathsOf(context, target).map(([, path]) => path));
  const isRecursive = given.has("--recursive");
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

async function dumpPath({ asked, words }: AnyStoreRequest): Promise<number> {
  for (const word of words) {
    const path = storePathOf(asked.context.settings.storeDir, word);
    const info = await asked.store.query(path);
    if (info === undefined) throw invalidPath(asked.store, path);
    const download = await asked.store.openNar(info, {});
    const running = hashStream("sha256");
    try {
      for await (const chunk of download.nar) {
        running.update(chunk);
        writeStandardOutput(Buffer.from(chunk));
      }
    } finally {
      await download.discard();
    }
    const isOurs = asked.store instanceof StoreEndpoint;
    if (isOurs || running.digest().digest.equals(info.narHash.digest)) continue;
    throw new DevshellError(
      "STORE_HASH_MISMATCH",
      `hash mismatch in path '${path}': what '${asked.store.url}' sent is not what it announced`,
    );
  }
  return 0;
}

async function copyLog({ asked, values, words }: AnyStoreRequest): Promise<number> {
  const { context, store: own } = asked;
  const [from, to] = [values.get("--from"), values.get("--to")];
  if (from === undefined && to === undefined)
    throw usageError("nix store copy-log", "you must pass '--from' and/or '--to'");
  await using source = from === undefined ? undefined : await openRemoteStore(context.settings, from);
  await using target =
    to === undefined ? undefined : await openRemoteStore(context.settings, to, { isTarget: true });
  const [reader, writer] = [source ?? own, target ?? own];
  for (const word of words) {
    const path = storePathOf(context.settings.storeDir, splitOutputs(word).prefix);
    const drvPath = (await drvPathOf(own, path)) ?? (await drvPathOf(reader, path));
    const log = drvPath === undefined ? undefined : await logOf(reader, drvPath);
    if (drvPath === undefined || log === undefined)
      throw new DevshellError("CLI_NO_LOG", `build log for '${path}' is not available`);
    if (writer.addLog === undefined) throw unsupported(writer, "keeps no logs");
    await writer.addLog(drvPath, log);
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

function ping({ asked, given }: AnyStoreRequest): number {
  const { url, version, isTrusting } = asked.store;
  // Says whether a daemon can be reached, which is what many ask for.
  if (given.has("--json")) printLine(JSON.stringify({ trusted: isTrusting, url, version }));
  else {
    say(`Store URL: ${url}`);
    if (version !== undefined) say(`Version: ${version}`);
    if (isTrusting !== undefined) say(`Trusted: ${isTrusting ? 1 : 0}`);
  }
  return 0;
}

async function verify({ asked, given, values, others, paths }: AnyStoreRequest): Promise<number> {
  const needed = values.get("--sigs-needed") ?? "0";
  if (!/^\d{1,6}$/.test(needed))
    throw usageError("nix store verify", `'--sigs-needed' requires an integer argument`);
  return await verifyPaths(asked, await paths(), {
    checksContents: !given.has("--no-contents"),
    checksTrust: !given.has("--no-trust"),
    signaturesNeeded: Number(needed),
    substituters: others,
  });
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
  else say(`Downloaded '${shownUrl(url)}' to '${storePath}' (hash '${shown}').`);
  return 0;
}
