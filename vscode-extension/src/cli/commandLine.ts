/** How many words follow a flag that selects an environment; others take none. As `FLAGS` in cli/flags.ts has it. */
const VALUE_COUNTS: Readonly<Record<string, number>> = {
  "-A": 1,
  "--attr": 1,
  "-f": 1,
  "--file": 1,
  "-I": 1,
  "--include": 1,
  "--keep": 1,
  "--exclude": 1,
  "--arg": 2,
  "--argstr": 2,
  "--option": 2,
};

/** The CLI's words that run a program with its arguments in a selected environment. */
export function runArguments(selection: readonly string[], words: readonly string[]): string[] {
  // `devshell run` takes the first plain word for the command: `<debian> -A pan` has to go before --run.
  if (hasPlainWord(selection)) return textArguments(selection, words.map(quoteSh).join(" "));
  return ["run", ...selection, "--", ...words];
}

/** The CLI's words that run a text of Bash in a selected environment. */
export function textArguments(selection: readonly string[], text: string): string[] {
  return [...selection, "--run", text];
}

/** What a user typed to select an environment: `pan`, `<debian> -A pan`, `-p jq "python3"`. */
export function parseSelection(text: string): readonly string[] | undefined {
  const words = splitWords(text);
  if (words === undefined) return undefined;
  const [first] = words;
  if (words.length === 1 && first !== undefined && /^[\w.+'-]+$/.test(first) && !first.startsWith("-"))
    return ["-A", first];
  return words;
}

/** A selection as one would type it. */
export function selectionText(selection: readonly string[]): string {
  return selection.map((word) => (/^[\w@%+=:,./<>-]+$/.test(word) ? word : quoteSh(word))).join(" ");
}

/** Words for a log: what `--arg`, `--argstr` and `--option` give may be a secret. */
export function loggedWords(words: readonly string[]): string {
  const shown = words.map((word, at) => (VALUE_COUNTS[words[at - 2] ?? ""] === 2 ? "••••" : word));
  return shown.join(" ");
}

/** One word of a POSIX shell. */
export function quoteSh(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function hasPlainWord(selection: readonly string[]): boolean {
  for (let at = 0; at < selection.length; at++) {
    const word = selection[at] ?? "";
    if (!word.startsWith("-") || word === "-") return true;
    at += VALUE_COUNTS[word] ?? 0;
  }
  return false;
}

/** Splits at blanks, with quotes and backslashes as in a shell; `undefined`: a quote stays open. */
function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s"'\\]|\\[^]|"(?:[^"\\]|\\[^])*"|'[^']*')+)\s*/gy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return text.trim() === "" ? [] : undefined;
    words.push(
      (match[1] ?? "").replace(
        /\\([^])|"((?:[^"\\]|\\[^])*)"|'([^']*)'/g,
        (_, escaped?: string, double?: string, single?: string) =>
          escaped ?? double?.replace(/\\(["\\$`])/g, "$1") ?? single ?? "",
      ),
    );
  }
  return words;
}
