import type { Derivation, OutputName, StorePath } from "../../types.ts";
import type { RealiseStore } from "../storePort.ts";

/** Outputs by name; `*` wants all. */
export type WantedOutputs = readonly OutputName[] | "*";

export type OutputPaths = ReadonlyMap<OutputName, StorePath>;

/** The wanted outputs' paths as the derivation says them; `undefined` where they are known only after the build. */
export function outputPathsOf(derivation: Derivation, wanted: WantedOutputs): OutputPaths | undefined {
  return pathsOf(derivation, wanted, () => undefined);
}

/** As {@link outputPathsOf}, also by what earlier builds had; never those of an impure derivation. */
export function knownOutputPathsOf(
  store: RealiseStore,
  drvPath: StorePath,
  derivation: Derivation,
  wanted: WantedOutputs,
): OutputPaths | undefined {
  let found: ReadonlyMap<OutputName, StorePath | undefined> | undefined;
  return pathsOf(derivation, wanted, (name) => {
    if (derivation.outputs.get(name)?.kind === "impure") return undefined;
    // What has no inputs to be resolved may be there only in memory.
    if (derivation.inputDrvs.size === 0) return store.queryRealisation(drvPath, name)?.outputPath;
    found ??= store.queryDerivationOutputs(drvPath);
    return found.get(name);
  });
}

/** Those of some outputs that are wanted. */
export function selectOutputs(paths: OutputPaths, wanted: WantedOutputs): OutputPaths {
  return wanted === "*" ? paths : new Map([...paths].filter(([name]) => wanted.includes(name)));
}

function pathsOf(
  derivation: Derivation,
  wanted: WantedOutputs,
  find: (name: OutputName) => StorePath | undefined,
): OutputPaths | undefined {
  const paths = new Map<OutputName, StorePath>();
  for (const [name, output] of derivation.outputs) {
    if (wanted !== "*" && !wanted.includes(name)) continue;
    const path = "path" in output ? output.path : find(name);
    if (path === undefined) return undefined;
    paths.set(name, path);
  }
  return paths;
}
