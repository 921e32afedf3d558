import type { StoreContext } from "../../../env/index.ts";
import { formatDrvOutput, parseDrvOutput, realisationJson, type DerivedPath } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { printLine } from "../output.ts";
import { realisedTargets } from "./realisations.ts";

/** `nix store build-trace info`: which paths the outputs of derivations turned out to have. */
export function printBuildTrace(
  { store }: StoreContext,
  targets: readonly DerivedPath[],
  isJson: boolean,
): number {
  const { paths, realisations } = realisedTargets(store, targets);
  if (isJson)
    printLine(
      JSON.stringify([
        ...[...paths].map((path) => ({ opaquePath: path })),
        ...realisations.map(realisationJson),
      ]),
    );
  else {
    for (const path of paths) printLine(path);
    for (const realisation of realisations)
      printLine(`${formatDrvOutput(realisation)} ${realisation.outputPath}`);
  }
  return 0;
}

/** `nix store build-trace delete`: forgets them; what is built again may turn out otherwise. */
export function deleteBuildTraces({ store }: StoreContext, words: readonly string[]): number {
  if (words.length === 0) throw usageError("nix store build-trace delete", "name outputs: /…/….drv^out");
  for (const { drvPath, output } of words.map((word) => parseDrvOutput(store.storeDir, word)))
    store.deleteRealisation(drvPath, output);
  return 0;
}
