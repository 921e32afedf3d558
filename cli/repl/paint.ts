import { bytesOfText, type ByteString } from "../../core/index.ts";
import type { PrintedPart } from "../../lang/index.ts";

const NORMAL = "\x1b[0m";
/** As Nix has them. */
const COLOURS: Readonly<Record<PrintedPart, string>> = {
  string: "\x1b[35;1m",
  constant: "\x1b[36;1m",
  path: "\x1b[32;1m",
  derivation: "\x1b[32;1m",
  function: "\x1b[34;1m",
  mark: "\x1b[35;1m",
  error: "\x1b[31;1m",
  elided: "\x1b[2m",
};

/** Colours a part of a printed value. */
export function paintPart(part: PrintedPart, text: ByteString): ByteString {
  return `${COLOURS[part]}${text}${NORMAL}`;
}

const BULLET = bytesOfText("• ");

/** Markdown as a terminal shows it: its marks become bold, underlined and coloured text. */
export function paintMarkdown(markdown: ByteString): ByteString {
  return markdown
    .split(/^```.*\n([^]*?)^```$/m)
    .map((part, i) => (i % 2 === 1 ? part.replaceAll(/^(?=.)/gm, "    ") : paintProse(part)))
    .join("");
}

function paintProse(text: ByteString): ByteString {
  return text
    .replaceAll(/\\$/gm, "")
    .replaceAll(/^#+ +(.*)$/gm, `\x1b[1m$1${NORMAL}`)
    .replaceAll(/^( *)[*-] +/gm, `$1${BULLET}`)
    .split(/`([^`\n]+)`/)
    .map((part, i) =>
      i % 2 === 1
        ? `\x1b[36m${part}${NORMAL}`
        : part
            .replaceAll(/\*\*([^*\n]+)\*\*/g, `\x1b[1m$1${NORMAL}`)
            .replaceAll(/(?<![\w*])\*([^*\n]+)\*(?![\w*])/g, `\x1b[4m$1${NORMAL}`),
    )
    .join("");
}
