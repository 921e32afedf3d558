import { DevshellError, bytesOfText } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { addFrame, compareVersions } from "../../../lang/index.ts";
import { addGeneration, findSubstitutable, profileToken } from "../../../store/index.ts";
import { usageError, type CommonFlags } from "../commandLine.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import type { ChangeOptions } from "./changeOptions.ts";
import type { EnvPackage } from "./envPackage.ts";
import { comparePriorities } from "./newestOnly.ts";
import { installedPackages } from "./packageSource.ts";
import { packagesToInstall } from "./packagesToInstall.ts";
import { profileToChange } from "./profilePath.ts";
import type { QueryOptions } from "./queryOptions.ts";
import { packageMatcher } from "./selectPackages.ts";
import { installEnvironment, realisePackages } from "./userEnvironment.ts";

/** What all operations need that make a new generation of a profile. */
export interface ProfileChange {
  readonly context: StoreContext;
  readonly evaluation: CompatEvaluation;
  readonly flags: CommonFlags;
  readonly change: ChangeOptions;
  readonly from: Pick<QueryOptions, "file" | "profile" | "systemFilter" | "isPrebuiltOnly">;
  readonly words: readonly string[];
}

/** `nix-env --install`. @returns the exit status */
export async function installPackages(run: ProfileChange): Promise<number> {
  const { change } = run;
  const added = await prebuilt(run, chosenPackages(run, true));
  const names = new Set(added.map((each) => each.parsedName.name));
  if (change.priority !== undefined)
    for (const each of added) each.setMeta("priority", String(change.priority));
  return await changeProfile(run, added, (installed) => {
    if (change.removesAll) return added;
    const kept = installed.filter((each) => {
      const isReplaced = !change.preservesInstalled && names.has(each.parsedName.name) && !each.isKept;
      if (isReplaced) tell(run, `replacing old '${each.name}'`);
      return !isReplaced;
    });
    for (const each of added) tell(run, `installing '${each.name}'`);
    return [...added, ...kept];
  });
}

/** `nix-env --upgrade`. */
export async function upgradePackages(run: ProfileChange): Promise<number> {
  const available = await prebuilt(run, chosenPackages(run, false));
  return await changeProfile(run, available, (installed) =>
    installed.map((each) => {
      try {
        const better = each.isKept ? undefined : upgradeOf(each, available, run.change.upgrade);
        if (better === undefined || better.outPath === each.outPath) return each;
        const isUp = compareVersions(each.parsedName.version, better.parsedName.version) <= 0;
        tell(run, `${isUp ? "upgrading" : "downgrading"} '${each.name}' to '${better.name}'`);
        return better;
      } catch (error) {
        throw addFrame(error, `while trying to find an upgrade for '${each.name}'`);
      }
    }),
  );
}

/** `nix-env --uninstall`. */
export async function uninstallPackages(run: ProfileChange): Promise<number> {
  return await changeProfile(run, [], (installed) => {
    let left = installed;
    for (const word of run.words) {
      const isHit = word.includes("/") ? pathMatcher(run, word) : packageMatcher(bytesOfText(word));
      const removed = left.filter(isHit);
      if (removed.length === 0)
        say(bytesOfText(`warning: selector '${word}' matched no installed derivations`));
      for (const each of removed) tell(run, `uninstalling '${each.name}'`);
      left = left.filter((each) => !removed.includes(each));
    }
    return left;
  });
}

/** `nix-env --set-flag NAME VALUE SELECTOR…`. */
export async function setPackageFlag(run: ProfileChange): Promise<number> {
  const [flag, value, ...selectors] = run.words.map(bytesOfText);
  if (flag === undefined || value === undefined)
    throw usageError("nix-env", "not enough arguments to '--set-flag'");
  return await changeProfile(run, [], (installed) => {
    const hits = new Set<EnvPackage>();
    for (const selector of selectors) {
      const matching = installed.filter(packageMatcher(selector));
      if (matching.length === 0 && selector !== "*")
        throw new DevshellError("CLI_NOTHING_FOUND", `selector '${selector}' matches no derivations`);
      for (const each of matching) hits.add(each);
    }
    for (const each of installed) {
      if (!hits.has(each)) continue;
      tell(run, `setting flag on '${each.name}'`);
      each.setMeta(flag, value);
    }
    return installed;
  });
}

