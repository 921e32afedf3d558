import type { StoreContext } from "../../../env/index.ts";
import type { DerivedPath, OutputName, StorePath } from "../../../store/index.ts";

/** A target's outputs, by name; a path in the store counts as `out`. */
export function builtPathsOf(context: StoreContext, target: DerivedPath): [OutputName, StorePath][] {
  if (target.kind === "opaque") return [["out", target.path]];
  const { drvPath, via = [], outputs } = target;
  const store = context.evalStore;
  const derivation = via.length === 0 ? drvPath : store.queryOutput({ drvPath, outputs: via });
  if (derivation === undefined || !store.isValidPath(derivation)) return [];
  return [...store.queryDerivationOutputs(derivation)].flatMap(([name, path]) =>
    path !== undefined && (outputs === "*" || outputs.includes(name)) ? [[name, path]] : [],
  );
}
