import { DevshellError } from "../../../core/index.ts";
import {
  formatDrvOutput,
  queryOutput,
  type DerivedPath,
  type Realisation,
  type Store,
  type StorePath,
} from "../../../store/index.ts";

export interface RealisedTargets {
  readonly paths: ReadonlySet<StorePath>;
  /** All that had to be known to find the paths. */
  readonly realisations: readonly Realisation[];
}

/**
 * Where what was built lies, and how that is known.
 * @throws {DevshellError} `STORE_UNBUILT`
 */
export function realisedTargets(store: Store, targets: readonly DerivedPath[]): RealisedTargets {
  const realisations = new Map<string, Realisation>();
  const source = {
    storeDir: store.storeDir,
    readDerivation: (path: StorePath) => store.readDerivation(path),
    queryRealisation: (path: StorePath, output: string) => {
      const realisation = store.queryRealisation(path, output);
      if (realisation !== undefined) realisations.set(formatDrvOutput(realisation), realisation);
      return realisation;
    },
  };
  const pathsOf = (target: DerivedPath): readonly StorePath[] => {
    if (target.kind === "opaque") return [target.path];
    const { drvPath, via = [], outputs } = target;
    const inner = via.length === 0 ? drvPath : queryOutput(source, { drvPath, outputs: via });
    if (inner === undefined) throw unbuilt(drvPath, via.at(-1) ?? "");
    const names = outputs === "*" ? [...store.readDerivation(inner).outputs.keys()] : outputs;
    return names.map((output) => {
      const path = queryOutput(source, { drvPath: inner, outputs: [output] });
      if (path === undefined) throw unbuilt(inner, output);
      return path;
    });
  };
  const paths = new Set(targets.flatMap(pathsOf));
  return { paths, realisations: [...realisations.values()] };
}

function unbuilt(drvPath: StorePath, output: string): DevshellError {
  return new DevshellError(
    "STORE_UNBUILT",
    `cannot operate on output '${output}' of the unbuilt derivation '${drvPath}'`,
  );
}
