import type { AttrsExpr, Expr } from "./ast.ts";
import { addAttr } from "./attrs.ts";
import type { TokenReader } from "./tokenReader.ts";
import { EQUALS, NOT_TOLD, endOfValue, skipBlank } from "./wellFormed.ts";

/** Sets of more definitions than this may defer theirs. */
const DEFERRING_DEFS = 48;
const WORD = "(?!(?:if|then|else|assert|with|let|in|rec|inherit|or)[^a-zA-Z0-9_'-])[a-zA-Z_][a-zA-Z0-9_'-]*";
const ASSIGN = " = ";
/**
 * What most often may be, from behind the name to the semicolon: a variable, `a.b`, or one of these called by `path { }`.
 * V8's expressions are several times as fast as what tells the rest (wellFormed.ts).
 */
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
  const { base, bytes, options, value: name, pos, at } = reader;
  if (options.lint !== undefined || options.docComments !== undefined) return false;
  let start = at + ASSIGN.length;
  let end = endOfDeferrable(reader.text, at);
  if (end === 0) {
    if (reader.hasNul || reader.hasCarriageReturns) return false;
    start = startOfValue(bytes, at);
    end = start === NOT_TOLD ? NOT_TOLD : endOfValue(bytes, start);
    if (end === NOT_TOLD) return false;
    end++;
  }
  reader.parseDeferred ??= reader.deferredParser();
  const value: Expr = {
    kind: "deferred",
    pos: base + start,
    end: base + end,
    parse: reader.parseDeferred,
    resolve: undefined,
  };
  reader.at = end;
  const { layout } = reader;
  layout?.end(layout.begin(value.pos), pos, reader.base + end - 1, value);
  reader.next();
  addAttr(attrs, name, value, pos);
  return true;
}

function endOfDeferrable(text: string, at: number): number {
  DEFERRABLE.lastIndex = at;
  return DEFERRABLE.test(text) ? DEFERRABLE.lastIndex : 0;
}

/** From behind a name to what is behind its `=`. */
function startOfValue(bytes: Uint8Array, at: number): number {
  const assign = skipBlank(bytes, at);
  const isAssign = bytes[assign] === EQUALS && bytes[assign + 1] !== EQUALS;
  return isAssign ? skipBlank(bytes, assign + 1) : NOT_TOLD;
}
