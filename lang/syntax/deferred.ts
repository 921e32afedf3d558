import type { AttrsExpr, Expr } from "./ast.ts";
import { addAttr } from "./attrs.ts";
import type { TokenReader } from "./tokenReader.ts";

/** Sets of more definitions than this may defer theirs. */
const DEFERRING_DEFS = 48;
const WORD = "(?!(?:if|then|else|assert|with|let|in|rec|inherit|or)[^a-zA-Z0-9_'-])[a-zA-Z_][a-zA-Z0-9_'-]*";
const ASSIGN = " = ";
/** What may be deferred, from behind the name to the semicolon: a variable, `a.b`, or one of these called by `path { }`. */
const DEFERRABLE = new RegExp(
  `${ASSIGN}(?=[a-z])${WORD}(?:\\.${WORD})*(?: \\.\\.?(?:/[a-zA-Z0-9._+-]+)+ \\{ ?\\})?;`,
  "y",
);

/**
 * A definition that can be told well-formed at a glance is added unparsed, where its name was just read. Measured:
 * all-packages.nix 100 → 40 ms.
 * @returns whether there was one
 */
export function readDeferred(reader: TokenReader, attrs: AttrsExpr): boolean {
  if (attrs.defs.length <= DEFERRING_DEFS || reader.withs === 0 || attrs.isRecursive) return false;
  const { options, value: name, pos, at } = reader;
  if (options.lint !== undefined || options.docComments !== undefined) return false;
  const end = endOfDeferrable(reader.text, at);
  if (end === 0) return false;
  reader.parseDeferred ??= reader.deferredParser();
  const value: Expr = {
    kind: "deferred",
    pos: reader.base + at + ASSIGN.length,
    parse: reader.parseDeferred,
    resolve: undefined,
  };
  reader.at = end;
  reader.next();
  addAttr(attrs, name, value, pos);
  return true;
}

function endOfDeferrable(text: string, at: number): number {
  DEFERRABLE.lastIndex = at;
  return DEFERRABLE.test(text) ? DEFERRABLE.lastIndex : 0;
}

/** The text of what was deferred, semicolon included. @param start where the value starts */
export function deferredText(text: string, start: number): string {
  return text.slice(start, endOfDeferrable(text, start - ASSIGN.length));
}
