import { DevshellError } from "../core/index.ts";

/**
 * Every option of every command, the nix-shell family's among them: one table for parsing, help, completion and the
 * drop-in commands.
 */
export interface FlagSpec {
  readonly long: string;
  readonly short?: string | undefined;
  /** Other spellings, accepted but not shown. */
  readonly aliases?: readonly string[] | undefined;
  /** Names of the values that follow; none: a switch. */
  readonly values: readonly string[];
  readonly isRepeatable?: boolean | undefined;
  readonly help: string;
  /** What a value may be, for completion. */
  readonly completes?: "file" | "directory" | "command" | undefined;
  /** Part of what selects an environment (env/cache/FORMAT.md). */
  readonly isSelecting?: boolean | undefined;
}

const flag = (spec: FlagSpec): FlagSpec => spec;

export const FLAGS = {
  file: flag({
    long: "--file",
    short: "-f",
    values: ["path"],
    isSelecting: true,
    completes: "file",
    help: "evaluate this file (or directory, or <entry> of the search path)",
  }),
  attr: flag({
    long: "--attr",
    short: "-A",
    values: ["path"],
    isRepeatable: true,
    isSelecting: true,
    help: "choose an attribute, e.g. pan or python3.pkgs.numpy",
  }),
  expr: flag({
    long: "--expr",
    short: "-E",
    values: [],
    isSelecting: true,
    help: "take the words as expressions of the Nix language",
  }),
  packages: flag({
    long: "--packages",
    short: "-p",
    values: [],
    isSelecting: true,
    help: "take the words as packages of the collection",
  }),
  include: flag({
    long: "--include",
    short: "-I",
    values: ["path"],
    isRepeatable: true,
    isSelecting: true,
    completes: "directory",
    help: "add to the search path: NAME=PATH or PATH",
  }),
  arg: flag({
    long: "--arg",
    values: ["name", "expr"],
    isRepeatable: true,
    isSelecting: true,
    help: "pass an expression to the evaluated function",
  }),
  argstr: flag({
    long: "--argstr",
    values: ["name", "text"],
    isRepeatable: true,
    isSelecting: true,
    help: "pass a string to the evaluated function",
  }),
  pure: flag({
    long: "--pure",
    aliases: ["--ignore-environment"],
    values: [],
    isSelecting: true,
    help: "keep nothing of the caller's variables but a few",
  }),
  impure: flag({
    long: "--impure",
    values: [],
    isSelecting: true,
    help: "keep the caller's variables, whatever the spec says",
  }),
  keep: flag({
    long: "--keep",
    values: ["variable"],
    isRepeatable: true,
    isSelecting: true,
    help: "keep this variable when pure",
  }),
  exclude: flag({
    long: "--exclude",
    values: ["regex"],
    isRepeatable: true,
    isSelecting: true,
    help: "do not realise input derivations of this name",
  }),
  interpreter: flag({
    long: "--interpreter",
    short: "-i",
    values: ["program"],
    help: "in a script's first lines: the program that runs it",
  }),
  run: flag({
    long: "--run",
    values: ["command"],
    help: "run a command of Bash without a terminal of its own, then leave",
  }),
  command: flag({
    long: "--command",
    values: ["command"],
    help: "run a command in the interactive shell; it leaves afterwards unless the command returns",
  }),
  noReload: flag({
    long: "--no-reload",
    values: [],
    help: "start Bash on this very terminal, without live reload",
  }),
  option: flag({
    long: "--option",
    values: ["name", "value"],
    isRepeatable: true,
    isSelecting: true,
    help: "set a nix.conf option",
  }),
  keepGoing: flag({
    long: "--keep-going",
    short: "-k",
    values: [],
    help: "go on with other builds after a failure",
  }),
  keepFailed: flag({
    long: "--keep-failed",
    short: "-K",
    values: [],
    help: "keep the directory of a failed build",
  }),
  maxJobs: flag({ long: "--max-jobs", short: "-j", values: ["number"], help: "builds at once" }),
  cores: flag({ long: "--cores", values: ["number"], help: "NIX_BUILD_CORES for builds; 0 is all" }),
  fallback: flag({ long: "--fallback", values: [], help: "build what cannot be substituted" }),
  dryRun: flag({ long: "--dry-run", values: [], help: "say what would be done" }),
  json: flag({ long: "--json", values: [], help: "print JSON" }),
  stdio: flag({ long: "--stdio", values: [], help: "serve standard input and output instead of a socket" }),
  socket: flag({
    long: "--socket-path",
    values: ["path"],
    completes: "file",
    help: "where to listen, instead of daemon-socket/socket in the state directory",
  }),
  once: flag({ long: "--once", values: [], help: "end after the first round" }),
  editor: flag({
    long: "--editor",
    values: ["program"],
    completes: "command",
    help: "the editor, on PATH or by a path",
  }),
  installExtension: flag({
    long: "--install-extension",
    values: [],
    help: "first have the editor install the devshell extension of this package",
  }),
  sh: flag({ long: "--sh", values: [], help: "print POSIX shell" }),
  fish: flag({ long: "--fish", values: [], help: "print fish" }),
  direnv: flag({ long: "--direnv", values: [], help: "print for direnv's .envrc" }),
  showTrace: flag({ long: "--show-trace", values: [], help: "show the whole trace of an evaluation error" }),
  quiet: flag({ long: "--quiet", short: "-q", values: [], help: "show no progress" }),
  verbose: flag({
    long: "--verbose",
    short: "-v",
    values: [],
    isRepeatable: true,
    help: "say more, build logs among it",
  }),
  strict: flag({ long: "--strict", values: [], help: "evaluate the whole value" }),
  raw: flag({ long: "--raw", values: [], help: "print a string as it is" }),
  outLink: flag({
    long: "--out-link",
    short: "-o",
    values: ["path"],
    completes: "file",
    help: "the link to the result",
  }),
  noOutLink: flag({ long: "--no-out-link", values: [], help: "make no link" }),
  addRoot: flag({
    long: "--add-root",
    values: ["path"],
    completes: "file",
    help: "protect the result by a link",
  }),
  olderThan: flag({
    long: "--older-than",
    values: ["age"],
    help: "what was not in use for this long, e.g. 30d",
  }),
  maxFreed: flag({
    long: "--max-freed",
    values: ["bytes"],
    help: "stop after freeing so much (K, M, G understood)",
  }),
  evalCache: flag({
    long: "--eval-cache",
    values: [],
    help: "forget what evaluations printed, and nothing else; with --dry-run, say how much that is",
  }),
  profile: flag({
    long: "--profile",
    values: ["path"],
    completes: "file",
    help: "this profile; nothing: the one that ~/.nix-profile leads to",
  }),
  regex: flag({
    long: "--regex",
    values: ["expression"],
    isRepeatable: true,
    help: "the packages whose whole installable matches",
  }),
  toVersion: flag({ long: "--to", values: ["version"], help: "the generation to go back to" }),
  svg: flag({
    long: "--svg",
    values: ["file"],
    completes: "file",
    help: "draw what takes the room as a picture (a treemap)",
  }),
  browse: flag({
    long: "--browse",
    short: "-b",
    values: [],
    help: "walk about in it on the terminal",
  }),
  why: flag({
    long: "--why",
    values: ["store path"],
    completes: "file",
    help: "say what keeps this path alive, from a root on, and delete nothing; status 1 when it is dead",
  }),
  printRoots: flag({ long: "--roots", values: [], help: "print what keeps what" }),
  force: flag({ long: "--force", values: [], help: "write over what is there" }),
  checkContents: flag({ long: "--check-contents", values: [], help: "hash every path" }),
  repair: flag({ long: "--repair", values: [], help: "realise again what is broken" }),
  recursive: flag({ long: "--recursive", short: "-r", values: [], help: "with all that it needs" }),
  name: flag({ long: "--name", values: ["name"], help: "the name in the store" }),
  flat: flag({ long: "--flat", values: [], help: "hash a single file's bytes, not its NAR" }),
  all: flag({ long: "--all", values: [], help: "everything" }),
  listen: flag({
    long: "--listen",
    values: ["address"],
    help: "where: PORT, ADDRESS:PORT, :PORT for everybody, unix:PATH (127.0.0.1:5000)",
  }),
  secretKey: flag({
    long: "--secret-key",
    values: ["file"],
    isRepeatable: true,
    completes: "file",
    help: "sign what is served with this key",
  }),
  priority: flag({
    long: "--priority",
    values: ["number"],
    help: "lower is preferred: among packages with the same file (5), by clients among caches (30)",
  }),
  compression: flag({
    long: "--compression",
    values: ["name"],
    help: "of NARs, while they are served: none, zstd, gzip, br (none)",
  }),
  from: flag({ long: "--from", values: ["store"], help: "the store to copy from" }),
  to: flag({ long: "--to", values: ["store"], help: "the store to copy to" }),
  noRecursive: flag({ long: "--no-recursive", values: [], help: "without what the paths refer to" }),
  noCheckSigs: flag({ long: "--no-check-sigs", values: [], help: "do not ask for trusted signatures" }),
  substituteOnDestination: flag({
    long: "--substitute-on-destination",
    short: "-s",
    values: [],
    help: "let the other store fetch what its own caches have",
  }),
  collection: flag({
    long: "--collection",
    values: ["name"],
    help: "of this collection, whatever the spec says",
  }),
} as const satisfies Record<string, FlagSpec>;

