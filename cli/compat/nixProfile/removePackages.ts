import { bytesOfText } from "../../../core/index.ts";
import { say } from "../output.ts";
import { changeProfile, type ProfileRun } from "./changeProfile.ts";
import { identifierOf } from "./elementName.ts";
import { matchingNames, type Matcher } from "./matchers.ts";

/** `nix profile remove`. @returns the exit status */
export async function removePackages(run: ProfileRun, matchers: readonly Matcher[]): Promise<number> {
  await changeProfile(run, (manifest) => {
    const names = matchingNames(manifest, matchers);
    if (names.size === 0) {
      say("warning: No packages to remove. Use 'nix profile list' to see the current profile.");
      return undefined;
    }
    const kept = [...manifest].filter(([name]) => !names.has(name));
    for (const [name, element] of manifest)
      if (names.has(name)) tell(run, `removing '${identifierOf(element)}'`);
    tell(run, `removed ${names.size} packages, kept ${kept.length} packages`);
    return new Map(kept);
  });
  return 0;
}

function tell({ flags }: ProfileRun, line: string): void {
  if (flags.verbosity >= 0) say(bytesOfText(line));
}
