import { readFileSync } from "node:fs";
import type { DevshellError } from "../../core/index.ts";
import type { SpecArgument } from "../../env/index.ts";
import { UsageError } from "../usageError.ts";
import { say } from "./output.ts";

/** What every drop-in command understands beside its own words. */
export interface CommonFlags {
  /** `nix.conf` options: `--option`, and the flags that stand for one. */
  readonly settings: Map<string, string>;
  readonly includes: string[];
  readonly arguments: SpecArgument[];
  /** `--override-flake`: what stands before all registries. */
  readonly flakeOverrides: (readonly [from: string, to: string])[];
  /** `-v` counts up, `--quiet` down. */
  verbosity: number;
  isReadOnly: boolean;
  /** `--no-gc-warning`. */
  isRootWarned: boolean;
  isRepair: boolean;
  /** What builders say: as it is, after the derivation's name (`-L` of `nix`), or only where they fail. */
  buildOutput: "raw" | "named" | "none";
  /** `--debugger`. */
  hasDebugger: boolean;
  store: string | undefined;
  evalStore: string | undefined;
}

/**
 * A command's own words.
 * @param next takes the word that follows as the flag's value
 * @returns false for what it does not know, which may be common to all
 */
export type OwnWord = (word: string, next: () => string, more: MoreWords) => boolean;

export interface MoreWords {
  /** After `--`: a word is no flag, whatever it looks like. */
  readonly isLiteral: boolean;
  /** Takes all words that follow, as they are. */
  readonly rest: () => string[];
}

/** Options of `nix.conf` that a flag of the same name turns on, and `--no-…` off. */
const SWITCHES = new Set([
  "abort-on-warn",
  "accept-flake-config",
  "allow-dirty",
  "allow-dirty-locks",
  "allow-import-from-derivation",
  "allow-new-privileges",
  "allow-symlinked-store",
  "allow-unsafe-native-code-during-evaluation",
  "always-allow-substitutes",
  "auto-allocate-uids",
  "auto-optimise-store",
  "build-fallback",
  "build-keep-going",
  "build-use-sandbox",
  "build-use-substitutes",
  "builders-use-substitutes",
  "compress-build-log",
  "debugger-on-trace",
  "debugger-on-warn",
  "eval-cache",
  "fallback",
  "filter-syscalls",
  "fsync-metadata",
  "fsync-store-paths",
  "gc-keep-derivations",
  "gc-keep-outputs",
  "http2",
  "ignore-try",
  "impersonate-linux-26",
  "keep-build-log",
  "keep-derivations",
  "keep-env-derivations",
  "keep-failed",
  "keep-going",
  "keep-outputs",
  "nix-shell-always-looks-for-shell-nix",
  "nix-shell-shebang-arguments-relative-to-script",
  "preallocate-contents",
  "print-missing",
  "pure-eval",
  "require-drop-supplementary-groups",
  "require-sigs",
  "restrict-eval",
  "run-diff-hook",
  "sandbox",
  "sandbox-fallback",
  "show-trace",
  "substitute",
  "sync-before-registering",
  "trace-function-calls",
  "trace-import-from-derivation",
  "trace-verbose",
  "use-case-hack",
  "use-cgroups",
  "use-registries",
  "use-sqlite-wal",
  "use-xdg-base-directories",
  "warn-dirty",
  "warn-short-path-literals",
]);

/** Options of `nix.conf` whose flag takes a value; `--extra-…` appends to lists. */
const VALUED = new Set([
  "access-tokens",
  "allowed-impure-host-deps",
  "allowed-uris",
  "allowed-users",
  "bash-prompt",
  "bash-prompt-prefix",
  "bash-prompt-suffix",
  "binary-cache-public-keys",
  "binary-caches",
  "build-cores",
  "build-dir",
  "build-hook",
  "build-max-jobs",
  "build-max-silent-time",
  "build-poll-interval",
  "build-timeout",
  "build-users-group",
  "builders",
  "commit-lock-file-summary",
  "commit-lockfile-summary",
  "connect-timeout",
  "cores",
  "diff-hook",
  "download-attempts",
  "download-buffer-size",
  "download-speed",
  "eval-system",
  "experimental-features",
  "external-builders",
  "extra-platforms",
  "flake-registry",
  "gc-reserved-space",
  "hashed-mirrors",
  "http-connections",
  "id-count",
  "ignored-acls",
  "impure-env",
  "json-log-path",
  "lint-absolute-path-literals",
  "lint-short-path-literals",
  "lint-url-literals",
  "log-lines",
  "max-build-log-size",
  "max-call-depth",
  "max-closure-paths",
  "max-free",
  "max-jobs",
  "max-silent-time",
  "max-substitution-jobs",
  "min-free",
  "min-free-check-interval",
  "nar-buffer-size",
  "narinfo-cache-meta-ttl",
  "narinfo-cache-negative-ttl",
  "narinfo-cache-positive-ttl",
  "netrc-file",
  "nix-path",
  "plugin-files",
  "post-build-hook",
  "pre-build-hook",
  "sandbox-build-dir",
  "sandbox-dev-shm-size",
  "sandbox-paths",
  "secret-key-files",
  "ssl-cert-file",
  "stalled-download-timeout",
  "start-id",
  "store",
  "substituters",
  "system",
  "system-features",
  "tarball-ttl",
  "timeout",
  "trusted-binary-caches",
  "trusted-public-keys",
  "trusted-substituters",
  "trusted-users",
  "upgrade-nix-store-path-url",
  "user-agent-suffix",
  "warn-large-path-threshold",
]);

