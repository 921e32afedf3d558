import { textOfBytes } from "../../core/index.ts";
import { linkedTreesOf, type BuildEnvironment } from "../../env/index.ts";
import { isDerivationPath, storePathName, type Store } from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";
import { openStore } from "../openStore.ts";
import { PROTOCOL, type ClosurePath, type ClosureReport } from "../protocol/index.ts";
import { formatBytes } from "../tui/index.ts";

/**
 * `devshell closure`: the store paths that an environment needs when it is used, and the packages that share their
 * files with them; what builds it is left out.
 */
export async function run(invocation: Invocation): Promise<number> {
  const { environment } = await openEnvironment(invocation);
  using store = openStore(invocation.flags);
  const report = closureReport(store, environment);
  process.stdout.write(
    invocation.flags.has("json") ? `${JSON.stringify(report, null, 2)}\n` : closureText(report),
  );
  return 0;
}

function closureReport(
  store: Store,
  { roots, drvPath }: Pick<BuildEnvironment, "roots" | "drvPath">,
): ClosureReport {
  const used = roots.filter((path) => !isDerivationPath(path) && store.isValidPath(path));
  const trees = linkedTreesOf(store, drvPath);
  const needed = store.closureOf(used);
  const linked = needed.flatMap((path) => trees.get(path)?.linkedFrom ?? []);
  const paths = store
    .closureOf([...new Set([...needed, ...linked])])
    .map((path) => store.pathInfo(path))
    .map(({ path, narSizeBytes, references }): ClosurePath => {
      const tree = trees.get(path);
      return {
        path: textOfBytes(path),
        name: storePathName(path),
        narSizeBytes,
        ownSizeBytes: tree?.ownSizeBytes,
        references: [...references].map(textOfBytes),
        linkedFrom: tree?.linkedFrom.map(textOfBytes),
      };
    });
  return {
    protocol: PROTOCOL,
    storeDir: textOfBytes(store.storeDir),
    roots: used.map(textOfBytes),
    paths: paths.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** The largest first; each file counts once. */
function closureText({ paths }: ClosureReport): string {
  const bySize = [...paths].sort((a, b) => ownSizeBytes(b) - ownSizeBytes(a));
  const lines = bySize.map((each) => {
    const count = each.linkedFrom?.length ?? 0;
    const whole = count === 0 ? "" : `  (${formatBytes(each.narSizeBytes)} with links into ${count} others)`;
    return `${formatBytes(ownSizeBytes(each)).padStart(9)}  ${each.path}${whole}\n`;
  });
  const total = paths.reduce((sum, each) => sum + ownSizeBytes(each), 0);
  return `${lines.join("")}${formatBytes(total).padStart(9)}  in all\n`;
}

function ownSizeBytes(path: ClosurePath): number {
  return path.ownSizeBytes ?? path.narSizeBytes;
}
