import { textOfBytes } from "../../core/index.ts";
import { isDerivationPath, storePathName, type LocalStore, type StorePath } from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";
import { openStore } from "../openStore.ts";
import { PROTOCOL, type ClosureReport } from "../protocol/index.ts";
import { formatBytes } from "../tui/index.ts";

/** `devshell closure`: the store paths that an environment needs when it is used; what builds it is left out. */
export async function run(invocation: Invocation): Promise<number> {
  const { environment } = await openEnvironment(invocation);
  using store = openStore(invocation.flags);
  const report = closureReport(store, environment.roots);
  if (invocation.flags.has("json")) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    const bySize = [...report.paths].sort((a, b) => b.narSizeBytes - a.narSizeBytes);
    for (const { path, narSizeBytes } of bySize)
      process.stdout.write(`${formatBytes(narSizeBytes).padStart(9)}  ${path}\n`);
    const total = report.paths.reduce((sum, { narSizeBytes }) => sum + narSizeBytes, 0);
    process.stdout.write(`${formatBytes(total).padStart(9)}  in all\n`);
  }
  return 0;
}

function closureReport(store: LocalStore, roots: readonly StorePath[]): ClosureReport {
  const used = roots.filter((path) => !isDerivationPath(path) && store.isValidPath(path));
  const paths = store
    .closureOf(used)
    .map((path) => store.pathInfo(path))
    .map(({ path, narSizeBytes, references }) => ({
      path: textOfBytes(path),
      name: storePathName(path),
      narSizeBytes,
      references: [...references].map(textOfBytes),
    }));
  return {
    protocol: PROTOCOL,
    storeDir: textOfBytes(store.storeDir),
    roots: used.map(textOfBytes),
    paths: paths.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}
