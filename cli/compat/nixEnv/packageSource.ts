import { existsSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, bytesOfText, fsPath, type ByteString } from "../../../core/index.ts";
import { userExpressions, type StoreContext } from "../../../env/index.ts";
import { AttrSet, EMPTY_SET, NO_POS, delay, type Value } from "../../../lang/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";
import type { EnvPackage } from "./envPackage.ts";
import { findPackages } from "./findPackages.ts";

const MAX_EXPRESSIONS = 1024;

/** The packages that `-f` names, or the user's own expressions. */
export function availablePackages(
  context: StoreContext,
  evaluation: CompatEvaluation,
  options: { readonly file: string | undefined; readonly attribute: string; readonly system: string },
): EnvPackage[] {
  const { evaluator, autoArguments } = evaluation;
  const root = loadExpressions(context, evaluation, options.file);
  const { slot } = evaluator.selectAttrPath(root, bytesOfText(options.attribute), autoArguments);
  const packages = findPackages(evaluator, slot, {
    autoArguments,
    prefix: bytesOfText(options.attribute),
    skipsFailures: true,
  });
  const system = bytesOfText(options.system);
  return system === "*" ? packages : packages.filter((each) => each.system === system);
}

/** What a profile holds, as its manifest says. */
export function installedPackages(evaluation: CompatEvaluation, profile: string): EnvPackage[] {
  if (existsSync(join(profile, "manifest.json")))
    throw new DevshellError(
      "CLI_PROFILE",
      `profile '${profile}' is incompatible with 'nix-env'; please use 'nix profile' instead`,
    );
  const manifest = join(profile, "manifest.nix");
  if (!existsSync(manifest)) return [];
  const { evaluator, host } = evaluation;
  const value = evaluator.evalFile(host.resolveSymlinks(bytesOfText(manifest)));
  return findPackages(evaluator, value, { autoArguments: EMPTY_SET, prefix: "", skipsFailures: false });
}

/** The value of `-f`, or of all that the user has in the place for it. */
export function loadExpressions(
  context: StoreContext,
  evaluation: CompatEvaluation,
  file: string | undefined,
): Value {
  const own = userExpressions(context.settings.config.raw);
  if (file === undefined && !existsSync(own)) return EMPTY_SET;
  const { evaluator, host } = evaluation;
  const path = evaluation.resolveFile(file ?? own);
  const real = host.resolveSymlinks(path);
  const type = host.fileType(real);
  if (type === "regular" || (type === "directory" && existsSync(fsPath(`${real}/default.nix`))))
    return evaluator.evalFile(path);
  if (type !== "directory")
    throw new DevshellError("CLI_USAGE", `path '${path}' is not a directory or a Nix expression`);
  const entries = new Map<ByteString, Value | ReturnType<typeof delay>>([["_combineChannels", []]]);
  collectExpressions(evaluation, real, entries);
  return AttrSet.fromMap(entries);
}

/** A directory's expressions by their file names, those of its directories among them: one flat set. */
function collectExpressions(
  evaluation: CompatEvaluation,
  directory: ByteString,
  entries: Map<ByteString, Value | ReturnType<typeof delay>>,
): void {
  const { evaluator, host } = evaluation;
  for (const name of [...host.readDirectory(host.resolveSymlinks(directory)).keys()].sort()) {
    // A profile's own, in a directory of channels.
    if (name === "manifest.nix") continue;
    const path = `${directory}/${name}`;
    if (!existsSync(fsPath(path))) continue;
    const real = host.resolveSymlinks(path);
    const type = host.fileType(real);
    const isExpression =
      type === "regular"
        ? real.endsWith(".nix")
        : type === "directory" && existsSync(fsPath(`${real}/default.nix`));
    if (!isExpression) {
      if (type === "directory") collectExpressions(evaluation, real, entries);
      continue;
    }
    const attribute = name.replace(/\.nix$/, "");
    if (entries.has(attribute)) {
      say(`warning: name collision in input Nix expressions, skipping '${real}'`);
      continue;
    }
    if (entries.size === MAX_EXPRESSIONS)
      throw new DevshellError("CLI_USAGE", `too many Nix expressions in directory '${directory}'`);
    entries.set(
      attribute,
      delay(() => evaluator.runtime.importFile(real, NO_POS)),
    );
  }
}
