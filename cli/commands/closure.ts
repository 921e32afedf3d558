import { writeFileSync } from "node:fs";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import { linkedTreesAmong, linkedTreesOf } from "../../env/index.ts";
import {
  graphOf,
  isDerivationPath,
  isInStore,
  storePathName,
  type Store,
  type StorePath,
} from "../../store/index.ts";
import { ClosureModel, type ClosureNode } from "../closure/closureModel.ts";
import { inStore, storePathOf } from "../compat/storeArgument.ts";
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
  const { flags } = invocation;
  if (flags.has("browse") && !(process.stdin.isTTY && process.stdout.isTTY))
    throw new DevshellError("CLI_NO_TERMINAL", "Cannot browse: there is no terminal", {
      hint: "`devshell closure` without --browse prints a list",
    });
  const { report, dead } = await readClosure(invocation);
  const svg = flags.value("svg");
  if (flags.has("browse")) {
    const { openClosureBrowser } = await import("../closure/openClosureBrowser.tsx");
    await openClosureBrowser(new ClosureModel(nodesOf(report, dead), report.roots));
  } else if (svg !== undefined) {
    const { treemapSvg } = await import("../closure/treemapSvg.ts");
    const total = formatBytes(report.paths.reduce((sum, each) => sum + ownSizeBytes(each), 0));
    const title = `${total} in ${report.paths.length} paths of ${report.storeDir}`;
    const legend = dead.size === 0 ? "" : ` (grey: ${dead.size} that nothing needs)`;
    writeFileSync(svg, treemapSvg(`${title}${legend}`, nodesOf(report, dead)));
    process.stdout.write(`${title}: ${svg}\n`);
  } else
    process.stdout.write(flags.has("json") ? `${JSON.stringify(report, null, 2)}\n` : closureText(report));
  return 0;
}

interface Closure {
  readonly report: ClosureReport;
  /** Paths of it that nothing keeps. */
  readonly dead: ReadonlySet<string>;
}

async function readClosure(invocation: Invocation): Promise<Closure> {
  const { flags, words } = invocation;
  if (flags.has("all")) {
    if (words.length > 0) throw new DevshellError("CLI_USAGE", "Cannot take both --all and words");
    using store = openStore(flags);
    const { graph } = graphOf(store);
    const live = new Set<StorePath>();
    graph.mark(store.findRoots().keys(), live);
    const paths = store.allValidPaths();
    return {
      report: reportOf(store, [], paths, linkedTreesAmong(store, paths)),
      dead: new Set(paths.filter((path) => !live.has(path)).map(textOfBytes)),
    };
  }
  const named = storePathsOf(invocation);
  if (named !== undefined) {
    using store = openStore(flags);
    return { report: reportOf(store, named, store.closureOf(named), new Map()), dead: new Set() };
  }
  const { environment } = await openEnvironment(invocation);
  using store = openStore(flags);
  const { roots, drvPath } = environment;
  const used = roots.filter((path) => !isDerivationPath(path) && store.isValidPath(path));
  const trees = linkedTreesOf(store, drvPath);
  const needed = store.closureOf(used);
  const linked = needed.flatMap((path) => trees.get(path)?.linkedFrom ?? []);
  const paths = store.closureOf([...new Set([...needed, ...linked])]);
  return { report: reportOf(store, used, paths, trees), dead: new Set() };
}

/** What the words name, where they are paths of the store and not specs. */
function storePathsOf({ words, flags }: Invocation): StorePath[] | undefined {
  if (words.length === 0 || flags.has("expr") || flags.has("packages")) return undefined;
  using store = openStore(flags);
  const { storeDir } = store;
  if (!words.every((word) => word.includes("/") && isInStore(storeDir, inStore(storeDir, word))))
    return undefined;
  const paths = words.map((word) => storePathOf(storeDir, word));
  // A derivation is a spec: what it builds is meant.
  return paths.some(isDerivationPath) ? undefined : paths;
}

function reportOf(
  store: Store,
  roots: readonly StorePath[],
  paths: readonly StorePath[],
  trees: ReturnType<typeof linkedTreesOf>,
): ClosureReport {
  const shown = paths
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
    roots: roots.map(textOfBytes),
    paths: shown.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

function nodesOf({ paths }: ClosureReport, dead: ReadonlySet<string>): ClosureNode[] {
  return paths.map((each) => ({
    path: each.path,
    name: each.name,
    sizeBytes: ownSizeBytes(each),
    references: [...each.references, ...(each.linkedFrom ?? [])],
    isDead: dead.has(each.path),
  }));
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