export type FlagName = keyof typeof FLAGS;

/** Flags that many commands share. */
export const SELECTION_FLAGS = ["file", "attr", "expr", "packages", "include", "arg", "argstr", "pure", "impure", "keep", "exclude"] as const satisfies readonly FlagName[]; // prettier-ignore
export const EVALUATION_FLAGS = [
  "file",
  "attr",
  "expr",
  "include",
  "arg",
  "argstr",
] as const satisfies readonly FlagName[];
export const BUILD_FLAGS = [
  "option",
  "keepGoing",
  "keepFailed",
  "maxJobs",
  "cores",
  "fallback",
] as const satisfies readonly FlagName[];
export const COMMON_FLAGS = ["showTrace", "quiet", "verbose"] as const satisfies readonly FlagName[];

/** What was given: each occurrence of a flag with its values, in the order written. */
export class ParsedFlags {
  readonly #given: readonly (readonly [FlagName, readonly string[]])[];

  constructor(given: readonly (readonly [FlagName, readonly string[]])[]) {
    this.#given = given;
  }

  has(name: FlagName): boolean {
    return this.#given.some(([given]) => given === name);
  }

  count(name: FlagName): number {
    return this.#given.filter(([given]) => given === name).length;
  }

  /** The last value given; `undefined` when there is none. */
  value(name: FlagName): string | undefined {
    return this.#given.findLast(([given]) => given === name)?.[1][0];
  }

