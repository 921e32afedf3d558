import { bytesOfText } from "../../../core/index.ts";
import { parseCommandLine } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { profileInUse } from "../nixEnv/profilePath.ts";
import { printLine } from "../output.ts";
import { identifierOf } from "./elementName.ts";
import { readManifest } from "./manifest.ts";

/** Prints the packages of the user's profile whose names begin so, in the form that Nix's completions read. */
export function completePackages(prefix: string): number {
  const flags = parseCommandLine("nix profile", [], () => false);
  using context = openContext(flags, { isReadOnly: true });
  const manifest = readManifest(profileInUse(undefined), context.settings.storeDir, () =>
    openCompatEvaluation(context, flags),
  );
  printLine("normal");
  for (const [name, element] of manifest)
    if (name.startsWith(prefix)) printLine(bytesOfText(`${name}\t${identifierOf(element)}`));
  return 0;
}
