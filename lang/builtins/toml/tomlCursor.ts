/* eslint-disable no-control-regex -- TOML names the control characters that it forbids */
import { tomlError } from "./tomlError.ts";

/** Where a reader of TOML is in its text. */
export class TomlCursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
    if (text.startsWith("\xef\xbb\xbf")) this.at = 3;
  }

  skipSpace(): void {
    this.take(/[ \t]+/y);
  }

  /** Space, newlines and comments. */
  skipBlank(): void {
    this.take(/(?:[ \t\n]|\r\n|#[^\x00-\x08\x0a-\x1f\x7f]*)+/y);
  }

  endOfLine(): void {
    if (this.take(/[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?(?:\r?\n|$)/y) === undefined) {
      this.skipSpace();
      this.fail("toml::parse_table: newline (LF / CRLF) or EOF is expected");
    }
  }

  peek(): string {
    return this.text[this.at] ?? "";
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at += match[0].length;
    return match[0];
  }

  fail(message: string, at = this.at, note = "here", hints: readonly string[] = []): never {
    throw tomlError(this.text, message, [{ at, length: 1, note }], hints);
  }
}
