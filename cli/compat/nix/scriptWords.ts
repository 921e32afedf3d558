import { dirname, resolve } from "node:path";
import { usageError } from "../commandLine.ts";
import { setScriptDirectory } from "../baseDirectory.ts";
import { readHead } from "../../readHead.ts";

const MAX_HEAD_BYTES = 1 << 20;
/** What a comment may begin with, in the languages of scripts. */
const COMMENT = /^[#/\\%@*\-(]/;

/**
 * Recognises a script that begins `#!/usr/bin/env nix`, and has the words of the command in the lines `#! nix …` that
 * follow: those, the script, and its own arguments are the command line then.
 */
export function expandScript(argv: readonly string[]): readonly string[] {
  const [script, ...rest] = argv;
  if (script === undefined || script.startsWith("-")) return argv;
  const head = readHead(script, MAX_HEAD_BYTES);
  if (head === undefined || !head.startsWith("#!")) return argv;
  let text = "";
  for (const line of head.split("\n").slice(1)) {
    if (!COMMENT.test(line)) break;
    const match = /^#!\s*nix(?: |$)(.*)$/.exec(line.trimEnd());
    if (match !== null) text += `${match[1] ?? ""}\n`;
  }
  setScriptDirectory(dirname(resolve(script)));
  return [...scriptWords(text), script, ...rest];
}

/**
 * Splits at blanks; between double backquotes everything is itself, and more than two backquotes stand for one less.
 * @throws {DevshellError} `CLI_USAGE`
 */
export function scriptWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  for (let at = 0; at < text.length;) {
    const char = text[at] ?? "";
    if (text.startsWith("``", at)) {
      const quoted = readQuoted(text, at + 2);
      words.push(quoted.word);
      at = quoted.end;
      word = "";
      continue;
    }
    if (/\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
    } else if (char === "`")
      throw usageError("nix", "single backtick is not a supported syntax in the nix shebang.");
    else if (/[$*~<>|;()[\]{}'"\\]/.test(char))
      throw usageError(
        "nix",
        `unsupported unquoted character in nix shebang: ${char}. Use double backticks to escape?`,
      );
    else if (char === "#" && word === "")
      throw usageError(
        "nix",
        "unquoted nix shebang argument cannot start with #. Use double backticks to escape?",
      );
    else word += char;
    at++;
  }
  if (word !== "") words.push(word);
  return words;
}

function readQuoted(text: string, start: number): { readonly word: string; readonly end: number } {
  let word = "";
  for (let at = start; at < text.length;) {
    const ticks = /^ ?(`{2,})/.exec(text.slice(at));
    if (ticks === null) word += text[at++] ?? "";
    else if (ticks[1] === "``") return { word, end: at + ticks[0].length };
    else {
      word += ticks[0].slice(0, -1);
      at += ticks[0].length;
    }
  }
  throw usageError("nix", "unterminated quoted string in nix shebang");
}