/** `nix-env --set`: the profile is one package, without a user environment. */
export async function setProfile(run: ProfileChange): Promise<number> {
  const [only, ...more] = chosenPackages(run, true);
  if (only === undefined || more.length > 0)
    throw new DevshellError("CLI_USAGE", "--set requires exactly one derivation");
  const status = await realisePackages(run.context, run.evaluation, [only], run.change.isDryRun);
  if (status !== 0 || run.change.isDryRun) return status;
  const profile = profileToChange(run.from.profile, run.context.settings);
  addGeneration(run.context.store, bytesOfText(profile), only.outPath);
  return 0;
}

function chosenPackages(run: ProfileChange, isNewestOnly: boolean): EnvPackage[] {
  const packages = packagesToInstall(run.context, run.evaluation, run.words, {
    change: run.change,
    from: run.from,
    isNewestOnly,
  });
  const { forcedName } = run.change;
  if (forcedName !== undefined) for (const each of packages) each.rename(bytesOfText(forcedName));
  return packages;
}

/**
 * Writes what `decide` makes of the installed packages, anew when someone else changes the profile meanwhile.
 * @param added what is told of with `--dry-run`
 */
async function changeProfile(
  run: ProfileChange,
  added: readonly EnvPackage[],
  decide: (installed: readonly EnvPackage[]) => readonly EnvPackage[],
): Promise<number> {
  const { context, evaluation, change, from } = run;
  const profile = profileToChange(from.profile, context.settings);
  for (;;) {
    const token = profileToken(bytesOfText(profile));
    const packages = decide(installedPackages(evaluation, profile));
    if (change.isDryRun) return await realisePackages(context, evaluation, added, true);
    const status = await installEnvironment(context, evaluation, packages, { profile, token });
    if (status !== undefined) return status;
    tell(run, bytesOfText(`profile '${profile}' changed while we were busy; restarting`));
  }
}

/** The available package of the same name that fits: of the highest priority, then of the newest version. */
function upgradeOf(
  each: EnvPackage,
  available: readonly EnvPackage[],
  upgrade: ChangeOptions["upgrade"],
): EnvPackage | undefined {
  const { name, version } = each.parsedName;
  let best: EnvPackage | undefined;
  for (const candidate of available) {
    // No upgrade to what would hide less.
    if (candidate.parsedName.name !== name || comparePriorities(each, candidate) > 0) continue;
    if (!isUpgrade(compareVersions(version, candidate.parsedName.version), upgrade)) continue;
    const order =
      best === undefined
        ? -1
        : comparePriorities(best, candidate) ||
          compareVersions(best.parsedName.version, candidate.parsedName.version);
    if (order < 0) best = candidate;
  }
  return best;
}

function isUpgrade(order: number, upgrade: ChangeOptions["upgrade"]): boolean {
  switch (upgrade) {
    case "lt":
      return order < 0;
    case "leq":
      return order <= 0;
    case "eq":
      return order === 0;
    case "always":
      return true;
  }
}

function pathMatcher({ context }: ProfileChange, word: string): (each: EnvPackage) => boolean {
  const path = storePathOf(context.settings.storeDir, word);
  return (each) => each.outPath === path;
}

/** With `--prebuilt-only`, those that need no build. */
async function prebuilt(
  { context, from }: ProfileChange,
  packages: readonly EnvPackage[],
): Promise<readonly EnvPackage[]> {
  if (!from.isPrebuiltOnly) return packages;
  const missing = packages.filter((each) => !context.store.isValidPath(each.outPath));
  const offered = await findSubstitutable(
    context.settings,
    missing.map((each) => each.outPath),
    (problem) => say(`warning: ${problem instanceof Error ? problem.message : String(problem)}`),
  );
  return packages.filter((each) => !missing.includes(each) || offered.has(each.outPath));
}

function tell({ flags }: ProfileChange, line: string): void {
  if (flags.verbosity >= 0) say(line);
}
