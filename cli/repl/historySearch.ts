import type { Interface } from "node:readline";
import { textOfBytes } from "../../core/index.ts";

/** Ctrl-R, which begins a search and looks for an older line in one. */
export const SEARCH_KEY = "\x12";
// oxlint-disable-next-line no-control-regex
const ERASE = /[\x08\x7f]/;
/** Ctrl-C and Ctrl-G give the search up. */
// oxlint-disable-next-line no-control-regex
const CANCEL = /[\x03\x07]/;

/** Looks for a line of the history by a part of it; each key shows what is found so far. */
export class HistorySearch {
  readonly #editor: Interface;
  readonly #prompt: string;
  /** Newest first. */
  readonly #history: readonly string[];
  readonly #lineBefore: string;
  /** In bytes. */
  #sought = "";
  #at = 0;

  constructor(editor: Interface, prompt: string, history: readonly string[]) {
    this.#editor = editor;
    this.#prompt = prompt;
    this.#history = history;
    this.#lineBefore = editor.line;
    this.#show();
  }

  /** @returns `searching`, or that the search is over: `taken` where the key has been for it alone */
  press(key: string): "searching" | "taken" | "left" {
    if (key === SEARCH_KEY) this.#find(this.#at + 1);
    else if (ERASE.test(key)) {
      this.#sought = this.#sought.slice(0, -1);
      this.#find(0);
    } else if (key >= " ") {
      this.#sought += key;
      this.#find(this.#at);
    } else return this.#end(CANCEL.test(key));
    this.#show();
    return "searching";
  }

  /** The first line from there on; where there is none, what was found stays. */
  #find(from: number): void {
    const text = textOfBytes(this.#sought);
    const found = this.#history.findIndex((line, i) => i >= from && line.includes(text));
    if (found >= 0) this.#at = found;
  }

  #end(isCancelled: boolean): "taken" | "left" {
    if (isCancelled) this.#replaceLine(this.#lineBefore);
    this.#editor.setPrompt(this.#prompt);
    this.#editor.prompt(true);
    return isCancelled ? "taken" : "left";
  }

  #show(): void {
    this.#editor.setPrompt(`(reverse-i-search)\`${textOfBytes(this.#sought)}': `);
    this.#replaceLine(this.#sought === "" ? this.#lineBefore : (this.#history[this.#at] ?? ""));
    this.#editor.prompt(true);
  }

  #replaceLine(line: string): void {
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#editor.write(null, { ctrl: true, name: "u" });
    if (line !== "") this.#editor.write(line);
  }
}
