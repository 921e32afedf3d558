import { FLAGS, flagOfWord } from "./flags.ts";
import type { FlagName, FlagSpec } from "./flags.ts";

/**
 * The words that select an environment, as they were written, for the cache's key. The launcher reads a command line
 * in the same way (`devshell_warm` in cli/devshell): a test holds the two together.
 * @param argv the words after the command's name
 * @param isPassThrough the first plain word begins a command (`run`)
 */
export function selectionOf(argv: readonly string[], isPassThrough: boolean): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") return isPassThrough ? words : [...words, ...argv.slice(at + 1)];
    if (!word.startsWith("-") || word === "-") {
      if (isPassThrough) return words;
      words.push(word);
      continue;
    }
    const whole = flagOfWord(word);
    const name = whole ?? flagOfJoinedWord(word);
    if (name === undefined) continue;
    const spec: FlagSpec = FLAGS[name];
    const end = whole === undefined ? at + 1 : at + 1 + spec.values.length;
    if (spec.isSelecting === true) words.push(...argv.slice(at, end));
    at = end - 1;
  }
  return words;
}

/** `--attr=pan` and `-Apan`. */
function flagOfJoinedWord(word: string): FlagName | undefined {
  return word.startsWith("--") ? flagOfWord(word.split("=", 1)[0] ?? "") : flagOfWord(word.slice(0, 2));
}
