import { readFileSync } from "node:fs";
import {
  cacheTargetOf,
  initialiseCache,
  isCached,
  parseSecretKey,
  writeRealisation,
  writeToCache,
  type CacheTarget,
  type Realisation,
  type Store,
  type SecretKey,
  type StorePath,
} from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { copyPaths, targetSettings } from "./copyPaths.ts";
import { realisedTargets } from "./realisations.ts";
import { newInstallableFlags, takeInstallableFlag, targetsOf } from "./installables.ts";

/** `nix copy --to STORE` and `--from STORE`, between stores of this machine, and to binary caches on it. */
export async function copy(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let from: string | undefined;
  let to: string | undefined;
  let checksSignatures = true;
  let isAll = false;
  let isWhole = true;
  const flags = parseCommandLine("nix copy", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "--from") from = next();
    else if (word === "--to") to = next();
    else if (word === "--no-check-sigs") checksSignatures = false;
    else if (word === "--all") isAll = true;
    else if (word === "--no-recursive") isWhole = false;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (from === undefined && to === undefined)
    throw usageError("nix copy", "you must pass '--from' and/or '--to'");
  using context = openContext(from === undefined ? flags : { ...flags, store: from });
  const source = context.store;
  const cache = to?.startsWith("file://") === true ? cacheTargetOf(to, source.storeDir, readKey) : undefined;
  const settings =
    cache === undefined ? targetSettings(source, flags.settings, to ?? flags.store) : undefined;
  let paths: readonly StorePath[];
  let realisations: readonly Realisation[] = [];
  if (isAll) paths = source.allValidPaths();
  else {
    const targets = targetsOf(context, flags, installables, words);
    const report = await context.tryRealise(targets);
    if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
    const realised = realisedTargets(source, targets);
    paths = [...realised.paths];
    realisations = realised.realisations;
  }
  const wanted = isWhole ? source.closureOf(paths) : paths;
  if (cache !== undefined) {
    await copyToCache(source, cache, wanted);
    for (const realisation of realisations)
      if (isCached(cache, realisation.outputPath)) writeRealisation(cache.directory, realisation);
  } else if (settings !== undefined) await copyPaths(source, settings, wanted, { checksSignatures });
  return 0;
}

async function copyToCache(source: Store, cache: CacheTarget, wanted: readonly StorePath[]): Promise<void> {
  initialiseCache(cache);
  for (const path of source.topologicalSort(wanted)) {
    if (isCached(cache, path)) continue;
    say(`copying path '${path}' to '${cache.directory}'...`);
    await writeToCache(cache, source.pathInfo(path), source.realPath(path));
  }
}

function readKey(file: string): SecretKey {
  return parseSecretKey(readFileSync(file, "utf8"));
}
