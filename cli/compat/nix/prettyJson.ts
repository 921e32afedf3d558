import { printLine } from "../output.ts";

/** How JSON is to look: `--pretty` and `--no-pretty`; undefined: on a terminal only. */
export interface JsonLayout {
  isPretty: boolean | undefined;
}

/** Takes `--pretty` and `--no-pretty`. */
export function takeJsonLayout(layout: JsonLayout, word: string): boolean {
  if (word !== "--pretty" && word !== "--no-pretty") return false;
  layout.isPretty = word === "--pretty";
  return true;
}

/** Prints JSON without spaces between its words, laid out as asked. */
export function printJsonLine(json: string, { isPretty }: JsonLayout): void {
  printLine((isPretty ?? process.stdout.isTTY) ? indentJson(json) : json);
}

/** Lays out JSON that has no spaces between its words, two spaces a level; numbers stay as they are written. */
export function indentJson(json: string): string {
  let indent = "";
  return json.replace(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}[\],:]/gs, (word) => {
    switch (word) {
      case "{":
      case "[":
        indent += "  ";
        return `${word}\n${indent}`;
      case "}":
      case "]":
        indent = indent.slice(2);
        return `\n${indent}${word}`;
      case ",":
        return `,\n${indent}`;
      case ":":
        return ": ";
      default:
        return word;
    }
  });
}
