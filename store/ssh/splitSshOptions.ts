import { DevshellError } from "../../core/index.ts";

/**
 * Splits the words of `NIX_SSHOPTS`: quotes and backslashes as in a shell, nothing is expanded.
 * @throws {DevshellError} `SSH_OPTIONS_INVALID`
 */
export function splitSshOptions(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (quote === "" && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === quote) quote = "";
    else if (quote === "" && (character === "'" || character === '"')) {
      quote = character;
      word ??= "";
    } else if (character === "\\" && quote !== "'" && at + 1 < text.length) {
      at++;
      word = (word ?? "") + (text[at] ?? "");
    } else word = (word ?? "") + character;
  }
  if (quote !== "")
    throw new DevshellError(
      "SSH_OPTIONS_INVALID",
      `while splitting NIX_SSHOPTS '${text}': unterminated quote`,
    );
  if (word !== undefined) words.push(word);
  return words;
}
