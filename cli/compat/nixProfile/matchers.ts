import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { isStorePath } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { say } from "../output.ts";
import { identifierOf } from "./elementName.ts";
import type { ProfileElement, ProfileManifest } from "./types.ts";

/** Chooses packages of a profile. */
export interface Matcher {
  readonly title: string;
  readonly isAll?: boolean | undefined;
  matches(name: string, element: ProfileElement): boolean;
}

export const MATCH_ALL: Matcher = { title: "--all", isAll: true, matches: () => true };

/** Of an element's whole installable, whatever the case. */
export function regexMatcher(pattern: string): Matcher {
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${pattern})$`, "i");
  } catch (cause) {
    throw new DevshellError("CLI_USAGE", `Cannot match "${pattern}": it is no regular expression`, { cause });
  }
  return {
    title: `Regex '${pattern}'`,
    matches: (_, element) => expression.test(identifierOf(element)),
  };
}

/** A package's name, or a store path of one. */
export function wordMatcher(word: string, storeDir: string): Matcher {
  if (/^\d+$/.test(word))
    throw new DevshellError("CLI_USAGE", `'nix profile' no longer supports indices ('${word}')`);
  if (isStorePath(storeDir, word))
    return {
      title: `Store path '${word.slice(storeDir.length + 1)}'`,
      matches: (_, { storePaths }) => storePaths.includes(word),
    };
  return { title: `Package name '${word}'`, matches: (name) => name === word };
}

/** The names of the packages that are meant; what matches nothing is said. */
export function matchingNames(manifest: ProfileManifest, matchers: readonly Matcher[]): ReadonlySet<string> {
  if (matchers.length === 0) throw usageError("nix", "No packages specified.");
  if (matchers.length > 1 && matchers.some(({ isAll }) => isAll === true))
    throw usageError("nix", "--all cannot be used with package names or regular expressions.");
  const names = new Set<string>();
  if (manifest.size === 0) {
    say("warning: There are no packages in the profile.");
    return names;
  }
  for (const matcher of matchers) {
    const hits = [...manifest].filter(([name, element]) => matcher.matches(name, element));
    if (hits.length === 0)
      say(bytesOfText(`warning: ${matcher.title} does not match any packages in the profile.`));
    for (const [name] of hits) names.add(name);
  }
  return names;
}
