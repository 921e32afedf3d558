import { bytesOfText } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { AttrSet, ContextString, printAmbiguous, type Slot } from "../../../lang/index.ts";
import { addGeneration, type DerivedPath, type StorePath } from "../../../store/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { reportFailures } from "../reportFailures.ts";
import type { EnvPackage } from "./envPackage.ts";

/** The derivation that Nix makes of a user environment, attribute for attribute. */
const BUILDER = `derivation {
  name = "user-environment"; system = "builtin"; builder = "builtin:buildenv";
  inherit manifest;
  derivations = map (package:
    [ (package.meta.active or "true") (package.meta.priority or 5) (builtins.length package.outputs) ]
    ++ map (output: package.\${output}) package.outputs) packages;
  preferLocalBuild = true; allowSubstitutes = false;
}`;

/** Builds packages, or fetches them. @returns the exit status */
export async function realisePackages(
  context: StoreContext,
  evaluation: CompatEvaluation,
  packages: readonly EnvPackage[],
  isDryRun = false,
): Promise<number> {
  const targets = packages.flatMap((each): DerivedPath[] => {
    const { drvPath } = each;
    if (drvPath !== undefined) return [{ kind: "built", drvPath, outputs: "*" }];
    return each.outputsToInstall().map(([, path]) => ({ kind: "opaque", path: path ?? each.outPath }));
  });
  evaluation.host.flush();
  return reportFailures(await context.tryRealise(targets, { dryRun: isDryRun }));
}

/**
 * Builds the user environment of some packages and makes it the profile's newest generation.
 * @param token of the profile, when it was decided which packages
 * @returns the exit status; `undefined` where the profile was changed meanwhile: decide again
 */
export async function installEnvironment(
  context: StoreContext,
  evaluation: CompatEvaluation,
  packages: readonly EnvPackage[],
  { profile, token }: { readonly profile: string; readonly token: string },
): Promise<number | undefined> {
  const failed = await realisePackages(context, evaluation, packages);
  if (failed !== 0) return failed;
  const { config } = context.settings;
  const keepsDerivations =
    (config.raw.get("keep-env-derivations") ?? config.raw.get("env-keep-derivations")) === "true";
  const references = new Set<StorePath>();
  const elements = packages.map((each) => elementOf(each, keepsDerivations, references));
  const manifest = context.store.addText(
    "env-manifest.nix",
    printAmbiguous(elements, undefined, false),
    references,
  );
  const variables = new Map<string, Slot>([
    ["packages", elements],
    ["manifest", new ContextString(manifest, new Set([manifest]))],
  ]);
  const { evaluator } = evaluation;
  const value = evaluator.evalTextIn(variables, BUILDER, "/", { kind: "string", text: BUILDER });
  const [environment] = evaluation.derivationsOf(value);
  if (environment === undefined) throw new Error("the user environment is no derivation");
  const { drvPath } = environment;
  evaluation.host.flush();
  const report = await context.tryRealise([{ kind: "built", drvPath, outputs: ["out"] }]);
  if (report.failures.length > 0) return reportFailures(report);
  const path = context.store.queryDerivationOutputs(drvPath).get("out");
  if (path === undefined) throw new Error(`the output of ${drvPath} was built but is not known`);
  return addGeneration(context.store, bytesOfText(profile), path, token) === undefined ? undefined : 0;
}

/** What the manifest says of a package, and later operations read. */
function elementOf(each: EnvPackage, keepsDerivations: boolean, references: Set<StorePath>): AttrSet {
  const outputs = each.outputsToInstall();
  const fields = new Map<string, Slot>([
    ["type", "derivation"],
    ["name", each.name],
    ["outPath", each.outPath],
    ["outputs", outputs.map(([name]) => name)],
  ]);
  if (each.hasSystem) fields.set("system", each.system);
  if (keepsDerivations && each.drvPath !== undefined) {
    fields.set("drvPath", each.drvPath);
    references.add(each.drvPath);
  }
  for (const [name, path] of outputs) {
    fields.set(name, AttrSet.fromMap<Slot>(new Map([["outPath", path ?? each.outPath]])));
    references.add(path ?? each.outPath);
  }
  const meta = new Map<string, Slot>();
  for (const name of each.metaNames()) {
    const value = each.metaValue(name);
    if (value !== undefined) meta.set(name, value);
  }
  fields.set("meta", AttrSet.fromMap(meta));
  return AttrSet.fromMap(fields);
}
