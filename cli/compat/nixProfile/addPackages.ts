import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import { AttrSet, force, isDerivation, isInteger, isSameReference } from "../../../lang/index.ts";
import { FileConflict } from "../../../store/index.ts";
import type { Installable, Installables } from "../nix/installables.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { changeProfile, explainConflict, type ProfileRun } from "./changeProfile.ts";
import { nameOfElement } from "./elementName.ts";
import { DEFAULT_PRIORITY, addElement, sorted } from "./manifest.ts";
import type { ElementSource, ProfileElement, ProfileManifest } from "./types.ts";

/** `nix profile add`. @returns the exit status */
export async function addPackages(
  run: ProfileRun,
  { all, evaluation }: Installables,
  priority: number | undefined,
): Promise<number> {
  const { context } = run;
  const chosen = all.map((installable) => ({ installable, targets: installable.targets() }));
  if (all.some(({ value }) => value !== undefined)) evaluation().host.flush();
  const report = await context.tryRealise(chosen.flatMap(({ targets }) => targets));
  if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  const results = [...report.results];
  const added = chosen.map(({ installable, targets }): ProfileElement => {
    const paths = results.splice(0, targets.length).flatMap(({ outputs }) => [...outputs.values()]);
    return {
      storePaths: [...new Set(paths)].sort(),
      source: sourceOf(installable),
      isActive: true,
      priority: priority ?? priorityOf(installable) ?? DEFAULT_PRIORITY,
    };
  });
  let wanted: ProfileManifest = new Map();
  try {
    await changeProfile(run, (manifest) => {
      const elements = new Map(manifest);
      for (const element of added) {
        const name = nameOfElement(element);
        if (isThere(elements.get(name), element)) say(bytesOfText(`warning: '${name}' is already added`));
        else addElement(elements, name, element);
      }
      return (wanted = sorted(elements));
    });
  } catch (error) {
    throw error instanceof FileConflict ? explainConflict(error, wanted, run.command) : error;
  }
  return 0;
}

function isThere(existing: ProfileElement | undefined, added: ProfileElement): boolean {
  if (existing?.source === undefined || added.source === undefined) return false;
  return (
    existing.priority === added.priority &&
    existing.source.attrPath === added.source.attrPath &&
    isSameReference(existing.source.original, added.source.original)
  );
}

/** Only a flake's packages can be found again. */
function sourceOf({ flake, value, outputs }: Installable): ElementSource | undefined {
  const output = flake === undefined ? undefined : value?.();
  if (flake === undefined || output === undefined || !isDerivation(output.value)) return undefined;
  const { original, locked } = flake();
  return { original, locked, attrPath: textOfBytes(output.path.join(".")), outputs: sortedOutputs(outputs) };
}

function sortedOutputs(outputs: ElementSource["outputs"]): ElementSource["outputs"] {
  return outputs === undefined || outputs === "*" ? outputs : [...new Set(outputs)].sort();
}

/** What a flake's package says of itself, unless one of its outputs was chosen. */
function priorityOf({ flake, value }: Installable): number | undefined {
  const package_ = flake === undefined ? undefined : value?.().value;
  if (!(package_ instanceof AttrSet) || package_.has("outputSpecified")) return undefined;
  const meta = package_.get("meta");
  const forced = meta === undefined ? undefined : force(meta);
  const slot = forced instanceof AttrSet ? forced.get("priority") : undefined;
  const priority = slot === undefined ? undefined : force(slot);
  return priority !== undefined && isInteger(priority) ? Number(priority) : undefined;
}