/** Whether a flag sets an option of `nix.conf` to the word that follows. */
export function isValuedSetting(word: string): boolean {
  const option = word.slice(2);
  return word.startsWith("--") && (VALUED.has(option) || VALUED.has(option.replace(/^extra-/, "")));
}

/** All options of `nix.conf` that are known. */
export function settingNames(): readonly string[] {
  return [...SWITCHES, ...VALUED];
}

/** The flags that every command takes. */
export function commonFlagNames(): readonly string[] {
  return [
    "--debug",
    "--debugger",
    "--eval-store",
    "--include",
    "--offline",
    "--option",
    "--quiet",
    "--refresh",
    "--repair",
    "--verbose",
    ...Object.keys(IGNORED).filter((flag) => flag.startsWith("--")),
    ...[...SWITCHES].flatMap((name) => [`--${name}`, `--no-${name}`]),
    ...[...VALUED].map((name) => `--${name}`),
  ];
}

/** Flags that only matter to other versions or front ends, with the number of words they take. */
const IGNORED: Readonly<Record<string, number>> = {
  "--log-format": 1,
  "--impure": 0,
  "--no-write-lock-file": 0,
  "--no-update-lock-file": 0,
  "--count-calls": 0,
};

/**
 * Reads a command line as Nix's older commands do: `-abc` is `-a -b -c`, `-j4` is `-j 4`, and flags may come between
 * words.
 * @param name for messages
 * @throws {DevshellError} `CLI_USAGE`
 */
export function parseCommandLine(name: string, argv: readonly string[], own: OwnWord): CommonFlags {
  const flags: CommonFlags = {
    settings: new Map(),
    includes: [],
    arguments: [],
    flakeOverrides: [],
    verbosity: 0,
    isReadOnly: false,
    isRootWarned: true,
    isRepair: false,
    buildOutput: isNewCommand(name) ? "none" : "raw",
    hasDebugger: false,
    store: undefined,
    evalStore: undefined,
  };
  const words = [...argv];
  let isLiteral = false;
  while (words.length > 0) {
    const word = words.shift() ?? "";
    if (word === "--" && !isLiteral) {
      isLiteral = true;
      continue;
    }
    if (!isLiteral && /^-[a-zA-Z]./.test(word)) {
      words.unshift(...splitBundle(word));
      continue;
    }
    const next = (): string => {
      const value = words.shift();
      if (value === undefined) throw usageError(name, `flag '${word}' requires an argument`);
      return value;
    };
    if (own(word, next, { isLiteral, rest: () => words.splice(0) })) continue;
    if (takeCommon(flags, word, next, name)) continue;
    throw usageError(name, `unrecognised flag '${word}'`);
  }
  return flags;
}

export function usageError(name: string, message: string): DevshellError {
  return new UsageError(name, message);
}

