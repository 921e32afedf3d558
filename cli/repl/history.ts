import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** As many lines as Nix keeps. */
export const HISTORY_LINES = 1000;

/** What was typed at prompts, in the file that Nix keeps it in: another conversation finds it there. */
export class History {
  readonly #path = join(dataDirectory(), "repl-history");

  /** @returns newest first */
  read(): string[] {
    let lines: string[];
    try {
      lines = readFileSync(this.#path, "utf8").split("\n");
    } catch {
      return [];
    }
    const kept = lines.filter((line) => line !== "").slice(-HISTORY_LINES);
    // Each conversation adds to it, so it is cut now and then.
    if (lines.length > 2 * HISTORY_LINES) this.#try(() => writeFileSync(this.#path, `${kept.join("\n")}\n`));
    return kept.reverse();
  }

  add(line: string): void {
    this.#try(() => {
      mkdirSync(dirname(this.#path), { recursive: true });
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 });
    });
  }

  /** A home that cannot be written to is no reason to complain at each line. */
  #try(write: () => void): void {
    try {
      write();
    } catch {
      // Then it lasts as long as the process.
    }
  }
}

function dataDirectory(): string {
  const { NIX_DATA_HOME, XDG_DATA_HOME, HOME } = process.env;
  if (NIX_DATA_HOME !== undefined) return NIX_DATA_HOME;
  return join(XDG_DATA_HOME || join(HOME || homedir(), ".local/share"), "nix");
}
