import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import { SEARCH_PLACES } from "../../../env/index.ts";
import {
  AttrSet,
  EvalError,
  force,
  forceString,
  isDerivation,
  parseDerivationName,
  type Slot,
  type Value,
} from "../../../lang/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printLine } from "../output.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  openInstallables,
  takeInstallableFlag,
} from "./installables.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "./prettyJson.ts";

interface FoundPackage {
  readonly attribute: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** `nix search INSTALLABLE REGEX…`: packages of which attribute, name or description match every expression. */
export function search(argv: readonly string[]): number {
  const words: string[] = [];
  const excluded: string[] = [];
  const installables = newInstallableFlags();
  const layout: JsonLayout = { isPretty: undefined };
  let isJson = false;
  const flags = parseCommandLine("nix search", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next) || takeJsonLayout(layout, word)) return true;
    if (word === "--json") isJson = true;
    else if (word === "-e" || word === "--exclude") excluded.push(next());
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [root = "", ...patterns] = words;
  if (patterns.length === 0)
    throw usageError(
      "nix search",
      "Must provide at least one regex! To match all packages, use 'nix search <installable> ^'.",
    );
  const expressions = patterns.map(expressionOf);
  const unwanted = excluded.map(expressionOf);
  if (!flags.settings.has("allow-import-from-derivation"))
    flags.settings.set("allow-import-from-derivation", "false");
  using context = openInstallableContext(flags, installables, { name: "nix search", isReadOnly: true });
  const { all, evaluation } = openInstallables(context, flags, installables, [root], SEARCH_PLACES);
  const [installable] = all;
  if (installable?.value === undefined)
    throw usageError("nix search", `installable '${root}' does not correspond to a Nix language value`);
  const isFlake = installable.values !== undefined;
  const found: FoundPackage[] = [];
  for (const { value, path } of installable.values?.() ?? [installable.value()])
    visitPackages(
      evaluation().evaluator.autoCall(value, evaluation().autoArguments),
      isFlake ? path.map(textOfBytes) : root === "" ? [] : root.split("."),
      true,
      (each) => {
        const fields = [each.attribute, each.name, each.description];
        const isHit = (expression: RegExp): boolean => fields.some((field) => field.search(expression) >= 0);
        if (unwanted.some(isHit) || !expressions.every(isHit)) return;
        if (!isJson) printFound(each, expressions, found.length === 0);
        found.push(each);
      },
    );
  if (isJson) printJsonLine(bytesOfText(JSON.stringify(jsonOf(found))), layout);
  else if (found.length === 0)
    throw new DevshellError("CLI_NOTHING_FOUND", "no results for the given search term(s)!");
  return 0;
}

function expressionOf(pattern: string): RegExp {
  try {
    return new RegExp(pattern, "gi");
  } catch (cause) {
    throw new DevshellError("CLI_USAGE", `Cannot search for "${pattern}": it is no regular expression`, {
      cause,
    });
  }
}

/** Walks to every derivation that a package set shows; what fails inside `legacyPackages` is passed over. */
function visitPackages(
  slot: Slot,
  path: readonly string[],
  isRoot: boolean,
  take: (found: FoundPackage) => void,
): void {
  const [top] = path;
  try {
    const value = force(slot);
    if (!(value instanceof AttrSet)) return;
    if (isDerivation(value as Value)) return take(describe(value, path));
    const recurses = value.get("recurseForDerivations");
    const isOpen =
      isRoot ||
      ((top === "legacyPackages" || top === "packages") && path.length <= 2) ||
      (top === "legacyPackages" && recurses !== undefined && force(recurses) === true);
    if (!isOpen) return;
    value.forEachSorted((name, item) => visitPackages(item, [...path, textOfBytes(name)], false, take));
  } catch (error) {
    if (!(error instanceof EvalError) || top !== "legacyPackages") throw error;
  }
}

function describe(value: AttrSet, path: readonly string[]): FoundPackage {
  const text = (set: AttrSet, name: string): string => {
    const slot = set.get(name);
    return slot === undefined ? "" : textOfBytes(forceString(slot, set.posOf(name), ""));
  };
  const meta = value.get("meta");
  const metaValue = meta === undefined ? undefined : force(meta);
  const { name, version } = parseDerivationName(text(value, "name"));
  const description = metaValue instanceof AttrSet ? text(metaValue, "description") : "";
  return { attribute: path.join("."), name, version, description: description.replaceAll("\n", " ") };
}

const BOLD = "\u001B[0;1m";
const GREEN = "\u001B[32;1m";
const PLAIN = "\u001B[0m";

function printFound(found: FoundPackage, expressions: readonly RegExp[], isFirst: boolean): void {
  const { attribute, version, description } = found;
  if (!isFirst) printLine("");
  const suffix = version === "" ? "" : ` (${version})`;
  printLine(bytesOfText(`* ${BOLD}${highlight(attribute, expressions, BOLD)}${PLAIN}${suffix}`));
  if (description !== "") printLine(bytesOfText(`  ${highlight(description, expressions, PLAIN)}`));
}

/** Colours what any expression matches; matches that touch or overlap are one. */
function highlight(text: string, expressions: readonly RegExp[], after: string): string {
  const spans = expressions
    .flatMap((expression) =>
      [...text.matchAll(expression)].map(({ index, 0: match }) => [index, index + match.length] as const),
    )
    .toSorted(([a], [b]) => a - b);
  let result = "";
  let done = 0;
  for (let at = 0; at < spans.length;) {
    const [start, firstEnd] = spans[at] ?? [0, 0];
    let end = firstEnd;
    for (at++; at < spans.length && (spans[at]?.[0] ?? 0) <= end; at++)
      end = Math.max(end, spans[at]?.[1] ?? 0);
    result += `${text.slice(done, start)}${GREEN}${text.slice(start, end)}${after}`;
    done = end;
  }
  return result + text.slice(done);
}

function jsonOf(found: readonly FoundPackage[]): unknown {
  return Object.fromEntries(
    found.map(({ attribute, name, version, description }) => [
      attribute,
      { description, pname: name, version },
    ]),
  );
}
