import { resolve } from "node:path";
import { DevshellError, bytesOfText } from "../../../core/index.ts";
import {
  OutputsThere,
  StoreEndpoint,
  addGeneration,
  isWholeAddress,
  openRemoteStore,
  queryPaths,
  realise,
  type Realisation,
  type RemoteStore,
  type Store,
  type StorePath,
} from "../../../store/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { allPathsOf, pathsOfTargets, unsupported } from "../askedStore.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { copyAndTell } from "../copyAndTell.ts";
import { reportFailures } from "../reportFailures.ts";
import { realisedTargets } from "./realisations.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
  type InstallableFlags,
} from "./installables.ts";

interface CopyCommand {
  readonly flags: CommonFlags;
  readonly installables: InstallableFlags;
  readonly words: readonly string[];
  readonly given: ReadonlySet<string>;
}

const SWITCHES: Readonly<Record<string, string>> = {
  "--no-check-sigs": "no-check-sigs",
  "--all": "all",
  "--no-recursive": "no-recursive",
  "--recursive": "recursive",
  "-r": "recursive",
  "--derivation": "derivation",
  "--substitute-on-destination": "substitute",
  "-s": "substitute",
};

/**
 * `nix copy --to STORE` and `--from STORE`: between any two stores.
 * @param caller how the user called us, for messages
 */
export async function copy(argv: readonly string[], caller = "nix copy"): Promise<number> {
  const words: string[] = [];
  const given = new Set<string>();
  const installables = newInstallableFlags();
  let from: string | undefined;
  let to: string | undefined;
  let profile: string | undefined;
  let outLink: string | undefined;
  const flags = parseCommandLine(caller, argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    const name = SWITCHES[word];
    if (word === "--from") from = next();
    else if (word === "--to") to = next();
    else if (word === "--profile") profile = next();
    else if (word === "--out-link" || word === "-o") outLink = next();
    else if (name !== undefined) given.add(name);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (from === undefined && to === undefined)
    throw usageError(caller, "you must pass '--from' and/or '--to'");
  const sourceUrl = from ?? flags.store;
  const isLocal = isWholeAddress(sourceUrl);
  const contextFlags = isLocal
    ? { ...flags, store: sourceUrl }
    : { ...flags, store: flags.evalStore, evalStore: undefined };
  using context = openInstallableContext(contextFlags, installables, { name: caller });
  await using source =
    isLocal || sourceUrl === undefined
      ? new StoreEndpoint(context.store)
      : await openRemoteStore(context.settings, sourceUrl);
  const targetUrl = to ?? flags.store;
  await using target: RemoteStore =
    targetUrl === undefined && !isLocal
      ? new StoreEndpoint(context.store)
      : await openRemoteStore(context.settings, targetUrl ?? "auto", { isTarget: true });
  const command = { flags, installables, words, given };
  const copied = await pathsToCopy(command, context, source);
  if (typeof copied === "number") return copied;
  const { paths } = copied;
  const isRecursive = !given.has("no-recursive");
  if (given.has("substitute")) await substituteThere(source, target, paths, isRecursive);
  await copyAndTell({
    source,
    target,
    paths,
    isRecursive,
    checksSignatures: !given.has("no-check-sigs"),
    signal: context.signal,
  });
  const checksSignatures = !given.has("no-check-sigs");
  for (const realisation of copied.realisations)
    await target.addRealisation?.(realisation, { checksSignatures, signal: context.signal });
  if (outLink !== undefined || profile !== undefined) {
    const store = wholeStore(target);
    if (outLink !== undefined) linkPaths(store, outLink, paths);
    if (profile !== undefined) addToProfile(store, profile, paths);
  }
  return 0;
}

/** Has the target fetch what its substituters have, rather than take it from the source. */
async function substituteThere(
  source: RemoteStore,
  target: RemoteStore,
  paths: readonly StorePath[],
  isRecursive: boolean,
): Promise<void> {
  const wanted = [...(await queryPaths(source, paths, { isRecursive })).keys()];
  if (target.substitute !== undefined) await target.substitute(wanted);
  else if (target instanceof StoreEndpoint)
    // What cannot be had so is copied.
    for (const path of wanted) await realise(target.store, [{ kind: "opaque", path }]);
}

function wholeStore(target: RemoteStore): Store {
  if (target instanceof StoreEndpoint) return target.store;
  throw unsupported(target, "is not where links can be made");
}

function linkPaths(store: Store, outLink: string, paths: readonly StorePath[]): void {
  for (const [index, path] of paths.entries())
    store.addRoot(bytesOfText(resolve(index === 0 ? outLink : `${outLink}-${index}`)), path);
}

function addToProfile(store: Store, profile: string, paths: readonly StorePath[]): void {
  const [path, ...more] = paths;
  if (path === undefined || more.length > 0)
    throw usageError(
      "nix copy",
      `'--profile' requires that the arguments produce a single store path, but there are ${paths.length}`,
    );
  addGeneration(store, bytesOfText(resolve(profile)), path);
}

interface Copied {
  readonly paths: readonly StorePath[];
  /** What had to be known to find them. */
  readonly realisations: readonly Realisation[];
}

/** @returns the exit status where something could not be built */
async function pathsToCopy(
  { flags, installables, words, given }: CopyCommand,
  context: StoreContext,
  source: RemoteStore,
): Promise<Copied | number> {
  if (given.has("all")) return { paths: await allPathsOf(source), realisations: [] };
  const isDerivation = given.has("derivation");
  const targets = targetsOf(context, flags, installables, words);
  // What is elsewhere is taken as it is there.
  if (source instanceof StoreEndpoint && !isDerivation) {
    const report = await context.tryRealise(targets);
    if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
    const { paths, realisations } = realisedTargets(context.store, targets);
    return { paths: [...paths], realisations };
  }
  if (isDerivation) return { paths: pathsOfTargets(context, targets, { isDerivation }), realisations: [] };
  const there = new OutputsThere(context.evalStore, source, context.signal);
  const paths = await Promise.all(
    targets.map(async (target) => {
      if (target.kind === "opaque") return [target.path];
      const outputs = await there.find(target);
      if (outputs !== undefined) return [...outputs.values()];
      throw new DevshellError(
        "STORE_UNBUILT",
        `cannot copy the outputs of '${target.drvPath}': the store '${source.url}' does not say what they turned out to be`,
      );
    }),
  );
  return { paths: paths.flat(), realisations: there.realisations };
}
