import { BUILD_FLAGS, COMMON_FLAGS, EVALUATION_FLAGS, SELECTION_FLAGS } from "./flags.ts";
import type { CommandSpec } from "./parseCommand.ts";

export interface CommandEntry extends CommandSpec {
  readonly isHidden?: boolean | undefined;
}

const SHELLS = ["bash", "zsh", "fish"] as const;
const SPEC_WORDS = {
  name: "spec",
  help: "a directory, a file, <entry> of the search path; nothing: the project's own spec",
  isOptional: true,
  isVariadic: true,
  completes: "file",
} as const;

const PROTOCOL_HELP =
  "JSON for programs is versioned; cli/protocol/protocol.schema.json in the package is its schema";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "enter",
    summary: "Enter the environment of a project, or of what is named",
    description: "Without a command's name, devshell enters",
    arguments: [SPEC_WORDS],
    flags: [
      ...SELECTION_FLAGS,
      "run",
      "command",
      "interpreter",
      "noReload",
      ...BUILD_FLAGS,
      "json",
      ...COMMON_FLAGS,
    ],
    examples: [
      ["devshell", "enter the project around here"],
      ["devshell --run 'make check'", "run one command of Bash in it"],
      ["devshell '<debian>' -A pan", "all that is needed to build pan"],
      ["devshell -p jq python3", "a shell with these packages"],
    ],
    isHidden: true,
  },
  {
    name: "run",
    summary: "Run a command in the environment, without a terminal of its own",
    arguments: [
      { name: "command", help: "the command", completes: "command" },
      { name: "args", help: "its arguments", isOptional: true, isVariadic: true, completes: "file" },
    ],
    flags: [...SELECTION_FLAGS, ...BUILD_FLAGS, ...COMMON_FLAGS],
    isPassThrough: true,
    examples: [["devshell run -- make -j4", "exactly as make itself: standard input, status, signals"]],
  },
  {
    name: "code",
    summary: "Open an editor that has the environment from its first moment",
    arguments: [
      {
        name: "directory",
        help: "the project, or <collection> with -A; nothing: here",
        isOptional: true,
        isVariadic: true,
        completes: "directory",
      },
    ],
    flags: ["editor", "installExtension", ...SELECTION_FLAGS, ...BUILD_FLAGS, ...COMMON_FLAGS],
    examples: [
      ["devshell code", "VS Code, or what is like it, with this project"],
      ["devshell code -A pan -- --new-window", "an attribute's environment; what follows -- is the editor's"],
      ["devshell code --editor codium", "another editor; DEVSHELL_EDITOR names one for good"],
    ],
  },
  {
    name: "env",
    summary: "Print the environment",
    arguments: [SPEC_WORDS],
    flags: ["sh", "fish", "json", "direnv", ...SELECTION_FLAGS, ...BUILD_FLAGS, ...COMMON_FLAGS],
    description: PROTOCOL_HELP,
    examples: [['eval "$(devshell env --sh)"', "take it into this very shell"]],
  },
  {
    name: "watch",
    summary: "Say what becomes of the environment whenever its inputs change",
    description: `With --json events as lines. ${PROTOCOL_HELP}`,
    arguments: [SPEC_WORDS],
    flags: ["json", "once", ...SELECTION_FLAGS, ...BUILD_FLAGS, ...COMMON_FLAGS],
    examples: [["devshell watch --json --once", "what an editor runs to load the environment"]],
  },
  {
    name: "attributes",
    summary: "List what -A can name in the spec",
    arguments: [
      { name: "prefix", help: "only names that begin so; with dots: inside an attribute", isOptional: true },
    ],
    flags: ["json", "file", "include", "arg", "argstr", "option", ...COMMON_FLAGS],
    examples: [["devshell attributes -f '<debian>' pan", "pan and its like"]],
  },
  {
    name: "closure",
    summary: "Show all store paths that the environment needs, with their sizes",
    description: "Of store paths, what they need; with --all, everything in the store",
    arguments: [SPEC_WORDS],
    flags: ["json", "browse", "svg", "all", ...SELECTION_FLAGS, ...BUILD_FLAGS, ...COMMON_FLAGS],
    examples: [
      ["devshell closure --browse", "which path needs which, by the arrow keys"],
      ["devshell closure --all --svg disk.svg", "a picture of what is in the store"],
    ],
  },
  {
    name: "packages",
    summary: "List packages of the spec's collection",
    description: "Of <debian> those of the index that was fetched last; no mirror is asked",
    arguments: [{ name: "prefix", help: "how their names begin" }],
    flags: ["json", "file", "collection", "include", "option", ...COMMON_FLAGS],
    examples: [
      ["devshell packages python3-num", "names, versions and summaries"],
      ["devshell packages --collection nixpkgs python3", "of another collection than the spec's"],
    ],
  },
  {
    name: "eval",
    summary: "Evaluate an expression of the Nix language and print its value",
    arguments: [{ ...SPEC_WORDS, help: "an expression with -E, else a file" }],
    flags: [...EVALUATION_FLAGS, "strict", "json", "raw", "option", ...COMMON_FLAGS],
    examples: [["devshell eval -E '1 + 1'", "2"]],
  },
  {
    name: "repl",
    summary: "Try expressions of the Nix language, line by line",
    arguments: [
      { name: "files", help: "are loaded first", isOptional: true, isVariadic: true, completes: "file" },
    ],
    flags: ["file", "expr", "include", "arg", "argstr", "option", ...COMMON_FLAGS],
    examples: [["devshell repl '<debian>'", "with the collection's packages as names"]],
  },
  {
    name: "instantiate",
    summary: "Evaluate derivations and print their .drv paths",
    arguments: [SPEC_WORDS],
    flags: [...EVALUATION_FLAGS, "addRoot", "json", "option", ...COMMON_FLAGS],
  },
  {
    name: "build",
    summary: "Build or substitute derivations and print their outputs",
    arguments: [{ ...SPEC_WORDS, help: "files, store paths or .drv paths; nothing: default.nix here" }],
    flags: [...EVALUATION_FLAGS, "outLink", "noOutLink", "dryRun", ...BUILD_FLAGS, "json", ...COMMON_FLAGS],
  },
  {
    name: "profile",
    summary: "Keep packages at hand in every shell, with generations to go back to",
    description: "The profile and its generations are Nix's: `nix profile` reads and changes the same ones",
    arguments: [
      {
        name: "action",
        help: "what to do",
        choices: ["add", "remove", "upgrade", "list", "history", "rollback", "wipe-history", "diff-closures"],
      },
      {
        name: "words",
        help: "packages: store paths, flakes, with -f attributes of a file, with -p packages of <debian>; to remove or upgrade, their names in the list",
        isOptional: true,
        isVariadic: true,
        completes: "file",
      },
    ],
    flags: [
      "profile",
      "file",
      "packages",
      "priority",
      "all",
      "regex",
      "toVersion",
      "olderThan",
      "dryRun",
      "json",
      ...BUILD_FLAGS,
      ...COMMON_FLAGS,
    ],
    examples: [
      ["devshell profile add -p jq ripgrep", "packages of the collection <debian>"],
      ["devshell profile add ./result", "what was built here"],
      ["devshell profile add nixpkgs#hello", "a package of a flake: upgrade looks there again"],
      ["devshell profile rollback", "back to what it was before the last change"],
    ],
  },
  {
    name: "init",
    summary: "Start a project from a template",
    arguments: [
      { name: "template", help: "which; nothing: list them", isOptional: true },
      { name: "directory", help: "where; nothing: here", isOptional: true, completes: "directory" },
    ],
    flags: ["force", ...COMMON_FLAGS],
  },
  {
    name: "update",
    summary: "Bring the project's lock up to date",
    arguments: [{ name: "inputs", help: "which; nothing: all", isOptional: true, isVariadic: true }],
    flags: ["json", ...COMMON_FLAGS],
  },
  {
    name: "gc",
    summary: "Delete what nothing needs any more from the store",
    arguments: [],
    flags: ["dryRun", "why", "olderThan", "maxFreed", "evalCache", "printRoots", "json", ...COMMON_FLAGS],
    examples: [
      ["devshell gc --dry-run", "who keeps how much, and what would be freed"],
      ["devshell gc --dry-run --older-than 30d", "and without environments that were long not entered"],
      ["devshell gc --why ./result", "the chain from a root to a path"],
    ],
  },
  {
    name: "daemon",
    summary: "Serve the store to other users, by Nix's worker protocol",
    arguments: [],
    flags: ["stdio", "socket", ...COMMON_FLAGS],
    examples: [["devshell daemon", "for `NIX_REMOTE=daemon` and every Nix on this machine"]],
  },
  {
    name: "store",
    summary: "Look into the store and mend it",
    arguments: [
      {
        name: "action",
        help: "what to do",
        choices: [
          "add",
          "add-text",
          "path-info",
          "verify",
          "dump",
          "restore",
          "ls",
          "cat",
          "delete",
          "optimise",
          "roots",
        ],
      },
      { name: "words", help: "paths", isOptional: true, isVariadic: true, completes: "file" },
    ],
    flags: ["json", "recursive", "checkContents", "repair", "name", "flat", "dryRun", ...COMMON_FLAGS],
  },
  {
    name: "cache",
    summary: "Serve the store as a binary cache over HTTP",
    description: "Until it is interrupted. Clients: `substituters = http://HOST:PORT`",
    arguments: [
      { name: "action", help: "what to do", choices: ["serve"] },
      { name: "words", help: "none", isOptional: true, isVariadic: true },
    ],
    flags: ["listen", "secretKey", "priority", "compression", "option", ...COMMON_FLAGS],
    examples: [
      ["devshell cache serve", "for this machine, at http://127.0.0.1:5000"],
      ["devshell cache serve --listen :5000 --secret-key key.sec", "for everybody, signed"],
    ],
  },
  {
    name: "copy",
    summary: "Copy store paths, with what they refer to, between stores",
    description:
      "Stores: a directory, file://, http://, https://, s3://, ssh://HOST, ssh-ng://HOST, daemon; as `nix copy`",
    arguments: [
      {
        name: "installables",
        help: "store paths, attributes of flakes, files with -f",
        isOptional: true,
        isVariadic: true,
        completes: "file",
      },
    ],
    flags: [
      "from",
      "to",
      "all",
      "noRecursive",
      "noCheckSigs",
      "substituteOnDestination",
      "file",
      "expr",
      "option",
      ...COMMON_FLAGS,
    ],
    examples: [["devshell copy --to file:///srv/cache ./result", "into a binary cache on this machine"]],
  },
  {
    name: "doctor",
    summary: "Say what this machine allows, and what to do about the rest",
    arguments: [],
    flags: ["json", ...COMMON_FLAGS],
  },
  {
    name: "explain",
    summary: "Say who set a variable of the environment",
    arguments: [{ name: "variable", help: "its name" }],
    flags: [...SELECTION_FLAGS, "json", ...COMMON_FLAGS],
  },
  {
    name: "diff",
    summary: "Show what entering changes, secrets masked",
    arguments: [SPEC_WORDS],
    flags: [...SELECTION_FLAGS, "json", ...COMMON_FLAGS],
  },
  {
    name: "allow",
    summary: "Trust the project's spec as it is now",
    arguments: [],
    flags: [...COMMON_FLAGS],
  },
  {
    name: "compat",
    summary: "Put the commands nix-shell, nix-build and so on into a directory",
    arguments: [{ name: "directory", help: "where to make the links", completes: "directory" }],
    flags: ["force", ...COMMON_FLAGS],
  },
  {
    name: "completion",
    summary: "Print a shell's completion of devshell",
    arguments: [{ name: "shell", help: "for which shell", choices: SHELLS }],
    flags: [],
    examples: [['eval "$(devshell completion bash)"', "in ~/.bashrc"]],
  },
  {
    name: "hook",
    summary: "Print a shell's hook that enters and leaves with cd",
    arguments: [{ name: "shell", help: "for which shell", choices: SHELLS }],
    flags: [],
  },
];

export function findCommand(name: string): CommandEntry | undefined {
  return COMMANDS.find((command) => command.name === (name === "shell" ? "enter" : name));
}
