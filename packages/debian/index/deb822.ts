import type { ByteString } from "../../../core/index.ts";

/** A paragraph of "Field: value" lines; names in lower case, the lines of folded values joined by newlines. */
export type Stanza = ReadonlyMap<string, ByteString>;

/** Reads one paragraph; what is no field is skipped. @param fields keep only these (lower case); all if absent */
export function parseStanza(text: ByteString, fields?: ReadonlySet<string>): Stanza {
  const stanza = new Map<string, ByteString>();
  let field: string | undefined;
  for (let at = 0; at < text.length;) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    const first = text.charCodeAt(at);
    if (first === 32 || first === 9) {
      if (field !== undefined) stanza.set(field, `${stanza.get(field) ?? ""}\n${text.slice(at + 1, end)}`);
    } else {
      const colon = text.indexOf(":", at);
      field = colon > at && colon < end ? text.slice(at, colon).toLowerCase() : undefined;
      if (field !== undefined && fields?.has(field) === false) field = undefined;
      if (field !== undefined) stanza.set(field, text.slice(colon + 1, end).trim());
    }
    at = end + 1;
  }
  return stanza;
}

/** The paragraphs of a text, which empty lines part. */
export function* splitStanzas(text: ByteString): Generator<ByteString> {
  let start = 0;
  while (start < text.length) {
    if (text.charCodeAt(start) === 10) {
      start++;
      continue;
    }
    const found = text.indexOf("\n\n", start);
    const end = found < 0 ? text.length : found + 1;
    yield text.slice(start, end);
    start = end + 1;
  }
}

/** A folded value on one line, as relation fields are read. */
export function unfold(value: ByteString): ByteString {
  return value.includes("\n") ? value.replaceAll("\n", " ").trim() : value;
}
