import { evalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";
import type { ConcatPart, Expr } from "./ast.ts";
import { HOME_PATH } from "./token.ts";
import type { TokenReader } from "./tokenReader.ts";

/** A path, whose first part the lexer has read; interpolations make it a concatenation. */
export function readPathLiteral(reader: TokenReader, pos: Pos): Expr {
  const first = pathExpr(reader, pos);
  const isAfterSlash = reader.value.endsWith("/");
  if (isAfterSlash || isInterpolationNext(reader)) return interpolatedPath(reader, first, isAfterSlash, pos);
  nextAfterPath(reader, pos);
  return first;
}

/**
 * Moves on from a path. Nix's lexer steps back by a token to end one, at the end of the text too: what says that the
 * text ends there has the place of the path's last token.
 */
function nextAfterPath(reader: TokenReader, lastPos: Pos): void {
  const isLast = reader.at === reader.text.length;
  reader.next();
  if (isLast) reader.start = lastPos - reader.base;
}

function pathExpr({ kind, value, options }: TokenReader, pos: Pos): Expr {
  const { lint } = options;
  const isHome = kind === HOME_PATH;
  const homeDir = isHome ? options.homeDir : undefined;
  if (isHome && homeDir === undefined)
    throw evalError("eval", `the path '${value}' can not be resolved in pure mode`, pos);
  if (lint !== undefined) {
    if (isHome || value.startsWith("/"))
      lint(
        "lint-absolute-path-literals",
        `${isHome ? "home" : "absolute"} path literals are not portable. Consider replacing path literal '${value}' by a string, relative path, or parameter`,
        pos,
      );
    else if (!value.startsWith("."))
      lint(
        "lint-short-path-literals",
        `relative path literal '${value}' should be prefixed with '.' for clarity: './${value}'`,
        pos,
      );
  }
  if (isHome) return { kind: "path", literal: `${homeDir}${value.slice(1)}`, base: "", isHome: true };
  return { kind: "path", literal: value, base: value.startsWith("/") ? "" : options.baseDir };
}

function isInterpolationNext({ bytes, at }: TokenReader): boolean {
  return bytes[at] === 36 && bytes[at + 1] === 123;
}

function interpolatedPath(reader: TokenReader, first: Expr, afterSlash: boolean, pos: Pos): Expr {
  const parts: ConcatPart[] = [{ pos, expr: first }];
  let isAfterSlash = afterSlash;
  let hasInterpolation = false;
  let lastPos = pos;
  for (;;) {
    const partPos = reader.base + reader.at;
    if (isInterpolationNext(reader)) {
      parts.push({ pos: partPos, expr: reader.interpolation() });
      lastPos = reader.pos;
      isAfterSlash = false;
      hasInterpolation = true;
      continue;
    }
    const part = reader.pathPart();
    if (part === "") break;
    isAfterSlash = part.endsWith("/");
    // What follows a slash that ends the first part (`a//b`) must be interpolated next.
    if (parts.length === 2 && !hasInterpolation)
      throw evalError("parse", "syntax error, unexpected string, expecting '${'", partPos);
    parts.push({ pos: partPos, expr: { kind: "string", text: part } });
    lastPos = partPos;
  }
  const isLast = reader.at === reader.text.length;
  if (isAfterSlash)
    throw evalError("parse", "path has a trailing slash", isLast ? lastPos : reader.base + reader.at);
  if (!hasInterpolation)
    throw evalError("parse", "syntax error, unexpected end of path, expecting '${'", isLast ? pos : lastPos);
  nextAfterPath(reader, lastPos);
  return { kind: "concat", parts, isString: false, pos };
}
