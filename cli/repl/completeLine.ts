import { readdirSync, statSync } from "node:fs";
import { textOfBytes } from "../../core/index.ts";
import { AttrSet, type Value } from "../../lang/index.ts";

export interface CompletionScope {
  readonly names: readonly string[];
  readonly builtins: AttrSet;
  readonly evaluate: (text: string) => Value;
}

const KEYWORDS = ["builtins", "let", "with", "inherit", "rec", "if", "then", "else", "assert"] as const;
/** Builtins that have their name without `builtins.` too. */
const GLOBAL_BUILTINS: ReadonlySet<string> = new Set(
  `abort baseNameOf break derivation derivationStrict dirOf false fetchGit fetchMercurial fetchTarball fetchTree
   fromTOML import isNull map null placeholder removeAttrs scopedImport throw toString true`.split(/\s+/),
);

/** What may stand for the line's last word, and that word. */
export function completeLine(line: string, scope: CompletionScope): [string[], string] {
  const path = /[^\s(){}[\]]*\/[^\s(){}[\]]*$/.exec(line)?.[0];
  if (path !== undefined) return [filesFrom(path), path];
  const word = /[a-zA-Z_][a-zA-Z0-9_'.-]*$/.exec(line)?.[0] ?? "";
  const dot = word.lastIndexOf(".");
  const start = word.slice(dot + 1);
  const prefix = word.slice(0, dot + 1);
  const found = (dot < 0 ? globalNames(scope) : attributesOf(scope, word.slice(0, dot)))
    .filter((name) => name.startsWith(start))
    .toSorted();
  return [found.map((name) => prefix + name), word];
}

/** Paths that go on like this, but to hidden files; `~` is the home directory. */
function filesFrom(path: string): string[] {
  const end = path.lastIndexOf("/") + 1;
  const directory = path.slice(0, end).replace(/^~(?=\/)/, process.env["HOME"] ?? "~");
  try {
    return readdirSync(directory)
      .filter((name) => !name.startsWith(".") && name.startsWith(path.slice(end)))
      .toSorted()
      .map((name) => path.slice(0, end) + name + (isDirectory(directory + name) ? "/" : ""));
  } catch {
    return [];
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function globalNames({ names, builtins }: CompletionScope): string[] {
  return [...names, ...KEYWORDS, ...builtins.sortedNames().filter((name) => GLOBAL_BUILTINS.has(name))];
}

/** Nothing where the expression fails: a completion must not complain. */
function attributesOf({ evaluate }: CompletionScope, text: string): string[] {
  try {
    const value = evaluate(text);
    return value instanceof AttrSet ? value.sortedNames().map(textOfBytes) : [];
  } catch {
    return [];
  }
}
