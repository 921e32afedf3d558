import type { StoreContext } from "../../../env/index.ts";
import type { DerivedPath, OutputName, StorePath } from "../../../store/index.ts";

/** A target's outputs, by name; a path in the store counts as `out`. */
export function builtPathsOf(context: StoreContext, target: DerivedPath): [OutputName, StorePath][] {
  if (target.kind === "opaque") return [["out", target.path]];
  const { outputs } = target;
  return [...context.store.queryDerivationOutputs(target.drvPath)].flatMap(([name, path]) =>
    path !== undefined && (outputs === "*" || outputs.includes(name)) ? [[name, path]] : [],
  );
}
