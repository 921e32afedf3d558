import { bytesOfText } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { AttrSet, type Slot } from "../../../lang/index.ts";
import { isDerivationPath, storePathName } from "../../../store/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { storePathOf } from "../storeArgument.ts";
import type { ChangeOptions } from "./changeOptions.ts";
import { EnvPackage } from "./envPackage.ts";
import { findPackages } from "./findPackages.ts";
import { newestOnly } from "./newestOnly.ts";
import { availablePackages, installedPackages, loadExpressions } from "./packageSource.ts";
import type { QueryOptions } from "./queryOptions.ts";
import { selectPackages } from "./selectPackages.ts";

/** The packages that the words of `nix-env --install` mean. */
export function packagesToInstall(
  context: StoreContext,
  evaluation: CompatEvaluation,
  words: readonly string[],
  options: {
    readonly change: ChangeOptions;
    readonly from: Pick<QueryOptions, "file" | "systemFilter">;
    readonly isNewestOnly: boolean;
  },
): EnvPackage[] {
  const { evaluator, autoArguments } = evaluation;
  const { change, from } = options;
  const narrow = options.isNewestOnly
    ? (hits: readonly EnvPackage[]): readonly EnvPackage[] => newestOnly(hits, context.settings.config.system)
    : undefined;
  const search = (slot: Slot): EnvPackage[] =>
    findPackages(evaluator, slot, { autoArguments, prefix: "", skipsFailures: true });
  switch (change.source) {
    case "names":
      if (words[0]?.includes("/") === true)
        return words.map((word) => packageOfPath(context, evaluation, word));
      return selectPackages(
        availablePackages(context, evaluation, { file: from.file, attribute: "", system: from.systemFilter }),
        words,
        narrow,
      );
    case "profile":
      return selectPackages(installedPackages(evaluation, change.fromProfile), words, narrow);
    case "expressions": {
      const root = loadExpressions(context, evaluation, from.file);
      return words.flatMap((text) =>
        search(evaluator.call(evaluation.evaluate({ kind: "text", text }), root)),
      );
    }
    case "attributes": {
      const root = loadExpressions(context, evaluation, from.file);
      return words.flatMap((path) =>
        search(evaluator.selectAttrPath(root, bytesOfText(path), autoArguments).slot),
      );
    }
  }
}

/** A store path that is installed as it is: a `.drv` stands for its output `out`. */
function packageOfPath(context: StoreContext, { evaluator }: CompatEvaluation, word: string): EnvPackage {
  const path = storePathOf(context.settings.storeDir, word);
  const name = storePathName(path);
  const fields = new Map<string, Slot>();
  if (isDerivationPath(path)) {
    fields.set("name", name.replace(/\.drv$/, ""));
    fields.set("drvPath", path);
    const outPath = context.store.queryDerivationOutputs(path).get("out");
    if (outPath !== undefined) fields.set("outPath", outPath);
  } else {
    fields.set("name", name);
    fields.set("outPath", path);
  }
  return new EnvPackage(evaluator.runtime, "", AttrSet.fromMap(fields));
}