/** `--max-jobs` and its like are checked where the settings are read. */
function takeCommon(flags: CommonFlags, word: string, next: () => string, name: string): boolean {
  const { settings } = flags;
  switch (word) {
    case "-v":
    case "--verbose":
      flags.verbosity++;
      return true;
    case "--quiet":
      flags.verbosity--;
      return true;
    case "--debug":
      flags.verbosity = 5;
      return true;
    case "--debugger":
      flags.hasDebugger = true;
      return true;
    case "--option": {
      const option = next();
      const bare = option.replace(/^extra-/, "");
      if (![option, bare].some((known) => SWITCHES.has(known) || VALUED.has(known)))
        say(`warning: unknown setting '${option}'`);
      setOption(settings, option, next());
      return true;
    }
    case "-I":
    case "--include":
      flags.includes.push(next());
      return true;
    case "--arg":
    case "--argstr": {
      const argument = next();
      flags.arguments.push({
        name: argument,
        kind: word === "--arg" ? "expression" : "string",
        value: next(),
      });
      return true;
    }
    case "--arg-from-file":
    case "--arg-from-stdin": {
      const argument = next();
      const source = word === "--arg-from-file" ? next() : 0;
      flags.arguments.push({ name: argument, kind: "string", value: readFileSync(source, "utf8") });
      return true;
    }
    case "-j":
      settings.set("max-jobs", next());
      return true;
    case "-k":
      settings.set("keep-going", "true");
      return true;
    case "-K":
      settings.set("keep-failed", "true");
      return true;
    case "-L":
    case "--print-build-logs":
      if (flags.buildOutput === "none") flags.buildOutput = "named";
      return true;
    case "-Q":
    case "--no-build-output":
      flags.buildOutput = "none";
      return true;
    case "--readonly-mode":
      flags.isReadOnly = true;
      return true;
    case "--no-gc-warning":
      flags.isRootWarned = false;
      return true;
    case "--repair":
      flags.isRepair = true;
      return true;
    case "--refresh":
      for (const option of TTLS) settings.set(option, "0");
      return true;
    case "--offline":
      for (const [option, value] of OFFLINE) settings.set(option, value);
      return true;
    case "--override-flake":
      flags.flakeOverrides.push([next(), next()]);
      return true;
    case "--store":
      flags.store = next();
      return true;
    case "--eval-store":
      flags.evalStore = next();
      return true;
    default:
      return takeIgnored(word, next) || takeSetting(settings, word, next, name);
  }
}

function takeIgnored(word: string, next: () => string): boolean {
  if (!Object.hasOwn(IGNORED, word)) return false;
  for (let count = IGNORED[word] ?? 0; count > 0; count--) next();
  return true;
}

function takeSetting(settings: Map<string, string>, word: string, next: () => string, name: string): boolean {
  if (!word.startsWith("--")) return false;
  const option = word.slice(2);
  if (SWITCHES.has(option)) {
    settings.set(option, "true");
    return true;
  }
  if (option.startsWith("no-") && SWITCHES.has(option.slice(3))) {
    settings.set(option.slice(3), "false");
    return true;
  }
  if (option === "relaxed-sandbox") {
    settings.set("sandbox", "relaxed");
    return true;
  }
  const bare = option.startsWith("extra-") && !VALUED.has(option) ? option.slice(6) : option;
  if (!VALUED.has(bare)) return false;
  const value = next();
  if (NUMBERS.has(bare) && !/^\d+$/.test(value) && !(bare === "max-jobs" && value === "auto"))
    throw usageError(name, `flag '${word}' requires an integer argument`);
  setOption(settings, option, value);
  return true;
}

/** What is added to a list is added to what was added before. */
function setOption(settings: Map<string, string>, option: string, value: string): void {
  const before = option.startsWith("extra-") && !VALUED.has(option) ? settings.get(option) : undefined;
  settings.set(option, before === undefined ? value : `${before} ${value}`);
}

/** What was downloaded once never grows old, and nobody is asked for more than a moment. */
const OFFLINE: readonly (readonly [option: string, value: string])[] = [
  ["substitute", "false"],
  ["tarball-ttl", "4294967295"],
  ["download-attempts", "1"],
  ["connect-timeout", "1"],
];

/** How long what was asked before counts. */
const TTLS = [
  "tarball-ttl",
  "narinfo-cache-meta-ttl",
  "narinfo-cache-negative-ttl",
  "narinfo-cache-positive-ttl",
];

const NUMBERS = new Set(["cores", "max-jobs", "max-silent-time", "timeout"]);

/** Whether a command is one of `nix SUBCOMMAND`. */
function isNewCommand(name: string): boolean {
  return name === "nix" || name.startsWith("nix ");
}

/** `-rvv` is `-r -v -v`; what is no letter is the last one's value: `-j4`. */
function splitBundle(word: string): string[] {
  const words: string[] = [];
  for (let at = 1; at < word.length; at++) {
    if (!/[a-zA-Z]/.test(word[at] ?? "")) {
      words.push(word.slice(at));
      break;
    }
    words.push(`-${word[at]}`);
  }
  return words;
}
