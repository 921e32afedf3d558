/**
 * A byte string: every character code is one byte (0–255). The language, the store and paths are byte strings
 * throughout, since Nix's are; text meets them only at the edges, through these two functions.
 */
export type ByteString = string;

/** Encodes text as the byte string of its UTF-8 form. */
export function bytesOfText(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** Decodes a byte string that holds UTF-8; invalid sequences become U+FFFD. */
export function textOfBytes(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

/** The path to give to `node:fs` for a byte-string path: a Buffer where text would not round-trip. */
export function fsPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : Buffer.from(path, "latin1");
}

function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[^\x00-\x7f]/.test(text);
}
