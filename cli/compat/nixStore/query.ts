import { DevshellError, formatHash } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { isWholeAddress, throwFailure, type Store, type StorePath } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine, printLines } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { printDotGraph, printGraphMl, printTree } from "./graphs.ts";
import type { StoreOperation } from "./operation.ts";
import type { Query, QueryOptions } from "./queryElsewhere.ts";

const QUERIES: Readonly<Record<string, Query>> = {
  "--outputs": "outputs",
  "--requisites": "requisites",
  "-R": "requisites",
  "--references": "references",
  "--referrers": "referrers",
  "--referers": "referrers",
  "--referrers-closure": "referrers-closure",
  "--referers-closure": "referrers-closure",
  "--deriver": "deriver",
  "-d": "deriver",
  "--valid-derivers": "valid-derivers",
  "--binding": "binding",
  "-b": "binding",
  "--hash": "hash",
  "--size": "size",
  "--tree": "tree",
  "--graph": "graph",
  "--graphml": "graphml",
  "--resolve": "resolve",
  "--roots": "roots",
};

/** `nix-store --query`. */
export async function queryStore(operation: StoreOperation): Promise<number> {
  const options = parse(operation);
  if (!isWholeAddress(operation.flags.store))
    return (await import("./queryElsewhere.ts")).queryElsewhere(operation.flags, options);
  using context = openContext(operation.flags);
  const { store } = context;
  const named = (): StorePath[] => options.words.map((word) => storePathOf(store.storeDir, word));
  const used = (usesOutput = options.usesOutput): Promise<StorePath[]> =>
    usedPaths(context, named(), usesOutput, options.isForced);
  switch (options.query) {
    case "outputs":
      printLines(await used(true));
      break;
    case "requisites":
    case "references":
    case "referrers":
    case "referrers-closure":
      printSorted(store, related(store, await used(), options));
      break;
    case "deriver":
      for (const path of named()) printLine(infoOf(store, path).deriver ?? "unknown-deriver");
      break;
    case "valid-derivers":
      printSorted(
        store,
        named().flatMap((path) => store.queryValidDerivers(path)),
      );
      break;
    case "binding":
      for (const path of named()) printLine(bindingOf(store, path, options.binding));
      break;
    case "hash":
      for (const path of await used())
        printLine(`sha256:${formatHash(infoOf(store, path).narHash, "nix32")}`);
      break;
    case "size":
      for (const path of await used()) printLine(String(infoOf(store, path).narSizeBytes));
      break;
    case "tree":
      printTree(store, named());
      break;
    case "graph":
      printDotGraph(store, await used());
      break;
    case "graphml":
      printGraphMl(store, await used());
      break;
    case "resolve":
      printLines(named());
      break;
    case "roots":
      printRoots(store, await used());
      break;
  }
  return 0;
}

function parse({ own, words }: StoreOperation): QueryOptions {
  const rest = [...words];
  let query: Query | undefined;
  let usesOutput = false;
  let isForced = false;
  let includesOutputs = false;
  let binding = "";
  for (const word of own) {
    const named = QUERIES[word];
    if (named !== undefined) {
      if (query !== undefined && query !== named)
        throw usageError("nix-store", `query type '${word}' conflicts with earlier flag`);
      query = named;
      if (named !== "binding") continue;
      const name = rest.shift();
      if (name === undefined) throw usageError("nix-store", "expected binding name");
      binding = name;
    } else if (word === "-u" || word === "--use-output") usesOutput = true;
    else if (word === "-f" || /^--force-reali[sz]e$/.test(word)) isForced = true;
    else if (word === "--include-outputs") includesOutputs = true;
    else throw usageError("nix-store", `unknown flag '${word}'`);
  }
  return { query: query ?? "outputs", usesOutput, isForced, includesOutputs, binding, words: rest };
}

/** The paths themselves, or of derivations their outputs, sorted; realised first where that is asked. */
async function usedPaths(
  context: StoreContext,
  paths: readonly StorePath[],
  usesOutput: boolean,
  isForced: boolean,
): Promise<StorePath[]> {
  const { store } = context;
  if (isForced)
    throwFailure(
      await context.tryRealise(
        paths.map((path) =>
          path.endsWith(".drv") ? { kind: "built", drvPath: path, outputs: "*" } : { kind: "opaque", path },
        ),
      ),
    );
  if (!usesOutput) return [...paths];
  return paths.flatMap((path) => {
    if (!path.endsWith(".drv")) return [path];
    if (!store.isValidPath(path)) throw notValid(path);
    const outputs = [...store.queryDerivationOutputs(path).values()];
    if (outputs.includes(undefined))
      throw usageError(
        "nix-store",
        "Cannot use output path of floating content-addressing derivation until we know what it is (e.g. by building it)",
      );
    return outputs.filter((output) => output !== undefined).toSorted();
  });
}

function related(
  store: Store,
  paths: readonly StorePath[],
  { query, includesOutputs }: QueryOptions,
): StorePath[] {
  switch (query) {
    case "requisites":
      return paths.flatMap((path) => store.closureOf(path, { includeOutputs: includesOutputs }));
    case "referrers-closure":
      return paths.flatMap((path) => store.closureOf(path, { isReversed: true }));
    case "references":
      return paths.flatMap((path) => [...infoOf(store, path).references]);
    default:
      return paths.flatMap((path) => store.queryReferrers(path));
  }
}

/** What is needed before what needs it. */
function printSorted(store: Store, paths: Iterable<StorePath>): void {
  printLines(store.topologicalSort(new Set(paths)));
}

function bindingOf(store: Store, path: StorePath, name: string): string {
  const drvPath = path.endsWith(".drv") ? path : infoOf(store, path).deriver;
  if (drvPath === undefined)
    throw new DevshellError("CLI_NO_DERIVER", `deriver of path '${path}' is not known`);
  const value = store.readDerivation(drvPath).env.get(name);
  if (value === undefined)
    throw new DevshellError(
      "CLI_NO_BINDING",
      `derivation '${drvPath}' has no environment binding named '${name}'`,
    );
  return value;
}

function printRoots(store: Store, paths: readonly StorePath[]): void {
  const { keepOutputs, keepDerivations } = store.settings.config;
  const kept = new Set(
    store.closureOf(paths, {
      isReversed: true,
      includeOutputs: keepOutputs,
      includeDerivers: keepDerivations,
    }),
  );
  for (const [target, links] of store.findRoots())
    if (kept.has(target))
      for (const link of links) if (!link.startsWith("{temp:")) printLine(`${link} -> ${target}`);
}

function infoOf(store: Store, path: StorePath): ReturnType<Store["pathInfo"]> {
  const info = store.queryPathInfo(path);
  if (info === undefined) throw notValid(path);
  return info;
}

function notValid(path: StorePath): DevshellError {
  return new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
}
