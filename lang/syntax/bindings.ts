import { evalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";
import type { AttrName, AttrsExpr, Expr } from "./ast.ts";
import { addAttr, addAttrPath, addInherited, trimAttrs } from "./attrs.ts";
import { readDeferred } from "./deferred.ts";
import { variable } from "./operators.ts";
import { readString } from "./stringLiteral.ts";
import * as Token from "./token.ts";
import { unexpected, type TokenReader } from "./tokenReader.ts";

const ATTR_START = "identifier or 'or' or '${' or '\"'";

/** Definitions up to and with the closing token. @param expected what an error says of a token that begins none */
export function readBindings(
  reader: TokenReader,
  attrs: AttrsExpr,
  end: Token.TokenKind,
  expected: string,
): void {
  while (reader.kind !== end) {
    switch (reader.kind) {
      case Token.INHERIT:
        readInherit(reader, attrs);
        break;
      case Token.IDENTIFIER: {
        if (end === Token.BRACE_CLOSE && readDeferred(reader, attrs)) break;
        const { value, pos } = reader;
        reader.next();
        readBindingAfter(reader, attrs, value, pos);
        break;
      }
      case Token.OR:
      case Token.STRING:
      case Token.DOLLAR_BRACE: {
        const { pos } = reader;
        readBindingAfter(reader, attrs, readAttrName(reader), pos);
        break;
      }
      default:
        throw unexpected(reader, expected);
    }
  }
  reader.next();
  trimAttrs(attrs);
}

/** `a.b.c = …;`, whose first name was read already. */
export function readBindingAfter(reader: TokenReader, attrs: AttrsExpr, first: AttrName, pos: Pos): void {
  const path = reader.kind === Token.DOT ? readMoreNames(reader, first) : undefined;
  reader.expect(Token.ASSIGN, "'.' or '='");
  const { layout } = reader;
  const at = layout === undefined ? 0 : layout.begin(reader.pos);
  const value = reader.expression();
  const to = reader.pos;
  if (reader.kind !== Token.SEMICOLON) throw unexpected(reader, Token.describeToken(Token.SEMICOLON));
  if (reader.docComments !== undefined) document(reader.docComments, value, pos);
  // Before what follows is looked at: Nix tells of a second definition first.
  const isAdded =
    path === undefined && typeof first === "string"
      ? addAttr(attrs, first, value, pos)
      : addAttrPath(attrs, path ?? [first], value, pos);
  reader.next();
  if (isAdded && layout !== undefined) layout.end(at, pos, to, value);
}

function readInherit(reader: TokenReader, attrs: AttrsExpr): void {
  reader.next();
  let from: Expr | undefined;
  if (reader.kind === Token.PAREN_OPEN) {
    reader.next();
    const { pos } = reader;
    const source = reader.expression();
    reader.expect(Token.PAREN_CLOSE);
    from = { kind: "inheritFrom", index: attrs.inheritFrom.length, pos };
    attrs.inheritFrom = [...attrs.inheritFrom, source];
  }
  const names: { readonly name: string; readonly pos: Pos }[] = [];
  while (reader.kind !== Token.SEMICOLON) {
    const { pos } = reader;
    if (!startsAttrName(reader.kind)) throw unexpected(reader);
    const name = readAttrName(reader);
    if (typeof name !== "string") throw evalError("parse", "dynamic attributes not allowed in inherit", pos);
    names.push({ name, pos });
  }
  for (const { name, pos } of names)
    addInherited(
      attrs,
      from === undefined
        ? { name, value: variable(name, pos), pos, kind: "inherited" }
        : {
            name,
            value: { kind: "select", object: from, path: pathOfOne(name), fallback: undefined, pos },
            pos,
            kind: "inheritedFrom",
          },
    );
  reader.next();
}

function startsAttrName(kind: Token.TokenKind): boolean {
  return (
    kind === Token.IDENTIFIER || kind === Token.OR || kind === Token.STRING || kind === Token.DOLLAR_BRACE
  );
}

/** `a.b.c`, as it is selected or asked for. */
export function readAttrPath(reader: TokenReader): readonly AttrName[] {
  const first = readAttrName(reader);
  if (reader.kind === Token.DOT) return readMoreNames(reader, first);
  return typeof first === "string" ? pathOfOne(first) : [first];
}

const MAX_PATHS = 1 << 14;
const paths = new Map<string, readonly string[]>();

/** A path of one name: the same one for all that select it. Measured on NixOS: see tests/bench/README.md. */
function pathOfOne(name: string): readonly string[] {
  let path = paths.get(name);
  if (path === undefined) {
    // A cache, so that no text can make it grow.
    if (paths.size >= MAX_PATHS) paths.clear();
    path = [name];
    paths.set(name, path);
  }
  return path;
}

/** From the first dot on. */
function readMoreNames(reader: TokenReader, first: AttrName): AttrName[] {
  reader.next();
  const second = readAttrName(reader);
  if (reader.kind !== Token.DOT) return [first, second];
  const path = [first, second];
  while (reader.kind === Token.DOT) {
    reader.next();
    path.push(readAttrName(reader));
  }
  return path.slice();
}

function readAttrName(reader: TokenReader): AttrName {
  switch (reader.kind) {
    case Token.IDENTIFIER:
    case Token.OR: {
      const { value } = reader;
      reader.next();
      return value;
    }
    case Token.STRING:
      return nameOf(readString(reader));
    case Token.DOLLAR_BRACE: {
      reader.next();
      const expr = reader.expression();
      reader.expect(Token.BRACE_CLOSE);
      return nameOf(expr);
    }
    default:
      throw unexpected(reader, ATTR_START);
  }
}

/** A string without interpolation is a plain name, however it is quoted. */
function nameOf(expr: Expr): AttrName {
  return expr.kind === "string" ? expr.text : expr;
}

/** The comment before an attribute is its function's, and of the functions that this gives; an own one wins. */
export function document(comments: Map<Pos, string>, expr: Expr, pos: Pos): void {
  const comment = comments.get(pos);
  if (comment === undefined) return;
  for (let inner = expr; inner.kind === "lambda"; inner = inner.body)
    if (inner.pos === pos || !comments.has(inner.pos)) comments.set(inner.pos, comment);
    else return;
}
