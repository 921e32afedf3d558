import {
  StoreEndpoint,
  copyPaths,
  isWholeAddress,
  openRemoteStore,
  type Realisation,
  type RemoteStore,
  type StorePath,
} from "../../../store/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { allPathsOf, pathsOfTargets } from "../askedStore.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { sayCopies } from "../copyMessages.ts";
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
};

/** `nix copy --to STORE` and `--from STORE`: between any two stores. */
export async function copy(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const given = new Set<string>();
  const installables = newInstallableFlags();
  let from: string | undefined;
  let to: string | undefined;
  const flags = parseCommandLine("nix copy", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    const name = SWITCHES[word];
    if (word === "--from") from = next();
    else if (word === "--to") to = next();
    else if (name !== undefined) given.add(name);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (from === undefined && to === undefined)
    throw usageError("nix copy", "you must pass '--from' and/or '--to'");
  const sourceUrl = from ?? flags.store;
  const isLocal = isWholeAddress(sourceUrl);
  const contextFlags = { ...flags, store: isLocal ? sourceUrl : undefined };
  using context = openInstallableContext(contextFlags, installables, { name: "nix copy" });
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
  await copyPaths({
    source,
    target,
    paths,
    isRecursive: !given.has("no-recursive"),
    checksSignatures: !given.has("no-check-sigs"),
    signal: context.signal,
    ...sayCopies(source, target),
  });
  for (const realisation of copied.realisations) await target.addRealisation?.(realisation);
  return 0;
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
  return { paths: pathsOfTargets(context, targets, { isDerivation }), realisations: [] };
}
