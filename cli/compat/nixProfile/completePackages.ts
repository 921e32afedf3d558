import { parseCommandLine } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { profileInUse } from "../nixEnv/profilePath.ts";
import { identifierOf } from "./elementName.ts";
import { readManifest } from "./manifest.ts";

/** The packages of the user's profile whose names begin so, each with what it was added as. */
export function packagesBeginning(prefix: string): string[] {
  const flags = parseCommandLine("nix profile", [], () => false);
  using context = openContext(flags, { isReadOnly: true });
  const manifest = readManifest(profileInUse(undefined, context.settings), context.settings.storeDir, () =>
    openCompatEvaluation(context, flags),
  );
  return [...manifest]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, element]) => `${name}\t${identifierOf(element)}`);
}
