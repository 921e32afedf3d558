import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { dropGenerations } from "../dropGenerations.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { goToGeneration } from "../nixEnv/generations.ts";
import { defaultProfile, namedProfile } from "../nixEnv/profilePath.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  openInstallables,
  takeInstallableFlag,
  type InstallableFlags,
} from "../nix/installables.ts";
import { takeJsonLayout, type JsonLayout } from "../nix/prettyJson.ts";
import { say } from "../output.ts";
import { readTimeSpec } from "../timeSpec.ts";
import { addPackages } from "./addPackages.ts";
import type { ProfileRun } from "./changeProfile.ts";
import { MATCH_ALL, regexMatcher, wordMatcher } from "./matchers.ts";
import { removePackages } from "./removePackages.ts";
import { listPackages, printClosureDiffs, printHistory } from "./showProfile.ts";
import { upgradePackages } from "./upgradePackages.ts";

/** What an action was given beside what all commands take. */
interface ProfileOptions {
  readonly words: string[];
  readonly installables: InstallableFlags;
  readonly regexes: string[];
  readonly layout: JsonLayout;
  isAll: boolean;
  isJson: boolean;
  isDryRun: boolean;
  profile: string | undefined;
  priority: number | undefined;
  toVersion: string | undefined;
  olderThan: string | undefined;
}

type Action = (run: ProfileRun, options: ProfileOptions) => Promise<number> | number;

/** What each action takes beside `--profile`, and what it does. */
const ACTIONS: Readonly<Record<string, { readonly takes: readonly string[]; readonly run: Action }>> = {
  add: { takes: ["installables", "--priority"], run: add },
  remove: { takes: ["elements", "--all", "--regex"], run: remove },
  upgrade: { takes: ["installables", "elements", "--all", "--regex", "--dry-run"], run: upgrade },
  list: { takes: ["--json"], run: list },
  "diff-closures": { takes: [], run: printClosureDiffs },
  history: { takes: [], run: printHistory },
  rollback: { takes: ["--to", "--dry-run"], run: rollBack },
  "wipe-history": { takes: ["--older-than", "--dry-run"], run: wipeHistory },
};

/** The actions' names, for help and completion. */
export const PROFILE_ACTIONS = Object.keys(ACTIONS);

/** `nix profile ACTION …`. */
export function profile(argv: readonly string[]): Promise<number> {
  return runProfile("nix profile", argv);
}

/**
 * Manages the packages and generations of a profile.
 * @param command how the user called us, for messages
 */
export async function runProfile(command: string, argv: readonly string[]): Promise<number> {
  const options: ProfileOptions = {
    words: [],
    installables: newInstallableFlags(),
    regexes: [],
    layout: { isPretty: undefined },
    isAll: false,
    isJson: false,
    isDryRun: false,
    profile: undefined,
    priority: undefined,
    toVersion: undefined,
    olderThan: undefined,
  };
  const name = actionName(command, argv);
  const action = ACTIONS[name];
  if (action === undefined)
    throw usageError(
      command,
      `'${name}' is not a recognised command; there are ${PROFILE_ACTIONS.join(", ")}`,
    );
  let isActionSeen = false;
  const flags = parseCommandLine(`${command} ${name}`, argv, (word, next, { isLiteral }) => {
    if (isLiteral || !word.startsWith("-")) {
      if (isActionSeen) options.words.push(word);
      isActionSeen = true;
      return true;
    }
    if (word === "--profile") {
      options.profile = next();
      return true;
    }
    const { takes } = action;
    if (takes.includes("installables") && takeInstallableFlag(options.installables, word, next)) return true;
    if (takes.includes("--json") && takeJsonLayout(options.layout, word)) return true;
    return takes.includes(word) && takeFlag(options, `${command} ${name}`, word, next);
  });
  if (
    options.words.length > 0 &&
    !action.takes.some((each) => each === "elements" || each === "installables")
  )
    throw usageError(`${command} ${name}`, `unexpected argument '${options.words[0] ?? ""}'`);
  using context = openProfileContext(`${command} ${name}`, name, flags, options);
  let evaluation: ReturnType<typeof openCompatEvaluation> | undefined;
  const run: ProfileRun = {
    context,
    flags,
    evaluation: () => (evaluation ??= openCompatEvaluation(context, flags)),
    profile: namedProfile(options.profile) ?? defaultProfile(context.settings),
    command,
  };
  return await action.run(run, options);
}

