import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { isatty } from "node:tty";
import { standardInput } from "../compat/output.ts";
import { HISTORY_LINES, History } from "./history.ts";
import { HistorySearch, SEARCH_KEY } from "./historySearch.ts";

/** What came of asking for a line: one without its end, one given up by Ctrl-C, or nothing more. */
export type InputLine =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "abandoned" }
  | { readonly kind: "end" };

type Complete = (line: string) => [string[], string];

/** Keys that may end what is edited (Enter, Ctrl-C, Ctrl-D), and Ctrl-R: what follows one is not for the editor. */
// oxlint-disable-next-line no-control-regex
const ENDING_KEY = /[\r\n\x03\x04\x12]/;

/**
 * Standard input line by line, read while nothing else can run; what was read ahead is kept for the next line. At a
 * terminal, lines are edited, with history and completion.
 */
export class InputLines {
  readonly #chunks = standardInput();
  #bytes = "";
  readonly isTerminal = isatty(0) && isatty(1);
  readonly #kept = new History();
  /** Newest first. */
  #history: string[] = this.isTerminal ? this.#kept.read() : [];

  /** @param prompt shown at a terminal only */
  next(prompt: string, complete: Complete): InputLine {
    return this.isTerminal ? this.#edit(prompt, complete) : this.#read();
  }

  #read(): InputLine {
    for (;;) {
      const end = this.#bytes.indexOf("\n");
      if (end >= 0) return { kind: "line", text: this.#take(end + 1).toString("utf8", 0, end) };
      if (this.#fill()) continue;
      if (this.#bytes === "") return { kind: "end" };
      return { kind: "line", text: this.#take(this.#bytes.length).toString("utf8") };
    }
  }

  /** Node's line editor, handed the keys here: its own source of them would need the event loop. */
  #edit(prompt: string, complete: Complete): InputLine {
    const { stdout } = process;
    // Raw only while the editor is open: between two lines, Ctrl-C is a signal.
    const keys = Object.assign(new Readable({ read: () => undefined }), { setRawMode });
    const asked: { answer: InputLine | undefined } = { answer: undefined };
    using editor = createInterface({
      input: keys,
      output: stdout,
      terminal: true,
      prompt,
      history: [...this.#history],
      historySize: HISTORY_LINES,
      completer: (line: string) => cooked(() => complete(line)),
    });
    editor.on("history", (history) => {
      this.#history = [...history];
      if (history[0] !== undefined) this.#kept.add(history[0]);
    });
    editor.on("line", (text) => (asked.answer = { kind: "line", text }));
    editor.on("close", () => (asked.answer ??= { kind: "end" }));
    editor.on("SIGINT", () => {
      stdout.write("\n");
      asked.answer = { kind: "abandoned" };
    });
    editor.on("SIGTSTP", () => {
      cooked(() => process.kill(0, "SIGTSTP"));
      editor.prompt(true);
    });
    adoptWidth();
    editor.prompt();
    let search: HistorySearch | undefined;
    while (asked.answer === undefined) {
      if (this.#bytes === "" && !this.#fill()) return { kind: "end" };
      adoptWidth();
      const key = this.#bytes.charAt(0);
      if (search !== undefined) {
        const state = search.press(key);
        if (state !== "searching") search = undefined;
        if (state !== "left") this.#take(1);
        continue;
      }
      if (key === SEARCH_KEY) {
        search = new HistorySearch(editor, prompt, this.#history);
        this.#take(1);
        continue;
      }
      const end = ENDING_KEY.exec(this.#bytes)?.index ?? this.#bytes.length - 1;
      const isSearch = this.#bytes.charAt(end) === SEARCH_KEY;
      keys.emit("data", this.#take(isSearch ? end : end + 1));
    }
    return asked.answer;
  }

  /** @returns whether there was more */
  #fill(): boolean {
    const chunk = this.#chunks.next();
    if (chunk.done !== true) this.#bytes += chunk.value.toString("latin1");
    return chunk.done !== true;
  }

  #take(length: number): Buffer {
    const taken = Buffer.from(this.#bytes.slice(0, length), "latin1");
    this.#bytes = this.#bytes.slice(length);
    return taken;
  }
}

function setRawMode(isRaw: boolean): void {
  const { stdin } = process;
  stdin.setRawMode(isRaw);
  // Node has made the terminal not to be waited for.
  const { _handle: handle } = stdin as { _handle?: { setBlocking?: (isBlocking: boolean) => number } };
  handle?.setBlocking?.(true);
}

/** Runs something with the terminal as programs expect it: Ctrl-C is a signal. */
function cooked<T>(run: () => T): T {
  setRawMode(false);
  try {
    return run();
  } finally {
    setRawMode(true);
  }
}

/** A terminal of another size tells by a signal, which is not heard while something waits. */
function adoptWidth(): void {
  const terminal = process.stdout as { _refreshSize?: () => void };
  terminal._refreshSize?.();
}
