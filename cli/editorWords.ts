import { statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { DevshellError } from "../core/index.ts";
import { FLAGS, flagOfWord } from "./flags.ts";
import type { FlagSpec, ParsedFlags } from "./flags.ts";
import { selectionOf } from "./selection.ts";

export interface EditorWords {
  /** Absolute: what is opened. */
  readonly directory: string;
  /** The command line without the directory and without what is the editor's. */
  readonly selecting: readonly string[];
  /** What is entered, where it is not the directory's own spec. */
  readonly specWords: readonly string[];
  /** The words that select the environment, for the extension. */
  readonly selection: readonly string[];
  /** After `--`. */
  readonly editorWords: readonly string[];
}

/**
 * Tells apart the words of `devshell code [DIRECTORY | <collection> | FILE.nix] [-- WORDS]`.
 * @param caller the current directory
 * @throws {DevshellError} `CLI_USAGE`, `CLI_NO_DIRECTORY`
 */
export function readEditorWords(argv: readonly string[], flags: ParsedFlags, caller: string): EditorWords {
  const { plainAt, end } = plainWords(argv);
  const editorWords = argv.slice(end + 1);
  const words = plainAt.map((at) => argv[at] ?? "");
  const whole = argv.slice(0, end);
  const [first] = words;
  if (first === undefined || flags.has("packages") || flags.has("expr"))
    return { directory: caller, selecting: whole, specWords: words, selection: selectionOf(whole, false), editorWords }; // prettier-ignore

  const at = words.findIndex((word) => kindOf(word, caller) === "directory");
  if (at !== -1 && words.length > 1)
    throw new DevshellError("CLI_USAGE", "Cannot open a directory and enter something else by a plain word", {
      hint: `name what is entered by -f: devshell code ${words[at]} -f ${words.find((_, other) => other !== at)}`,
    });
  if (at === -1) {
    for (const word of words) checkSpecWord(word, caller);
    return { directory: caller, selecting: whole, specWords: words, selection: selectionOf(whole, false), editorWords }; // prettier-ignore
  }
  const selecting = whole.filter((_, index) => index !== plainAt[at]);
  return {
    directory: absolute(first, caller),
    selecting,
    specWords: [],
    selection: selectionOf(selecting, false),
    editorWords,
  };
}

/** Where the plain words are, and where `--` ends them. */
function plainWords(argv: readonly string[]): { readonly plainAt: readonly number[]; readonly end: number } {
  const plainAt: number[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") return { plainAt, end: at };
    const name = flagOfWord(word);
    const flag: FlagSpec | undefined = name === undefined ? undefined : FLAGS[name];
    if (flag !== undefined) at += flag.values.length;
    else if (!word.startsWith("-")) plainAt.push(at);
  }
  return { plainAt, end: argv.length };
}

function checkSpecWord(word: string, caller: string): void {
  if (word.startsWith("<")) return;
  const kind = kindOf(word, caller);
  if (kind === undefined)
    throw new DevshellError("CLI_NO_DIRECTORY", `Cannot open "${word}": there is no such directory`, {
      hint: "packages are named by -p, attributes by -A",
    });
  if (!word.endsWith(".nix"))
    throw new DevshellError("CLI_USAGE", `Cannot enter "${word}": it is not a Nix expression`, {
      hint: `the editor's own files come after --: devshell code -- ${word}`,
    });
}

function kindOf(word: string, caller: string): "directory" | "file" | undefined {
  const stat = statSync(absolute(word, caller), { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isDirectory() ? "directory" : "file";
}

/** Without resolving links: the cache and the extension know a project by the path that its user knows. */
function absolute(path: string, caller: string): string {
  const joined = isAbsolute(path) ? join(path) : join(caller, path);
  return joined.length > 1 && joined.endsWith("/") ? joined.slice(0, -1) : joined;
}
