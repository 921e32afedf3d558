import { readdirSync, statSync } from "node:fs";
import { bytesOfText, textOfBytes } from "../../../../core/index.ts";
import {
  PACKAGE_PLACES,
  createStoreContext,
  lockFlake,
  openFlake,
  type FlakePlaces,
  type StoreContext,
} from "../../../../env/index.ts";
import {
  AttrSet,
  fetchFlake,
  force,
  parseAttrPath,
  quoteAttrName,
  type Slot,
} from "../../../../lang/index.ts";
import { commonFlagNames, isValuedSetting, parseCommandLine, settingNames } from "../../commandLine.ts";
import { openCompatEvaluation, type CompatEvaluation } from "../../evaluate.ts";
import { packagesBeginning } from "../../nixProfile/completePackages.ts";
import { referenceOf } from "../flakeOutputs.ts";
import { VALUED_FLAGS, placeOf, type Place } from "./words.ts";

/** Flags without a value that most subcommands have. */
const SWITCHES = [
  "--impure",
  "--json",
  "--no-write-lock-file",
  "--no-update-lock-file",
  "--commit-lock-file",
];

interface Completions {
  /** How shells treat them: names of files are quoted and, for directories, go on. */
  readonly type: "normal" | "filenames" | "attrs";
  /** What stands after a tab describes it. */
  readonly found: readonly string[];
}

/**
 * What shells ask for by `NIX_GET_COMPLETIONS=N nix …`, where N is the index of the word to be completed.
 * @returns lines: a type, then a completion, a tab and its description each
 */
export function completionsOf(argv: readonly string[], index: number, commands: readonly string[]): string[] {
  const { type, found } = complete(placeOf(argv, index - 1, commands, isValuedSetting));
  return [type, ...[...new Set(found)].sort().map((line) => (line.includes("\t") ? line : `${line}\t`))];
}

function complete(place: Place): Completions {
  const { kind, prefix, names } = place;
  const beginning = (candidates: readonly string[]): Completions => ({
    type: "normal",
    found: candidates.filter((candidate) => candidate.startsWith(prefix)),
  });
  switch (kind) {
    case "command":
      return beginning(names);
    case "flag":
      return beginning([...VALUED_FLAGS, ...SWITCHES, ...commonFlagNames()]);
    case "setting":
      return beginning(settingNames());
    case "file":
      return { type: "filenames", found: files(prefix, false) };
    case "flake":
      return { type: "filenames", found: [...(prefix === "" ? ["."] : []), ...files(prefix, true)] };
    case "input":
      return beginning(attempt((scope) => inputsOf(scope, place)));
    case "package":
      return { type: "normal", found: packagesBeginning(prefix) };
    case "installable":
      return installables(place);
    case "none":
      return beginning([]);
  }
}

function installables(place: Place): Completions {
  const { prefix, values } = place;
  const file = values.get("--file") ?? values.get("-f");
  const expression = values.get("--expr");
  if (file !== undefined || expression !== undefined)
    return {
      type: "attrs",
      found: attempt(({ evaluation }) => {
        const root =
          file === undefined
            ? evaluation.evaluate({ kind: "text", text: expression ?? "" })
            : evaluation.evaluate({ kind: "file", file: expandHome(file) });
        const { evaluator, autoArguments } = evaluation;
        return attributes(evaluator.autoCall(root, autoArguments), prefix);
      }),
    };
  const hash = prefix.indexOf("#");
  if (hash < 0) return complete({ ...place, kind: "flake" });
  const shown = prefix.slice(0, hash);
  return {
    type: "attrs",
    found: attempt(({ context, evaluation }) => {
      const within = { context, evaluator: evaluation.evaluator };
      const locked = lockFlake(within, referenceOf(expandHome(shown)), { isWritten: false });
      const outputs = openFlake(within, locked).get("outputs") ?? null;
      const fragment = prefix.slice(hash + 1);
      return outputAttributes(outputs, fragment, PACKAGE_PLACES, context).map((path) => `${shown}#${path}`);
    }),
  };
}

interface Scope {
  readonly context: StoreContext;
  readonly evaluation: CompatEvaluation;
}

/** What cannot be evaluated has no completions; nobody is told why while they type. */
function attempt(find: (scope: Scope) => readonly string[]): readonly string[] {
  const flags = parseCommandLine("nix", ["--no-warn-dirty"], () => false);
  flags.settings.set("pure-eval", "false");
  try {
    using context = createStoreContext({ settings: flags.settings, isReadOnly: true });
    const evaluation = openCompatEvaluation(context, flags);
    return evaluation.evaluator.run(() => find({ context, evaluation }));
  } catch {
    return [];
  }
}

/** The inputs of the flakes that the command line names. */
function inputsOf({ evaluation }: Scope, { words, values }: Place): readonly string[] {
  const flake = values.get("--flake");
  const named = flake !== undefined ? [flake] : words.filter((word) => word !== "");
  const references = named.length === 0 ? ["."] : named;
  return references.flatMap((word) => {
    const [place = "."] = expandHome(word).split("#", 1);
    const { inputs } = fetchFlake(evaluation.evaluator.runtime, referenceOf(place), "all");
    return [...inputs.keys()].map(textOfBytes);
  });
}

/** As the words of a command are looked up: below each prefix, and as they stand; nothing more names the default. */
function outputAttributes(
  outputs: Slot,
  fragment: string,
  { defaults, prefixes }: FlakePlaces,
  { settings }: StoreContext,
): readonly string[] {
  if (fragment.startsWith(".")) return attributes(outputs, fragment.slice(1)).map((path) => `.${path}`);
  const { system } = settings.config;
  const here = [...prefixes.map((prefix) => prefix.replace("%", system)), ""];
  const found = here.flatMap((prefix) =>
    attributes(outputs, prefix + fragment).map((path) => path.slice(prefix.length)),
  );
  const hasDefault = defaults
    .map((path) => path.replace("%", system))
    .some((path) => attributes(outputs, path).includes(path));
  return fragment === "" && hasDefault ? ["", ...found] : found;
}

/** The attribute paths that begin with one. */
function attributes(root: Slot, path: string): readonly string[] {
  const names = parseAttrPath(bytesOfText(path));
  const last = path === "" || path.endsWith(".") ? "" : (names.pop() ?? "");
  let set = force(root);
  for (const name of names) {
    const slot = set instanceof AttrSet ? set.get(name) : undefined;
    if (slot === undefined) return [];
    set = force(slot);
  }
  if (!(set instanceof AttrSet)) return [];
  return set
    .sortedNames()
    .filter((name) => name.startsWith(last))
    .map((name) => textOfBytes([...names, name].map(quoteAttrName).join(".")));
}

/** The files whose paths begin so, as the shell's `*` finds them. */
function files(prefix: string, isDirectory: boolean): readonly string[] {
  const path = expandHome(prefix);
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "." : path.slice(0, slash + 1);
  const start = path.slice(slash + 1);
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith(start) && (start !== "" || !name.startsWith(".")))
      .map((name) => path.slice(0, slash + 1) + name)
      .filter((found) => !isDirectory || statSync(found).isDirectory());
  } catch {
    return []; // nothing there, or nothing that may be read
  }
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? (process.env["HOME"] ?? "~") + path.slice(1) : path;
}
