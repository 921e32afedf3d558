import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { isValuedSetting, usageError } from "../commandLine.ts";
import { printHelp, printLine, printVersion, say } from "../output.ts";
import { expandScript } from "./scriptWords.ts";
import { SUMMARIES } from "./summaries.ts";
import type { NixCommand } from "./types.ts";

const LOADERS: Readonly<Record<string, () => Promise<NixCommand>>> = {
  "__build-remote": async () => (await import("./buildRemote.ts")).buildRemote,
  bundle: async () => (await import("./bundle.ts")).bundle,
  build: async () => (await import("./build.ts")).build,
  copy: async () => (await import("./copy.ts")).copy,
  daemon: async () => (await import("./daemon.ts")).daemon,
  doctor: async () => (await import("./doctor.ts")).doctor,
  "why-depends": async () => (await import("./whyDepends.ts")).whyDepends,
  edit: async () => (await import("./edit.ts")).edit,
  eval: async () => (await import("./eval.ts")).evaluate,
  flake: async () => (await import("./flake/index.ts")).flake,
  fmt: async () => (await import("./formatter.ts")).fmt,
  formatter: async () => (await import("./formatter.ts")).formatter,
  hash: async () => (await import("./hash.ts")).hash,
  key: async () => (await import("./key.ts")).key,
  log: async () => (await import("./log.ts")).log,
  nar: async () => (await import("./nar.ts")).nar,
  "path-info": async () => (await import("./pathInfo.ts")).pathInfo,
  profile: async () => (await import("../nixProfile/index.ts")).profile,
  "upgrade-nix": async () => (await import("./upgradeNix.ts")).upgradeNix,
  registry: async () => (await import("./registry.ts")).registry,
  repl: async () => (await import("./repl.ts")).repl,
  develop: async () => (await import("./dev/develop.ts")).develop,
  "print-dev-env": async () => (await import("./dev/printDevEnv.ts")).printDevEnv,
  run: async () => (await import("./run.ts")).run,
  search: async () => (await import("./search.ts")).search,
  shell: async () => (await import("./shell.ts")).shell,
  env: async () => (await import("./shell.ts")).env,
  store: async () => (await import("./store.ts")).store,
  config: async () => (await import("./config.ts")).config,
  "show-config": async () => (await import("./config.ts")).showConfig,
  "show-derivation": async () => {
    const { derivation } = await import("./derivation.ts");
    return (argv) => derivation(["show", ...argv]);
  },
  derivation: async () => (await import("./derivation.ts")).derivation,
};

/** Old names, which Nix warns of. */
const ALIASES: Readonly<Record<string, readonly [command: string, ...rest: string[]]>> = {
  "add-to-store": ["store", "add-path"],
  "cat-nar": ["nar", "cat"],
  "cat-store": ["store", "cat"],
  "copy-sigs": ["store", "copy-sigs"],
  "dev-shell": ["develop"],
  "diff-closures": ["store", "diff-closures"],
  "dump-path": ["store", "dump-path"],
  "hash-file": ["hash", "file"],
  "hash-path": ["hash", "path"],
  "ls-nar": ["nar", "ls"],
  "ls-store": ["store", "ls"],
  "make-content-addressable": ["store", "make-content-addressed"],
  "optimise-store": ["store", "optimise"],
  "ping-store": ["store", "info"],
  realisation: ["store", "build-trace"],
  "sign-paths": ["store", "sign"],
  "to-base16": ["hash", "to-base16"],
  "to-base32": ["hash", "to-base32"],
  "to-base64": ["hash", "to-base64"],
  verify: ["store", "verify"],
};

/** `nix SUBCOMMAND`: those that scripts need most. */
export async function runNix(argv: readonly string[]): Promise<number> {
  const asked = process.env["NIX_GET_COMPLETIONS"];
  if (asked !== undefined && /^\d+$/.test(asked)) {
    const { completionsOf } = await import("./completion/complete.ts");
    for (const line of completionsOf(argv, Number(asked), Object.keys(LOADERS))) printLine(bytesOfText(line));
    return 0;
  }
  const leading: string[] = [];
  const words = [...expandScript(argv)];
  for (let word = words[0]; word !== undefined && word.startsWith("-"); word = words[0]) {
    if (word === "--version") return printVersion("nix");
    if (word === "--help") return printHelp("nix");
    words.shift();
    leading.push(word);
    for (let count = VALUES[word] ?? (isValuedSetting(word) ? 1 : 0); count > 0; count--)
      leading.push(words.shift() ?? "");
  }
  const alias = Object.hasOwn(ALIASES, words[0] ?? "") ? ALIASES[words[0] ?? ""] : undefined;
  if (alias !== undefined) {
    say(`warning: '${words[0]}' is a deprecated alias for '${alias.join(" ")}'`);
    words.splice(0, 1, ...alias);
  }
  const [name, ...rest] = words;
  if (name === undefined) throw usageError("nix", "no subcommand specified");
  // After `--` and `-c` stand the words of another program.
  const end = rest.findIndex((word) => word === "--" || word === "-c" || word === "--command");
  if (rest.slice(0, end < 0 ? undefined : end).includes("--help"))
    return printHelp(`nix ${name}`, SUMMARIES[name]);
  const load = LOADERS[name];
  if (load === undefined)
    throw new DevshellError("CLI_NOT_BUILT", `Cannot run "nix ${name}": it is not built yet`, {
      hint: `there are ${Object.keys(LOADERS).join(", ")}`,
    });
  const run = await load();
  return run([...leading, ...rest]);
}

/** Common flags that may stand before the subcommand, with the words they take. */
const VALUES: Readonly<Record<string, number>> = {
  "--extra-experimental-features": 1,
  "--experimental-features": 1,
  "--option": 2,
  "--store": 1,
  "--eval-store": 1,
  "--log-format": 1,
};