/** The first plain word; `install` is what `add` was called before. */
function actionName(command: string, argv: readonly string[]): string {
  let found: string | undefined;
  // Flags before the action are the common ones; those with values stand with their values.
  parseCommandLine(command, argv, (word, _next, more) => {
    if (word.startsWith("-")) return false;
    found = word;
    more.rest();
    return true;
  });
  if (found === undefined)
    throw usageError(command, `no action specified; there are ${PROFILE_ACTIONS.join(", ")}`);
  if (found !== "install") return found;
  say(`warning: 'install' is a deprecated alias for 'add'`);
  return "add";
}

function takeFlag(options: ProfileOptions, command: string, word: string, next: () => string): boolean {
  switch (word) {
    case "--all":
      options.isAll = true;
      return true;
    case "--regex":
      options.regexes.push(next());
      return true;
    case "--json":
      options.isJson = true;
      return true;
    case "--dry-run":
      options.isDryRun = true;
      return true;
    case "--priority":
      options.priority = integerOf(command, word, next());
      return true;
    case "--to":
      options.toVersion = String(integerOf(command, word, next()));
      return true;
    case "--older-than":
      options.olderThan = next();
      return true;
    default:
      return false;
  }
}

function integerOf(command: string, flag: string, text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw usageError(command, `flag '${flag}' requires an integer argument`);
  return Number(text);
}

/** What is added or upgraded is evaluated as the flags say; what is only shown changes nothing. */
function openProfileContext(
  command: string,
  name: string,
  flags: CommonFlags,
  { installables }: ProfileOptions,
): ReturnType<typeof openContext> {
  if (name === "upgrade") flags.settings.set("tarball-ttl", "0");
  if (name === "add" || name === "upgrade")
    return openInstallableContext(flags, installables, { name: command });
  return openContext(flags);
}

function add(run: ProfileRun, { words, installables, priority }: ProfileOptions): Promise<number> {
  return addPackages(run, openInstallables(run.context, run.flags, installables, words), priority);
}

function remove(run: ProfileRun, options: ProfileOptions): Promise<number> {
  return removePackages(run, matchersOf(run, options));
}

function upgrade(run: ProfileRun, options: ProfileOptions): Promise<number> {
  const { isDryRun, installables } = options;
  return upgradePackages(run, matchersOf(run, options), { flake: installables.flake, isDryRun });
}

function matchersOf(
  { context }: ProfileRun,
  { words, regexes, isAll }: ProfileOptions,
): ReturnType<typeof wordMatcher>[] {
  return [
    ...(isAll ? [MATCH_ALL] : []),
    ...regexes.map(regexMatcher),
    ...words.map((word) => wordMatcher(word, context.settings.storeDir)),
  ];
}

function list(run: ProfileRun, { isJson, layout }: ProfileOptions): number {
  return listPackages(run, isJson ? layout : undefined);
}

function rollBack({ context, profile: path }: ProfileRun, { toVersion, isDryRun }: ProfileOptions): number {
  goToGeneration(context.store, path, toVersion, isDryRun);
  return 0;
}

function wipeHistory({ context, profile: path, command }: ProfileRun, options: ProfileOptions): number {
  const { olderThan, isDryRun } = options;
  dropGenerations(
    context.store,
    path,
    olderThan === undefined
      ? { kind: "old" }
      : { kind: "olderThan", ms: readTimeSpec(`${command} wipe-history`, olderThan) },
    isDryRun,
  );
  return 0;
}
