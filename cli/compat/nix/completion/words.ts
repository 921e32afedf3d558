/** What a flag's value, or a word that is no flag, is completed to. */
export type WordKind = "file" | "flake" | "input" | "setting" | "installable" | "package" | "none";

/** What stands at the place to be completed. */
export interface Place {
  /** What the user has typed of it. */
  readonly prefix: string;
  /** `command`: a subcommand's name, one of `names`. */
  readonly kind: WordKind | "command" | "flag";
  readonly names: readonly string[];
  /** The command's words that are no flags, with the values of flags that say where to look. */
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
}

/** Flags that take values, and what each value is. */
const VALUES: Readonly<Record<string, readonly WordKind[]>> = {
  "--arg": ["none", "none"],
  "--arg-from-file": ["none", "file"],
  "--argstr": ["none", "none"],
  "--apply": ["none"],
  "--bundler": ["flake"],
  "-B": ["flake"],
  "--eval-store": ["none"],
  "--expr": ["none"],
  "--file": ["file"],
  "-f": ["file"],
  "--flake": ["flake"],
  "--from": ["none"],
  "--include": ["file"],
  "-I": ["file"],
  "--inputs-from": ["flake"],
  "--log-format": ["none"],
  "--option": ["setting", "none"],
  "--out-link": ["file"],
  "-o": ["file"],
  "--output-lock-file": ["file"],
  "--override-flake": ["flake", "flake"],
  "--override-input": ["input", "flake"],
  "--phase": ["none"],
  "--profile": ["file"],
  "--redirect": ["installable", "file"],
  "--reference-lock-file": ["file"],
  "--store": ["none"],
  "--template": ["flake"],
  "-t": ["flake"],
  "--to": ["none"],
  "--update-input": ["input"],
  "--write-to": ["file"],
};

/** Subcommands that have subcommands. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  config: ["check", "show"],
  derivation: ["add", "show"],
  env: ["shell"],
  flake: [
    "archive",
    "check",
    "clone",
    "info",
    "init",
    "lock",
    "metadata",
    "new",
    "prefetch",
    "prefetch-inputs",
    "show",
    "update",
  ],
  formatter: ["build", "run"],
  hash: ["convert", "file", "path", "to-base16", "to-base32", "to-base64", "to-sri"],
  profile: ["add", "diff-closures", "history", "list", "remove", "rollback", "upgrade", "wipe-history"],
  registry: ["add", "list", "pin", "remove", "resolve"],
  store: [
    "add",
    "add-file",
    "add-path",
    "cat",
    "delete",
    "dump-path",
    "gc",
    "info",
    "optimise",
    "path-from-hash-part",
    "prefetch-file",
    "verify",
  ],
};

/** What the words of a subcommand are where they are no installables. */
const WORDS: Readonly<Record<string, WordKind>> = {
  "config show": "setting",
  "flake update": "input",
  "hash file": "file",
  "hash path": "file",
  "hash convert": "none",
  "hash to-base16": "none",
  "hash to-base32": "none",
  "hash to-base64": "none",
  "hash to-sri": "none",
  "profile remove": "package",
  "profile upgrade": "package",
  "store add": "file",
  "store add-file": "file",
  "store add-path": "file",
};

/** Words that only a flake is named by. */
const FLAKE_GROUPS: ReadonlySet<string> = new Set(["flake", "registry"]);

/**
 * Finds out what the word at an index is.
 * @param argv without the program's name
 * @param commands the names of all subcommands
 * @param takesValue whether a flag of the settings takes one
 */
export function placeOf(
  argv: readonly string[],
  index: number,
  commands: readonly string[],
  takesValue: (flag: string) => boolean,
): Place {
  const prefix = argv[index] ?? "";
  const words: string[] = [];
  const values = new Map<string, string>();
  let kind: Place["kind"] | undefined;
  let before = 0;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (at === index) continue;
    if (!word.startsWith("-")) {
      words.push(word);
      if (at < index) before++;
      continue;
    }
    const kinds = VALUES[word] ?? (takesValue(word) ? (["none"] as const) : []);
    const [first] = kinds;
    if (first !== undefined && at + 1 !== index) values.set(word, argv[at + 1] ?? "");
    if (at < index && index <= at + kinds.length) kind = kinds[index - at - 1];
    at += kinds.length;
  }
  const [command = "", action = ""] = words;
  const isGroup = Object.hasOwn(GROUPS, command);
  const named = isGroup ? `${command} ${action}` : command;
  const place = { prefix, values, words: words.slice(isGroup ? 2 : 1), names: [] };
  if (kind !== undefined) return { ...place, kind };
  if (prefix.startsWith("-")) return { ...place, kind: "flag" };
  if (before === 0) return { ...place, kind: "command", names: commands };
  if (before === 1 && isGroup) return { ...place, kind: "command", names: GROUPS[command] ?? [] };
  return { ...place, kind: WORDS[named] ?? (FLAKE_GROUPS.has(command) ? "flake" : "installable") };
}

/** All flags that are spelled out here. */
export const VALUED_FLAGS: readonly string[] = Object.keys(VALUES).filter((flag) => flag.startsWith("--"));
