import type { StoreContext } from "../../../env/index.ts";
import { makeContentAddressed, narChunks, type DerivedPath, type StorePath } from "../../../store/index.ts";
import { printLine, say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";

/** `nix store make-content-addressed`: within the store that the command opened. */
export async function rewriteToContent(
  context: StoreContext,
  targets: readonly DerivedPath[],
  isJson: boolean,
): Promise<number> {
  const report = await context.tryRealise(targets);
  if (report.failures.length > 0) return reportFailures(report);
  const { store } = context;
  const roots = report.results.flatMap(({ outputs }) => [...outputs.values()]);
  const source = {
    storeDir: store.storeDir,
    references: (path: StorePath) => Promise.resolve(store.pathInfo(path).references),
    nar: (path: StorePath) => Promise.resolve(narChunks(store.realPath(path))),
  };
  const made = await makeContentAddressed(source, store, roots, (from, to) =>
    say(`rewriting '${from}' to '${to}'`),
  );
  const rewrites = roots.map((root) => [root, made.get(root) ?? root] as const);
  if (isJson) printLine(JSON.stringify({ rewrites: Object.fromEntries(rewrites) }));
  else for (const [from, to] of rewrites) say(`rewrote '${from}' to '${to}'`);
  return 0;
}
