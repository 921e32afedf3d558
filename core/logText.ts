/** An escape sequence (1: what ends it, where it sets colours and the like), a tab, what moves back or rings, a character. */
const PIECE =
  // eslint-disable-next-line no-control-regex
  /\x1b(?:\[[0-?]*[ -/]*(?:(m)|[@-~])?|\][^\x1b\x07]*(?:\x07|\x1b\\?)?|[@-_])?|\t|[\r\x07]|[\s\S]/gu;
// eslint-disable-next-line no-control-regex
const HAS_MARKS = /[\x1b\t\r\x07]/;
const TAB_COLUMNS = 8;

/**
 * A text as Nix's logger prints it: without escape sequences, but maybe colours, and with spaces for tabs. Columns are
 * counted from the text's beginning, whatever lines it has.
 */
export function logText(text: string, hasColours: boolean): string {
  if (!HAS_MARKS.test(text)) return text;
  let column = 0;
  return text.replace(PIECE, (piece: string, colour: string | undefined) => {
    if (piece === "\t") {
      const count = TAB_COLUMNS - (column % TAB_COLUMNS);
      column += count;
      return " ".repeat(count);
    }
    if (piece.startsWith("\x1b")) return hasColours && colour !== undefined ? piece : "";
    if (piece === "\r" || piece === "\x07") return "";
    column += columnsOf(piece);
    return piece;
  });
}

const NO_COLUMN = /^[\p{Cc}\p{Cf}\p{Me}\p{Mn}]$/u;
/** East Asian wide characters, and what is shown as pictures. */
const TWO_COLUMNS =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})$/u;

function columnsOf(char: string): number {
  if (char >= " " && char <= "~") return 1;
  if (NO_COLUMN.test(char)) return 0;
  return TWO_COLUMNS.test(char) ? 2 : 1;
}
