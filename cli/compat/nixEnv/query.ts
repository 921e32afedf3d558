import type { ByteString } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { calls, isCatchable } from "../../../lang/index.ts";
import { findSubstitutable, type StorePath } from "../../../store/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { printBytes } from "../output.ts";
import { compareToSet, type VersionComparison } from "./compareToSet.ts";
import type { EnvPackage } from "./envPackage.ts";
import { ofEach, type ListedPackage, type PathStates } from "./listedPackage.ts";
import { availablePackages, installedPackages } from "./packageSource.ts";
import { profileInUse } from "./profilePath.ts";
import { printPackagesJson } from "./printPackagesJson.ts";
import { XmlListing } from "./printPackagesXml.ts";
import type { QueryOptions } from "./queryOptions.ts";
import { selectPackages } from "./selectPackages.ts";
import { sortAsNix } from "./sortAsNix.ts";
import { printTable } from "./table.ts";

/** `nix-env --query`: lists packages of a profile, or of expressions. */
export async function queryPackages(
  context: StoreContext,
  evaluation: CompatEvaluation,
  options: QueryOptions,
  words: readonly string[],
): Promise<void> {
  const { isAvailable, comparesVersions, hasStatus } = options;
  const profile = profileInUse(options.profile, context.settings);
  const installed =
    !isAvailable || comparesVersions || hasStatus ? installedPackages(evaluation, profile) : [];
  const available =
    isAvailable || comparesVersions
      ? availablePackages(context, evaluation, {
          file: options.file,
          attribute: options.attribute,
          system: options.systemFilter,
        })
      : [];
  const packages = selectPackages(isAvailable ? available : installed, words);
  const others = isAvailable ? installed : available;
  const keys = new Map(packages.map((each) => [each, upperCase(each.name)]));
  sortAsNix(packages, (a, b) => keys.get(a)! < keys.get(b)!);
  const states =
    hasStatus || options.isPrebuiltOnly ? await findStates(context, packages, installed) : undefined;
  if (options.format === "json") {
    printBytes(`${printPackagesJson(evaluation.evaluator.runtime, packages, options)}\n`);
    return;
  }
  const isListed = (each: EnvPackage): boolean => {
    if (!options.isPrebuiltOnly || states === undefined) return true;
    return states.valid.has(each.outPath) || states.substitutable.has(each.outPath);
  };
  const xml = new XmlListing(options);
  const rows: ByteString[][] = [];
  try {
    for (const each of packages)
      ofEach(each, () => {
        if (!isListed(each)) return;
        const comparison = comparesVersions ? compareToSet(each, others) : undefined;
        const listed: ListedPackage = { package: each, states: hasStatus ? states : undefined, comparison };
        if (options.format === "xml") xml.add(listed);
        else rows.push(columnsOf(listed, options));
      });
  } finally {
    if (options.format === "xml") printBytes(xml.text());
  }
  if (options.format === "table") printBytes(printTable(rows));
}

async function findStates(
  context: StoreContext,
  packages: readonly EnvPackage[],
  installed: readonly EnvPackage[],
): Promise<PathStates> {
  const paths = new Set<StorePath>();
  for (const each of packages) {
    each.hasFailed = true;
    const { depth } = calls;
    try {
      paths.add(each.outPath);
      each.hasFailed = false;
    } catch (error) {
      if (!isCatchable(error)) throw error;
      calls.depth = depth;
    }
  }
  const all = [...paths];
  const installedPaths = new Set(installed.map((each) => each.outPath));
  if (context.settings.rung === "dummy")
    return { installed: installedPaths, valid: new Set(), substitutable: new Set() };
  const valid = new Set(all.filter((path) => context.store.isValidPath(path)));
  const substitutable = await findSubstitutable(context.settings, all, (problem) =>
    context.message("warning", problem instanceof Error ? problem.message : String(problem)),
  );
  return { installed: installedPaths, valid, substitutable };
}

function columnsOf(
  { package: each, states, comparison }: ListedPackage,
  options: QueryOptions,
): ByteString[] {
  const columns: ByteString[] = [];
  if (states !== undefined) {
    const { outPath } = each;
    const flag = (paths: ReadonlySet<StorePath>, letter: string): string =>
      paths.has(outPath) ? letter : "-";
    columns.push(flag(states.installed, "I") + flag(states.valid, "P") + flag(states.substitutable, "S"));
  }
  if (options.hasAttributePath) columns.push(each.attributePath);
  if (options.hasName) columns.push(each.name);
  if (comparison !== undefined) columns.push(describeComparison(comparison));
  if (options.hasSystem) columns.push(each.system);
  if (options.hasDrvPath) columns.push(each.drvPath ?? "-");
  if (options.hasOutPath)
    columns.push(
      each
        .outputs(true)
        .map(([name, path]) => (name === "out" ? `${path}` : `${name}=${path}`))
        .join(";"),
    );
  if (options.hasDescription) columns.push(each.metaString("description"));
  return columns;
}

function describeComparison({ sign, version }: VersionComparison): string {
  const text = `${sign} ${version}`;
  return sign === "<" && process.stdout.isTTY ? `\u001B[31;1m${text}\u001B[0m` : text;
}

/** As C's `toupper`: letters of ASCII only. */
function upperCase(text: ByteString): ByteString {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}
