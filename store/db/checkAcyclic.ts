import { DevshellError } from "../../core/index.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";

/** Outputs of one derivation may refer to each other, but not in a circle: neither could then ever be deleted. */
export function checkAcyclic(infos: readonly ValidPathInfo[]): void {
  const byPath = new Map(infos.map((info) => [info.path, info]));
  const state = new Map<StorePath, "open" | "done">();
  // Iterative: a whole closure may be registered at once, and chains are long.
  for (const root of infos) {
    const stack: { readonly info: ValidPathInfo; next: number }[] = [];
    const enter = (info: ValidPathInfo): void => {
      state.set(info.path, "open");
      stack.push({ info, next: 0 });
    };
    if (!state.has(root.path)) enter(root);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const reference = frame.info.references[frame.next++];
      if (reference === undefined) {
        state.set(frame.info.path, "done");
        stack.pop();
        continue;
      }
      const target = byPath.get(reference);
      if (target === undefined || target === frame.info || state.get(reference) === "done") continue;
      if (state.get(reference) === "open")
        throw new DevshellError(
          "STORE_REFERENCE_CYCLE",
          `Cannot register "${reference}" and "${frame.info.path}": they refer to each other`,
        );
      enter(target);
    }
  }
}
