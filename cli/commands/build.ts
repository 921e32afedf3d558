import { resolve } from "node:path";
import { bytesOfText, textOfBytes } from "../../core/index.ts";
import { createStoreContext, instantiateDerivations } from "../../env/index.ts";
import type { StoreContext } from "../../env/index.ts";
import { isInStore, splitStorePath } from "../../store/index.ts";
import type { DerivedPath, RealiseReport } from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { requestOf, settingsOf } from "../request.ts";
import { withDisplay } from "../withDisplay.ts";

/** `devshell build`: realises derivations, links their outputs and prints them. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const label = [...words, ...flags.values("file"), ...flags.values("attr")].join(" ") || "default.nix";
  const report = await withDisplay(flags, label.slice(0, 60), false, async ({ onEvent, signal }) => {
    using context = createStoreContext({ settings: settingsOf(flags), onEvent, signal });
    const targets = await targetsOf(context, words, flags);
    onEvent({ kind: "stage", stage: "realise" });
    const done = await context.tryRealise(targets, { dryRun: flags.has("dryRun") });
    if (done.failures.length === 0 && !flags.has("dryRun") && !flags.has("noOutLink"))
      linkResults(context, done, flags.value("outLink") ?? "result");
    return done;
  });
  const [failure] = report.failures;
  if (failure !== undefined) {
    const { printError } = await import("../printError.ts");
    for (const each of report.failures) printError(each, { hasTrace: flags.has("showTrace") });
    return 1;
  }
  printReport(report, flags);
  return 0;
}

async function targetsOf(
  context: StoreContext,
  words: readonly string[],
  flags: Invocation["flags"],
): Promise<DerivedPath[]> {
  const { storeDir } = context.store;
  const isStorePath = (word: string): boolean =>
    isInStore(storeDir, bytesOfText(resolve(word))) && !word.endsWith(".drv");
  const opaque = flags.has("expr") ? [] : words.filter(isStorePath);
  const rest = words.filter((word) => !opaque.includes(word));
  const targets: DerivedPath[] = opaque.map((word) => ({
    kind: "opaque",
    path: splitStorePath(storeDir, bytesOfText(resolve(word))).storePath,
  }));
  if (rest.length === 0 && opaque.length > 0) return targets;
  const found = await instantiateDerivations(context, requestOf(rest, flags), {
    isShell: false,
    showTrace: flags.has("showTrace"),
  });
  return [
    ...targets,
    ...found.map(({ drvPath, outputName }): DerivedPath => ({
      kind: "built",
      drvPath,
      outputs: outputName === "*" ? "*" : [outputName],
    })),
  ];
}

/** `result`, `result-2`, … and `result-dev` for outputs that are not `out`, as nix-build names them. */
function linkResults(context: StoreContext, report: RealiseReport, base: string): void {
  report.results.forEach(({ outputs }, index) => {
    for (const [output, path] of outputs) {
      const numbered = index === 0 ? base : `${base}-${index + 1}`;
      context.store.addRoot(
        bytesOfText(resolve(output === "out" ? numbered : `${numbered}-${output}`)),
        path,
      );
    }
  });
}

function printReport(report: RealiseReport, flags: Invocation["flags"]): void {
  if (flags.has("json")) {
    const results = report.results.map(({ target, outputs }) => ({
      ...(target.kind === "built" ? { drvPath: target.drvPath } : {}),
      outputs: Object.fromEntries(outputs),
    }));
    process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
    return;
  }
  const paths = new Set(report.results.flatMap(({ outputs }) => [...outputs.values()]));
  for (const path of paths) process.stdout.write(`${textOfBytes(path)}\n`);
}
