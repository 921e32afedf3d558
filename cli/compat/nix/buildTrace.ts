import { DevshellError } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import {
  formatDrvOutput,
  parseDrvOutput,
  queryOutput,
  realisationJson,
  type DerivedPath,
  type Realisation,
  type StorePath,
} from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { printLine } from "../output.ts";

/** `nix store build-trace info`: which paths the outputs of derivations turned out to have. */
export function printBuildTrace(
  context: StoreContext,
  targets: readonly DerivedPath[],
  isJson: boolean,
): number {
  const realisations = new Map<string, Realisation>();
  const paths = new Set<StorePath>();
  for (const target of targets) for (const path of outputsOf(context, target, realisations)) paths.add(path);
  if (isJson)
    printLine(
      JSON.stringify([
        ...[...paths].map((path) => ({ opaquePath: path })),
        ...[...realisations.values()].map(realisationJson),
      ]),
    );
  else {
    for (const path of paths) printLine(path);
    for (const realisation of realisations.values())
      printLine(`${formatDrvOutput(realisation)} ${realisation.outputPath}`);
  }
  return 0;
}

/** `nix store build-trace delete`: forgets them; what is built again may turn out otherwise. */
export function deleteBuildTraces(context: StoreContext, words: readonly string[]): number {
  if (words.length === 0) throw usageError("nix store build-trace delete", "name outputs: /…/….drv^out");
  const { storeDir } = context.settings;
  for (const { drvPath, output } of words.map((word) => parseDrvOutput(storeDir, word)))
    context.store.deleteRealisation(drvPath, output);
  return 0;
}

function outputsOf(
  { store, settings }: StoreContext,
  target: DerivedPath,
  realisations: Map<string, Realisation>,
): readonly StorePath[] {
  if (target.kind === "opaque") return [target.path];
  const { drvPath, via = [], outputs } = target;
  const inner = via.length === 0 ? drvPath : store.queryOutput({ drvPath, outputs: via });
  if (inner === undefined) throw unbuilt(drvPath, via.at(-1) ?? "");
  const source = {
    storeDir: settings.storeDir,
    readDerivation: (path: StorePath) => store.readDerivation(path),
    queryRealisation: (path: StorePath, output: string) => {
      const realisation = store.queryRealisation(path, output);
      if (realisation !== undefined) realisations.set(formatDrvOutput(realisation), realisation);
      return realisation;
    },
  };
  const names = outputs === "*" ? [...store.readDerivation(inner).outputs.keys()] : outputs;
  return names.map((output) => {
    const path = queryOutput(source, { drvPath: inner, outputs: [output] });
    if (path === undefined) throw unbuilt(inner, output);
    return path;
  });
}

function unbuilt(drvPath: StorePath, output: string): DevshellError {
  return new DevshellError(
    "STORE_UNBUILT",
    `cannot operate on output '${output}' of the unbuilt derivation '${drvPath}'`,
  );
}
