import { DevshellError } from "../core/index.ts";
import type { Invocation } from "./invocation.ts";
import { readHead } from "./readHead.ts";

/** A script that names devshell in its first line: its options, and the words to run in the environment. */
export interface ExpandedScript {
  readonly argv: readonly string[];
  /** The script's path and its own arguments. */
  readonly script: readonly string[];
}

const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Recognises shebang use: `#!/usr/bin/env devshell`, then lines `#! devshell -i bash -p jq`, whose words are read as
 * a shell would. The kernel gives the script's path as the last word before its arguments.
 * @param program the name that the lines must bear (`devshell`, `nix-shell`)
 */
export function expandScript(argv: readonly string[], program: string): ExpandedScript | undefined {
  const at = argv.findIndex((word) => !word.startsWith("-"));
  const path = argv[at];
  if (path === undefined || !path.includes("/")) return undefined;
  const lines = readHead(path, MAX_HEAD_BYTES)?.split("\n");
  if (lines === undefined || !(lines[0] ?? "").startsWith("#!") || !(lines[0] ?? "").includes(program))
    return undefined;
  const words: string[] = [];
  for (const line of lines.slice(1)) {
    const match = new RegExp(`^\\s*(?:#|//|--|;)!?\\s*(?:!\\s*)?${program}(\\s.*)?$`).exec(line);
    // Another interpreter's line may stand between: `#! ruby`.
    if (match === null && line.startsWith("#!")) continue;
    if (match === null) break;
    words.push(...splitWords(match[1] ?? ""));
  }
  return { argv: [...argv.slice(0, at), ...words], script: [path, ...argv.slice(at + 1)] };
}

/** Runs a script by the interpreter that its lines name (`-i`), Bash without one. */
export async function runScript(invocation: Invocation, script: readonly string[]): Promise<number> {
  const interpreter = invocation.flags.value("interpreter") ?? "bash";
  const { enterWith } = await import("./enterRecord.ts");
  // Ruby would read the script's first line itself, and start us again.
  const loader = /ruby/.test(interpreter) ? ["-e", "load(ARGV.shift)", "--"] : [];
  return enterWith(invocation, { kind: "run", words: [...splitWords(interpreter), ...loader, ...script] });
}

/** Splits as nix-shell does: quotes, and backslashes everywhere but in single quotes; no expansion. @throws {DevshellError} `CLI_QUOTE_OPEN` */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'" || character === '"') {
      const end = closingQuote(text, at);
      const inner = text.slice(at + 1, end);
      word = (word ?? "") + (character === '"' ? inner.replace(/\\([^])/g, "$1") : inner);
      at = end;
    } else if (character === "\\" && at + 1 < text.length) {
      at++;
      word = (word ?? "") + (text[at] ?? "");
    } else word = (word ?? "") + character;
  }
  if (word !== undefined) words.push(word);
  return words;
}

function closingQuote(text: string, open: number): number {
  const quote = text[open];
  for (let at = open + 1; at < text.length; at++) {
    if (quote === '"' && text[at] === "\\") at++;
    else if (text[at] === quote) return at;
  }
  throw new DevshellError("CLI_QUOTE_OPEN", `Cannot read "${text.trim()}": a quote is not closed`);
}
