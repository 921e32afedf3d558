/**
 * Follows which modes a program has switched on in the terminal, from its output alone, so that those which are
 * still on when it is gone can be switched off: a killed editor leaves the alternate screen, mouse reports and
 * bracketed paste behind. The bytes themselves are never changed.
 */
export class TerminalModes {
  readonly #on = new Set<number>();
  #keyboardDepth = 0;
  #isKeypad = false;
  #isCursorHidden = false;
  /** An escape sequence cut by the end of a chunk. */
  #carry = "";

  /** Reads a chunk of output; a sequence may lie across chunks. */
  feed(chunk: Buffer): void {
    if (this.#carry === "" && chunk.indexOf(0x1b) < 0) return;
    const text = this.#carry + chunk.toString("latin1");
    this.#carry = "";
    let at = text.indexOf("\x1b");
    while (at >= 0) {
      const match = SEQUENCE.exec(text.slice(at, at + MAX_SEQUENCE));
      if (match !== null) this.#apply(match[0]);
      else if (text.length - at < MAX_SEQUENCE && PARTIAL.test(text.slice(at))) {
        this.#carry = text.slice(at);
        return;
      }
      at = text.indexOf("\x1b", at + (match === null ? 1 : match[0].length));
    }
  }

  /** What to write so that every mode still on is off; empty when nothing is. */
  resetSequence(): string {
    let reset = "";
    // The keyboard protocol belongs to a screen: undone before that screen is left.
    if (this.#keyboardDepth > 0) reset += `\x1b[<${this.#keyboardDepth}u`;
    for (const mode of this.#on) reset += `\x1b[?${mode}l`;
    if (this.#isKeypad) reset += "\x1b>";
    if (this.#isCursorHidden) reset += "\x1b[?25h";
    return reset === "" ? "" : `${reset}\x1b[0m`;
  }

  #apply(sequence: string): void {
    if (sequence === "\x1b=" || sequence === "\x1b>") {
      this.#isKeypad = sequence === "\x1b=";
      return;
    }
    if (sequence === "\x1bc") {
      this.#on.clear();
      this.#keyboardDepth = 0;
      this.#isKeypad = false;
      this.#isCursorHidden = false;
      return;
    }
    const body = sequence.slice(2, -1);
    const final = sequence.at(-1);
    if (final === "u") {
      const count = Number(body.slice(1) || "1");
      if (body.startsWith(">")) this.#keyboardDepth = Math.min(this.#keyboardDepth + 1, 8);
      else if (body.startsWith("<")) this.#keyboardDepth = Math.max(0, this.#keyboardDepth - count);
      return;
    }
    for (const part of body.slice(1).split(";")) {
      const mode = Number(part);
      if (mode === 25) this.#isCursorHidden = final === "l";
      else if (!RESETTABLE.has(mode)) continue;
      else if (final === "h") this.#on.add(mode);
      else this.#on.delete(mode);
    }
  }
}

/** Private modes (DECSET) that are off in a fresh terminal and disturb a shell's prompt when left on. */
const RESETTABLE = new Set([
  1, // application cursor keys
  5, // reverse video
  6, // origin mode
  9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, // mouse and focus reports
  47, 1047, 1049, // alternate screen
  2004, // bracketed paste
  2026, // synchronized output
]); // prettier-ignore

// eslint-disable-next-line no-control-regex
const SEQUENCE = /^\x1b(?:\[\?[0-9;]+[hl]|\[[<>][0-9;]*u|[=>c])/;
// eslint-disable-next-line no-control-regex
const PARTIAL = /^\x1b(?:\[(?:\?[0-9;]*|[<>][0-9;]*)?)?$/;
const MAX_SEQUENCE = 64;
