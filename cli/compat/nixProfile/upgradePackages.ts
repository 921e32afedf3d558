import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import { findFlakeOutput, type LockOptions } from "../../../env/index.ts";
import { isLockedReference, isSameReference, showReference } from "../../../lang/index.ts";
import type { DerivedPath } from "../../../store/index.ts";
import { lockOptions, openFlakeOutputs, type FlakeFlags } from "../nix/flakeOutputs.ts";
import { targetOfFlakeOutput } from "../nix/targets.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { changeProfile, type ProfileRun } from "./changeProfile.ts";
import { identifierOf } from "./elementName.ts";
import { matchingNames, type Matcher } from "./matchers.ts";
import type { ElementSource, ProfileElement, ProfileManifest } from "./types.ts";

/** `nix profile upgrade`: looks into each package's flake again. @returns the exit status */
export async function upgradePackages(
  run: ProfileRun,
  matchers: readonly Matcher[],
  { flake, isDryRun }: { readonly flake: FlakeFlags; readonly isDryRun: boolean },
): Promise<number> {
  let status = 0;
  await changeProfile(run, async (manifest) => {
    const names = matchingNames(manifest, matchers);
    if (names.size === 0) {
      say("warning: No packages to upgrade. Use 'nix profile list' to see the current profile.");
      return undefined;
    }
    const found = findUpgrades(run, manifest, names, flake);
    if (found === undefined) {
      say("warning: Found some packages but none of them could be upgraded.");
      return undefined;
    }
    if (isDryRun) return undefined;
    const report = await run.context.tryRealise([...found.values()].map(({ target }) => target));
    if (report.failures.length > 0) {
      status = reportFailures(report) > 0 ? 1 : 0;
      return undefined;
    }
    const upgraded = new Map(manifest);
    [...found].forEach(([name, { element, source }], index) => {
      const paths = report.results[index]?.outputs.values() ?? [];
      upgraded.set(name, { ...element, source, storePaths: [...new Set(paths)].sort() });
    });
    return upgraded;
  });
  return status;
}

interface Upgrade {
  readonly element: ProfileElement;
  readonly source: ElementSource;
  readonly target: DerivedPath;
}

/** @returns `undefined` where no package comes from a flake that can change */
function findUpgrades(
  run: ProfileRun,
  manifest: ProfileManifest,
  names: ReadonlySet<string>,
  flags: FlakeFlags,
): ReadonlyMap<string, Upgrade> | undefined {
  const upgrades = new Map<string, Upgrade>();
  let isAnyOpen = false;
  for (const [name, element] of manifest) {
    if (!names.has(name)) continue;
    const { source } = element;
    const whyNot =
      source === undefined
        ? "it was not added from a flake, so it can't be checked for upgrades!"
        : isLockedReference(source.original)
          ? "it was added from a locked flake reference so it can't be upgraded!"
          : undefined;
    if (source === undefined || whyNot !== undefined) {
      say(bytesOfText(`warning: Found package '${identifierOf(element)}', but ${whyNot ?? ""}`));
      continue;
    }
    isAnyOpen = true;
    const upgrade = findUpgrade(run, element, source, lockOptions(run.context, run.evaluation(), flags));
    if (upgrade !== undefined) upgrades.set(name, upgrade);
  }
  if (upgrades.size > 0) run.evaluation().host.flush();
  return isAnyOpen ? upgrades : undefined;
}

function findUpgrade(
  { context, evaluation }: ProfileRun,
  element: ProfileElement,
  source: ElementSource,
  options: LockOptions,
): Upgrade | undefined {
  const flake = openFlakeOutputs(context, evaluation(), source.original, options);
  if (isLockedReference(flake.locked) && isSameReference(flake.locked, source.locked)) return undefined;
  const output = findFlakeOutput(flake.outputs, flake.shown, [source.attrPath]);
  const shown = (reference: ElementSource["locked"]): string => showReference(reference);
  say(
    `upgrading '${bytesOfText(source.attrPath)}' from flake '${shown(source.locked)}' to '${shown(flake.locked)}'`,
  );
  return {
    element,
    source: { ...source, locked: flake.locked, attrPath: textOfBytes(output.path.join(".")) },
    target: targetOfFlakeOutput(context, evaluation(), output, source.outputs),
  };
}
