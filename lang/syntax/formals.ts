import { evalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";
import type { Expr, FormalExpr } from "./ast.ts";
import * as Token from "./token.ts";
import { unexpected, type TokenReader } from "./tokenReader.ts";

export interface Formals {
  readonly list: readonly FormalExpr[];
  readonly hasEllipsis: boolean;
}

export const NO_FORMALS: Formals = { list: [], hasEllipsis: false };

/** A pattern, from behind its `{` to behind its `}`. */
export function readFormals(reader: TokenReader): Formals {
  if (reader.kind !== Token.BRACE_CLOSE) return readMoreFormals(reader, []);
  reader.next();
  return NO_FORMALS;
}

/** The same, of which the first name was read already. */
export function readFormalsAfter(reader: TokenReader, name: string, pos: Pos): Formals {
  const list: FormalExpr[] = [];
  return readFormal(reader, list, name, pos) ? readMoreFormals(reader, list) : { list, hasEllipsis: false };
}

function readMoreFormals(reader: TokenReader, list: FormalExpr[]): Formals {
  for (;;) {
    if (reader.kind === Token.ELLIPSIS) {
      reader.next();
      reader.expect(Token.BRACE_CLOSE);
      return { list: list.slice(), hasEllipsis: true };
    }
    if (reader.kind === Token.BRACE_CLOSE && list.length > 0) {
      reader.next();
      break;
    }
    if (reader.kind !== Token.IDENTIFIER) throw unexpected(reader, "identifier or '...' or '}'");
    const { value, pos } = reader;
    reader.next();
    if (!readFormal(reader, list, value, pos)) break;
  }
  return { list: list.slice(), hasEllipsis: false };
}

/** What stands behind a name. @returns whether there may be another, after a comma */
function readFormal(reader: TokenReader, list: FormalExpr[], name: string, pos: Pos): boolean {
  let fallback: Expr | undefined;
  if (reader.kind === Token.QUESTION) {
    reader.next();
    fallback = reader.expression();
  }
  list.push({ name, pos, fallback });
  if (reader.kind === Token.COMMA) {
    reader.next();
    return true;
  }
  reader.expect(Token.BRACE_CLOSE, "'}' or ','");
  return false;
}

/** Past this many formals names are looked up in a set. */
const FEW_FORMALS = 12;

/** Nix counts them in 16 bits. */
const MAX_FORMALS = 0xff_ff;

export function checkFormals(formals: readonly FormalExpr[], argument: string | undefined, pos: Pos): void {
  const seen = formals.length > FEW_FORMALS ? new Set<string>() : undefined;
  for (let i = 0; i < formals.length; i++) {
    const { name, pos: formalPos } = formals[i]!;
    if (seen === undefined ? isAmong(formals, i, name) : seen.has(name))
      throw evalError("parse", `duplicate formal function argument '${name}'`, formalPos);
    seen?.add(name);
  }
  if (argument !== undefined && isAmong(formals, formals.length, argument))
    throw evalError("parse", `duplicate formal function argument '${argument}'`, pos);
  if (formals.length > MAX_FORMALS)
    throw evalError(
      "parse",
      `too many formal arguments, implementation supports at most ${MAX_FORMALS}`,
      pos,
    );
}

function isAmong(formals: readonly FormalExpr[], count: number, name: string): boolean {
  for (let i = 0; i < count; i++) if (formals[i]!.name === name) return true;
  return false;
}
