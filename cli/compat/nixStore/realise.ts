import { resolve } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import type { RealiseReport, StorePath } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { printLine, warnNoRoot } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { derivedPathOf } from "../storeArgument.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --realise`: makes paths valid and prints them. */
export async function realisePaths(operation: StoreOperation): Promise<number> {
  const given = switchesOf(operation, ["--dry-run", "--check", "--repair", "--ignore-unknown"]);
  using context = openContext(operation.flags);
  const { storeDir } = context.settings;
  let targets = operation.words.map((word) => derivedPathOf(storeDir, word));
  if (given.has("--ignore-unknown")) {
    const { plan } = await context.tryRealise(targets, { dryRun: true });
    const unknown = new Set(plan.unknown);
    targets = targets.filter(
      (target) => !unknown.has(target.kind === "built" ? target.drvPath : target.path),
    );
  }
  const report = await context.tryRealise(targets, {
    dryRun: given.has("--dry-run"),
    mode: given.has("--repair") ? "repair" : given.has("--check") ? "check" : "normal",
  });
  if (report.failures.length > 0) return reportFailures(report);
  if (given.has("--dry-run") || given.has("--ignore-unknown")) return 0;
  for (const [index, { target, outputs }] of report.results.entries())
    for (const line of rootedPaths(context, operation, { target, outputs }, index + 1))
      if (!operation.isSilent) printLine(line);
  return 0;
}

type RealiseResult = RealiseReport["results"][number];

/** What is printed of a target: its paths, or the links that root them. */
function rootedPaths(
  context: StoreContext,
  { root, flags }: StoreOperation,
  { target, outputs }: Pick<RealiseResult, "target" | "outputs">,
  number: number,
): string[] {
  const numbered = number === 1 ? root : `${root}-${number}`;
  const rooted = (path: StorePath, suffix: string): string => {
    if (root === undefined) {
      if (flags.isRootWarned) warnNoRoot();
      return path;
    }
    const link = bytesOfText(resolve(`${numbered}${suffix}`));
    context.store.addRoot(link, path);
    return link;
  };
  if (target.kind === "opaque") return [rooted(target.path, "")];
  const lines = [...outputs].map(([name, path]) => rooted(path, name === "out" ? "" : `-${name}`));
  return [...new Set(lines)].toSorted();
}