  /** Every value of a flag with one value. */
  values(name: FlagName): string[] {
    return this.#given.filter(([given]) => given === name).flatMap(([, values]) => values);
  }

  /** Occurrences of several flags, in their common order (`--arg` and `--argstr` override one another). */
  occurrences(...names: readonly FlagName[]): readonly (readonly [FlagName, readonly string[]])[] {
    return this.#given.filter(([given]) => names.includes(given));
  }

  /** A whole number that is at least 0. @throws {DevshellError} `CLI_NUMBER_INVALID` */
  number(name: FlagName): number | undefined {
    const text = this.value(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text))
      throw new DevshellError(
        "CLI_NUMBER_INVALID",
        `Cannot read ${FLAGS[name].long}: "${text}" is not a number`,
      );
    return Number(text);
  }
}

/** The flag that a word spells, whole (`--attr`) or short (`-A`). */
export function flagOfWord(word: string): FlagName | undefined {
  return FLAG_OF_WORD.get(word);
}

const FLAG_OF_WORD: ReadonlyMap<string, FlagName> = new Map(
  (Object.keys(FLAGS) as FlagName[]).flatMap((name) => {
    const spec: FlagSpec = FLAGS[name];
    const words = [spec.long, ...(spec.short === undefined ? [] : [spec.short]), ...(spec.aliases ?? [])];
    return words.map((word) => [word, name] as const);
  }),
);
