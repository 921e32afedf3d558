import { bytesOfText, type ByteString } from "../../core/index.ts";
import { asDevshellError, evalError, type EvalError } from "../value/error.ts";
import { showPos, type Pos, type Source } from "../value/position.ts";
import { addAttrDef, addAttrPath, newAttrs } from "./attrs.ts";
import {
  UNRESOLVED,
  type AttrName,
  type AttrsExpr,
  type ConcatPart,
  type Expr,
  type FormalExpr,
} from "./ast.ts";
import { stripIndentation, type IndentedPart } from "./indentedString.ts";
import { Lexer, describeToken, type TokenKind } from "./lexer.ts";
import { unescape } from "./stringEscapes.ts";

export interface ParseOptions {
  /** What relative paths are relative to. */
  readonly baseDir: ByteString;
  /** What `~/` stands for; `undefined` where home paths are not allowed (pure evaluation). */
  readonly homeDir: ByteString | undefined;
  readonly allowsPipes?: boolean;
  /** Told of what a `lint-…` setting may mind; may throw. */
  readonly lint?: ((rule: LintRule, message: string, pos: Pos) => void) | undefined;
  /** Told of what is allowed and will not stay so. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Gets the doc comments, by the place of the function or attribute that each is of. */
  readonly docComments?: Map<Pos, string> | undefined;
}

export type LintRule = "lint-absolute-path-literals" | "lint-short-path-literals" | "lint-url-literals";

/**
 * Parses one expression.
 * @throws EvalError of kind `parse`, worded and placed as Nix's
 */
export function parse(source: Source, options: ParseOptions): Expr {
  const parser = new Parser(source, options);
  try {
    return parser.parseAll();
  } catch (error) {
    throw asDevshellError(error, parser.pos) ?? error;
  }
}

/** Parses `a = 1; inherit b;`, with no braces around. */
export function parseBindings(source: Source, options: ParseOptions): AttrsExpr {
  return new Parser(source, options).parseBindings();
}

type Associativity = "left" | "right" | "none";

interface OperatorInfo {
  readonly level: number;
  readonly associativity: Associativity;
}

/** Binary operators by how tightly they bind. `!` lies between `//` and `+`. */
const OPERATORS: Partial<Record<TokenKind, OperatorInfo>> = {
  "->": { level: 1, associativity: "right" },
  "||": { level: 2, associativity: "left" },
  "&&": { level: 3, associativity: "left" },
  "==": { level: 4, associativity: "none" },
  "!=": { level: 4, associativity: "none" },
  "<": { level: 5, associativity: "none" },
  ">": { level: 5, associativity: "none" },
  "<=": { level: 5, associativity: "none" },
  ">=": { level: 5, associativity: "none" },
  "//": { level: 6, associativity: "right" },
  "+": { level: 8, associativity: "left" },
  "-": { level: 8, associativity: "left" },
  "*": { level: 9, associativity: "left" },
  "/": { level: 9, associativity: "left" },
  "++": { level: 10, associativity: "right" },
  "?": { level: 11, associativity: "left" },
};
const NOT_LEVEL = 8;

/** Sets of more definitions than this may defer theirs. */
const DEFERRING_DEFS = 48;
const WORD = "(?!(?:if|then|else|assert|with|let|in|rec|inherit|or)[^a-zA-Z0-9_'-])[a-zA-Z_][a-zA-Z0-9_'-]*";
/** What may be deferred, from behind the name to the semicolon: a variable, `a.b`, or one of these called by `path { }`. */
const DEFERRABLE = new RegExp(
  ` = (?=[a-z])${WORD}(?:\\.${WORD})*(?: \\.\\.?(?:/[a-zA-Z0-9._+-]+)+ \\{ ?\\})?;`,
  "y",
);

const ATTR_START = "identifier or 'or' or '${' or '\"'";

class Parser {
  readonly #lexer: Lexer;
  readonly #base: Pos;
  readonly #options: ParseOptions;
  /** The `with`s around. */
  #withs = 0;
  #parseDeferred: ((pos: Pos) => Expr) | undefined;

  constructor(source: Source, options: ParseOptions) {
    this.#lexer = new Lexer(source, options.allowsPipes ?? false, options.docComments);
    this.#base = source.base;
    this.#options = options;
  }

  parseAll(): Expr {
    this.#lexer.next();
    const expr = this.#function();
    if (!this.#is("end")) throw this.#unexpected("end of file");
    return expr;
  }

  parseBindings(): AttrsExpr {
    this.#lexer.next();
    if (this.#is("end")) throw this.#unexpected();
    const attrs = newAttrs(this.pos);
    this.#bindings(attrs, "end", "'inherit' or end of file");
    return attrs;
  }

  /** Of the token that is looked at. */
  get pos(): Pos {
    return this.#base + this.#lexer.start;
  }

  #is(kind: TokenKind): boolean {
    return this.#lexer.kind === kind;
  }

  #unexpected(expected?: string): EvalError {
    const found = describeToken(this.#lexer.kind);
    const message = `syntax error, unexpected ${found}${expected === undefined ? "" : `, expecting ${expected}`}`;
    return evalError("parse", message, this.pos);
  }

  #expect(kind: TokenKind, expected?: string): void {
    if (this.#lexer.kind !== kind) throw this.#unexpected(expected ?? describeToken(kind));
    this.#lexer.next();
  }

  /** A whole expression: function, `assert`, `with`, `let`, `if`, or operators. */
  #function(): Expr {
    const lexer = this.#lexer;
    const pos = this.pos;
    switch (lexer.kind) {
      case "identifier": {
        const name = lexer.value;
        lexer.next();
        if (this.#is(":")) {
          lexer.next();
          return this.#lambda(name, undefined, pos);
        }
        if (this.#is("@")) {
          lexer.next();
          if (!this.#is("{")) throw this.#unexpected("'{'");
          lexer.next();
          const formals = this.#formals(undefined);
          this.#expect(":");
          return this.#lambda(name, formals, pos);
        }
        return this.#operators(this.#variable(name, pos), pos);
      }
      case "{": {
        const start = this.#formalsOrAttrs(pos);
        if (start.expr !== undefined) return this.#operators(start.expr, pos);
        let argument: string | undefined;
        if (this.#is("@")) {
          lexer.next();
          if (!this.#is("identifier")) throw this.#unexpected("identifier");
          argument = lexer.value;
          lexer.next();
          this.#expect(":");
        } else this.#expect(":", "':' or '@'");
        return this.#lambda(argument, start.formals, pos);
      }
      case "assert": {
        lexer.next();
        const condition = this.#function();
        this.#expect(";");
        return { kind: "assert", condition, body: this.#function(), pos };
      }
      case "with": {
        lexer.next();
        const attrs = this.#function();
        this.#expect(";");
        this.#withs++;
        const body = this.#function();
        this.#withs--;
        return { kind: "with", attrs, body, pos, slot: 0, frameSize: 0 };
      }
      case "let": {
        lexer.next();
        if (this.#is("{")) return this.#operators(this.#oldLet(pos), pos);
        const attrs = newAttrs(0);
        this.#bindings(attrs, "in", "'in' or 'inherit'");
        const body = this.#function();
        if (attrs.dynamic.length > 0) throw evalError("parse", "dynamic attributes not allowed in let", pos);
        return { kind: "let", attrs, body, slot: 0, frameSize: 0 };
      }
      case "if": {
        lexer.next();
        const condition = this.#function();
        this.#expect("then");
        const consequent = this.#function();
        this.#expect("else");
        return { kind: "if", condition, consequent, alternate: this.#function(), pos };
      }
      default:
        return this.#operators(undefined, pos);
    }
  }

  #lambda(argument: string | undefined, formals: Formals | undefined, pos: Pos): Expr {
    const body = this.#function();
    if (formals !== undefined) checkFormals(formals.list, argument, pos);
    const lambda: Expr = {
      kind: "lambda",
      argument,
      formals: formals?.list,
      hasEllipsis: formals?.hasEllipsis ?? false,
      body,
      pos,
      name: undefined,
      frameSize: 0,
    };
    this.#document(lambda, pos);
    return lambda;
  }

  /** After `{` of an expression that may be a function: tells patterns from sets. */
  #formalsOrAttrs(pos: Pos): { formals: Formals; expr?: undefined } | { formals?: undefined; expr: Expr } {
    const lexer = this.#lexer;
    lexer.next();
    if (this.#is("}")) {
      lexer.next();
      // A set cannot be followed by either.
      if (this.#is(":") || this.#is("@")) return { formals: { list: [], hasEllipsis: false } };
      return { expr: newAttrs(pos) };
    }
    if (this.#is("...")) return { formals: this.#formals(undefined) };
    if (this.#is("identifier")) {
      const name = lexer.value;
      const namePos = this.pos;
      lexer.next();
      if (this.#is(",") || this.#is("?") || this.#is("}"))
        return { formals: this.#formals({ name, pos: namePos }) };
      const attrs = newAttrs(pos);
      this.#binding(attrs, { name, pos: namePos });
      this.#bindings(attrs, "}", "'inherit'");
      return { expr: attrs };
    }
    const attrs = newAttrs(pos);
    this.#bindings(attrs, "}", "'inherit'");
    return { expr: attrs };
  }

  /** The rest of a pattern up to and with its `}`. @param first a name that was read already */
  #formals(first: { readonly name: string; readonly pos: Pos } | undefined): Formals {
    const lexer = this.#lexer;
    const list: FormalExpr[] = [];
    let pending = first;
    if (pending === undefined && this.#is("}")) {
      lexer.next();
      return { list, hasEllipsis: false };
    }
    for (;;) {
      if (pending === undefined) {
        if (this.#is("...")) {
          lexer.next();
          this.#expect("}");
          return { list, hasEllipsis: true };
        }
        if (this.#is("}") && list.length > 0) {
          lexer.next();
          return { list, hasEllipsis: false };
        }
        if (!this.#is("identifier")) throw this.#unexpected("identifier or '...' or '}'");
        pending = { name: lexer.value, pos: this.pos };
        lexer.next();
      }
      let fallback: Expr | undefined;
      if (this.#is("?")) {
        lexer.next();
        fallback = this.#function();
      }
      list.push({ name: pending.name, pos: pending.pos, fallback });
      pending = undefined;
      if (this.#is(",")) lexer.next();
      else {
        this.#expect("}", "'}' or ','");
        return { list, hasEllipsis: false };
      }
    }
  }

  /** Operators, then pipes. @param first an operand whose first part was read already */
  #operators(first: Expr | undefined, pos: Pos): Expr {
    const left = this.#binary(0, first, pos);
    const lexer = this.#lexer;
    if (this.#is("|>")) {
      let value = left;
      while (this.#is("|>")) {
        const pipePos = this.pos;
        lexer.next();
        value = makeCall(this.#binary(0, undefined, this.pos), value, pipePos);
      }
      return value;
    }
    if (this.#is("<|")) {
      const pipePos = this.pos;
      lexer.next();
      const right = this.pos;
      return makeCall(left, this.#pipeFrom(right), pipePos);
    }
    return left;
  }

  #pipeFrom(pos: Pos): Expr {
    const left = this.#binary(0, undefined, pos);
    if (!this.#is("<|")) return left;
    const pipePos = this.pos;
    this.#lexer.next();
    return makeCall(left, this.#pipeFrom(this.pos), pipePos);
  }

  #binary(minLevel: number, first: Expr | undefined, startPos: Pos): Expr {
    const lexer = this.#lexer;
    let left = first === undefined ? this.#unary() : this.#application(first, startPos);
    let lastLevel = 0;
    for (;;) {
      const kind = lexer.kind;
      const info = OPERATORS[kind];
      if (info === undefined || info.level < minLevel) return left;
      const { level, associativity } = info;
      if (associativity === "none" && level === lastLevel) throw this.#unexpected();
      lastLevel = level;
      const pos = this.pos;
      lexer.next();
      if (kind === "?") {
        left = { kind: "hasAttr", object: left, path: this.#attrPath() };
        continue;
      }
      const rightPos = this.pos;
      const right = this.#binary(associativity === "right" ? level : level + 1, undefined, rightPos);
      left = makeBinary(kind, left, right, pos, startPos, rightPos);
    }
  }

  #unary(): Expr {
    const lexer = this.#lexer;
    const pos = this.pos;
    if (this.#is("!")) {
      lexer.next();
      return { kind: "not", operand: this.#binary(NOT_LEVEL, undefined, this.pos) };
    }
    if (this.#is("-")) {
      lexer.next();
      return call("__sub", [{ kind: "int", value: 0 }, this.#unary()], pos);
    }
    return this.#application(undefined, pos);
  }

  #application(first: Expr | undefined, pos: Pos): Expr {
    let fn = this.#select(first, pos);
    while (startsOperand(this.#lexer.kind)) fn = makeCall(fn, this.#select(undefined, this.pos, true), pos);
    return fn;
  }

  /** @param isWithin `f or` is read as a call here, where an operand alone could stand */
  #select(first: Expr | undefined, pos: Pos, isWithin = false): Expr {
    const lexer = this.#lexer;
    const object = first ?? this.#simple();
    if (this.#is(".")) {
      lexer.next();
      const path = this.#attrPath();
      let fallback: Expr | undefined;
      if (this.#is("or")) {
        lexer.next();
        fallback = this.#select(undefined, this.pos, true);
      }
      return { kind: "select", object, path, fallback, pos };
    }
    if (this.#is("or")) {
      if (isWithin) this.#warnOfOr(pos, lexer.at);
      lexer.next();
      return { kind: "call", fn: object, args: [variable("or", pos)], pos };
    }
    return object;
  }

  #warnOfOr(pos: Pos, end: number): void {
    const text = this.#lexer.text.slice(pos - this.#base, end);
    this.#options.warn?.(
      `at ${showPos(pos)}: This expression uses \`or\` as an identifier in a way that will change in a future Nix release.\n` +
        `Wrap this entire expression in parentheses to preserve its current meaning:\n    (${text})\n` +
        "Give feedback at https://github.com/NixOS/nix/pull/11121",
    );
  }

  #simple(): Expr {
    const lexer = this.#lexer;
    const pos = this.pos;
    switch (lexer.kind) {
      case "identifier": {
        const name = lexer.value;
        lexer.next();
        return this.#variable(name, pos);
      }
      case "integer": {
        const value = this.#integer(lexer.value, pos);
        lexer.next();
        return { kind: "int", value };
      }
      case "float": {
        const value = Number(lexer.value);
        if (isOutOfRange(lexer.value, value)) throw evalError("parse", `invalid float '${lexer.value}'`, pos);
        lexer.next();
        return { kind: "float", value };
      }
      case '"':
        return this.#string();
      case "indentedString":
        return this.#indentedString(pos);
      case "path":
      case "homePath":
        return this.#path(pos);
      case "searchPath": {
        const name = lexer.value;
        lexer.next();
        return call("__findFile", [variable("__nixPath", 0), { kind: "string", text: name }], pos);
      }
      case "uri": {
        const text = lexer.value;
        this.#options.lint?.("lint-url-literals", text, pos);
        lexer.next();
        return { kind: "string", text };
      }
      case "(": {
        lexer.next();
        const expr = this.#function();
        this.#expect(")");
        return expr;
      }
      case "[": {
        lexer.next();
        const items: Expr[] = [];
        while (!this.#is("]")) {
          if (!startsOperand(lexer.kind)) throw this.#unexpected();
          items.push(this.#select(undefined, this.pos, true));
        }
        lexer.next();
        return { kind: "list", items };
      }
      case "rec": {
        lexer.next();
        this.#expect("{");
        const attrs = newAttrs(pos);
        attrs.isRecursive = true;
        this.#bindings(attrs, "}", "'inherit' or '}'");
        return attrs;
      }
      case "let": {
        lexer.next();
        if (!this.#is("{")) throw this.#unexpected("'{'");
        return this.#oldLet(pos);
      }
      case "{": {
        lexer.next();
        const attrs = newAttrs(pos);
        this.#bindings(attrs, "}", "'inherit'");
        return attrs;
      }
      default:
        throw this.#unexpected();
    }
  }

  /** `let { …, body = … }` means `(rec { … }).body`. */
  #oldLet(pos: Pos): Expr {
    this.#lexer.next();
    const attrs = newAttrs(pos);
    attrs.isRecursive = true;
    this.#bindings(attrs, "}", "'inherit' or '}'");
    const object: Expr = { kind: "select", object: attrs, path: ["body"], fallback: undefined, pos };
    return object;
  }

  #variable(name: string, pos: Pos): Expr {
    return name === "__curPos" ? { kind: "curPos", pos } : variable(name, pos);
  }

  #integer(text: string, pos: Pos): number | bigint {
    const value = Number(text);
    if (Number.isSafeInteger(value)) return value;
    const big = BigInt(text);
    if (big >= 2n ** 63n) throw evalError("parse", `invalid integer '${text}'`, pos);
    return big;
  }

  /** Bindings up to and with the closing token. */
  #bindings(attrs: AttrsExpr, end: "}" | "in" | "end", expected: string): void {
    const lexer = this.#lexer;
    for (;;) {
      switch (lexer.kind) {
        case end:
          lexer.next();
          return;
        case "inherit":
          this.#inherit(attrs);
          break;
        case "identifier":
          if (
            attrs.defs.length > DEFERRING_DEFS &&
            end === "}" &&
            this.#withs > 0 &&
            !attrs.isRecursive &&
            this.#deferred(attrs)
          )
            break;
          this.#binding(attrs, undefined);
          break;
        case "or":
        case '"':
        case "${":
          this.#binding(attrs, undefined);
          break;
        default:
          throw this.#unexpected(expected);
      }
    }
  }

  /** A definition that can be told well-formed at a glance is added unparsed. Measured: all-packages.nix 100 → 40 ms. */
  #deferred(attrs: AttrsExpr): boolean {
    const lexer = this.#lexer;
    DEFERRABLE.lastIndex = lexer.at;
    if (this.#options.lint !== undefined || this.#options.docComments !== undefined) return false;
    if (!DEFERRABLE.test(lexer.text)) return false;
    this.#parseDeferred ??= deferredParser(lexer.source, this.#options);
    const value: Expr = {
      kind: "deferred",
      pos: this.#base + lexer.at + " = ".length,
      parse: this.#parseDeferred,
      resolve: undefined,
    };
    const name = lexer.value;
    const pos = this.pos;
    lexer.at = DEFERRABLE.lastIndex;
    lexer.next();
    addAttrPath(attrs, [name], value, pos);
    return true;
  }

  /** Parses an expression within the text. */
  parseAt(offset: number): Expr {
    this.#lexer.at = offset;
    this.#lexer.next();
    return this.#function();
  }

  /** `a.b.c = …;` @param first a name that was read already */
  #binding(attrs: AttrsExpr, first: { readonly name: string; readonly pos: Pos } | undefined): void {
    const lexer = this.#lexer;
    const pos = first?.pos ?? this.pos;
    const path: AttrName[] = [first?.name ?? this.#attr()];
    while (this.#is(".")) {
      lexer.next();
      path.push(this.#attr());
    }
    this.#expect("=", "'.' or '='");
    const value = this.#function();
    this.#expect(";");
    this.#document(value, pos);
    addAttrPath(attrs, path, value, pos);
  }

  #inherit(attrs: AttrsExpr): void {
    const lexer = this.#lexer;
    lexer.next();
    let from: Expr | undefined;
    let index = 0;
    if (this.#is("(")) {
      lexer.next();
      const fromPos = this.pos;
      const source = this.#function();
      this.#expect(")");
      index = attrs.inheritFrom.length;
      attrs.inheritFrom = [...attrs.inheritFrom, source];
      from = { kind: "inheritFrom", index, pos: fromPos };
    }
    for (;;) {
      const pos = this.pos;
      switch (lexer.kind) {
        case ";":
          lexer.next();
          return;
        case "identifier":
        case "or":
        case '"':
        case "${": {
          const name = this.#attr();
          if (typeof name !== "string")
            throw evalError("parse", "dynamic attributes not allowed in inherit", pos);
          addAttrDef(
            attrs,
            from === undefined
              ? { name, value: variable(name, pos), pos, kind: "inherited" }
              : {
                  name,
                  value: { kind: "select", object: from, path: [name], fallback: undefined, pos },
                  pos,
                  kind: "inheritedFrom",
                },
          );
          break;
        }
        default:
          throw this.#unexpected();
      }
    }
  }

  /** The comment before an attribute is its function's, and of the functions that this gives; an own one wins. */
  #document(expr: Expr, pos: Pos): void {
    const comments = this.#options.docComments;
    const comment = comments?.get(pos);
    if (comments === undefined || comment === undefined) return;
    for (let inner = expr; inner.kind === "lambda"; inner = inner.body)
      if (inner.pos === pos || !comments.has(inner.pos)) comments.set(inner.pos, comment);
      else return;
  }

  #attrPath(): AttrName[] {
    const path = [this.#attr()];
    while (this.#is(".")) {
      this.#lexer.next();
      path.push(this.#attr());
    }
    return path;
  }

  #attr(): AttrName {
    const lexer = this.#lexer;
    switch (lexer.kind) {
      case "identifier":
      case "or": {
        const name = lexer.value;
        lexer.next();
        return name;
      }
      case '"':
        return nameOf(this.#string());
      case "${": {
        lexer.next();
        const expr = this.#function();
        this.#expect("}");
        return nameOf(expr);
      }
      default:
        throw this.#unexpected(ATTR_START);
    }
  }

  /** The expression of `${ … }`; leaves the lexer right behind the brace, in raw text. */
  #interpolation(): Expr {
    const lexer = this.#lexer;
    lexer.at += 2;
    lexer.next();
    const expr = this.#function();
    if (!this.#is("}")) throw this.#unexpected("'}'");
    return expr;
  }

  /** From behind the opening quote to behind the closing one. */
  #string(): Expr {
    const lexer = this.#lexer;
    const text = lexer.text;
    const parts: ConcatPart[] = [];
    let partStart = lexer.at;
    let at = partStart;
    let needsUnescape = false;
    let isInterpolated = false;
    const flush = (): void => {
      if (at === partStart) return;
      const raw = text.slice(partStart, at);
      const partText = needsUnescape ? unescape(raw) : raw;
      this.#checkNul(partText, this.#base + partStart);
      parts.push({ pos: this.#base + partStart, expr: { kind: "string", text: partText } });
      needsUnescape = false;
    };
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 34) {
        flush();
        lexer.at = at + 1;
        lexer.next();
        break;
      }
      if (code === 92) {
        needsUnescape = true;
        at += 2;
      } else if (code === 13) {
        needsUnescape = true;
        at++;
      } else if (code === 36) {
        const following = text.charCodeAt(at + 1);
        if (following === 123) {
          flush();
          isInterpolated = true;
          lexer.at = at;
          const dollarPos = this.#base + at;
          parts.push({ pos: dollarPos, expr: this.#interpolation() });
          at = partStart = lexer.at;
        } else at += following === 36 ? 2 : 1;
      } else at++;
      if (at >= text.length) throw this.#endOfFile("'\"'");
    }
    if (parts.length === 0) return { kind: "string", text: "" };
    if (!isInterpolated) return parts[0]!.expr;
    return { kind: "concat", parts, isString: true, pos: parts[0]!.pos };
  }

  #indentedString(pos: Pos): Expr {
    const lexer = this.#lexer;
    const text = lexer.text;
    const parts: IndentedPart[] = [];
    let at = lexer.at;
    let start = at;
    while (text.charCodeAt(start) === 32) start++;
    if (text.charCodeAt(start) === 10) at = start + 1;
    let partStart = at;
    const flush = (): void => {
      if (at > partStart) this.#pushIndented(parts, text.slice(partStart, at), partStart, true);
    };
    for (;;) {
      if (at >= text.length) throw this.#endOfFile("indented string or '${' or end of an indented string");
      const code = text.charCodeAt(at);
      if (code === 36) {
        const following = text.charCodeAt(at + 1);
        if (following === 123) {
          flush();
          lexer.at = at;
          const dollarPos = this.#base + at;
          parts.push({ pos: dollarPos, expr: this.#interpolation() });
          at = partStart = lexer.at;
        } else if (following === 39 || Number.isNaN(following)) {
          flush();
          this.#pushIndented(parts, "$", at, false);
          partStart = ++at;
        } else at += 2;
      } else if (code === 39) {
        const following = text.charCodeAt(at + 1);
        if (following !== 39 && following !== 36 && !Number.isNaN(following)) {
          at += 2;
          continue;
        }
        flush();
        const third = text.charCodeAt(at + 2);
        if (following !== 39) {
          this.#pushIndented(parts, "'", at, false);
          at += 1;
        } else if (third === 36) {
          this.#pushIndented(parts, "$", at, false);
          at += 3;
        } else if (third === 39) {
          this.#pushIndented(parts, "''", at, false);
          at += 3;
        } else if (third === 92 && at + 3 < text.length) {
          this.#pushIndented(parts, unescape(text.slice(at + 2, at + 4)), at, false);
          at += 4;
        } else {
          lexer.at = at + 2;
          lexer.next();
          return stripIndentation(parts, pos);
        }
        partStart = at;
      } else at++;
    }
  }

  #pushIndented(parts: IndentedPart[], text: string, offset: number, hasIndentation: boolean): void {
    const pos = this.#base + offset;
    this.#checkNul(text, pos);
    parts.push({ pos, text, hasIndentation });
  }

  #checkNul(text: string, pos: Pos): void {
    if (!text.includes("\0")) return;
    const shown = text.replaceAll("\0", bytesOfText("\u2400"));
    throw evalError(
      "parse",
      `input string '${shown}' cannot be represented as Nix string because it contains null bytes`,
      pos,
    );
  }

  #endOfFile(expected: string): EvalError {
    const lexer = this.#lexer;
    lexer.start = lexer.text.length;
    lexer.kind = "end";
    return this.#unexpected(expected);
  }

  #path(pos: Pos): Expr {
    const lexer = this.#lexer;
    let literal = lexer.value;
    let base = "";
    const isUnresolvable = this.#is("homePath") && this.#options.homeDir === undefined;
    if (this.#options.lint !== undefined && !isUnresolvable) this.#lintPath(literal, pos);
    if (this.#is("homePath")) {
      if (this.#options.homeDir === undefined)
        throw evalError("eval", `the path '${literal}' can not be resolved in pure mode`, pos);
      literal = this.#options.homeDir + literal.slice(1);
    } else if (!literal.startsWith("/")) base = this.#options.baseDir;
    const first: Expr = { kind: "path", literal, base };
    const text = lexer.text;
    let isAfterSlash = literal.endsWith("/");
    if (!text.startsWith("${", lexer.at)) {
      if (!isAfterSlash) {
        lexer.next();
        return first;
      }
    }
    const parts: ConcatPart[] = [{ pos, expr: first }];
    let hasInterpolation = false;
    for (;;) {
      if (text.startsWith("${", lexer.at)) {
        const partPos = this.#base + lexer.at;
        parts.push({ pos: partPos, expr: this.#interpolation() });
        isAfterSlash = false;
        hasInterpolation = true;
        continue;
      }
      const partPos = this.#base + lexer.at;
      const part = lexer.pathPart();
      if (part === "") break;
      isAfterSlash = part.endsWith("/");
      // What follows a slash that ends the first part (`a//b`) must be interpolated next.
      if (parts.length === 2 && !hasInterpolation) {
        throw evalError("parse", "syntax error, unexpected string, expecting '${'", partPos);
      }
      parts.push({ pos: partPos, expr: { kind: "string", text: part } });
    }
    if (isAfterSlash) throw this.#trailingSlash();
    if (!hasInterpolation)
      throw evalError("parse", "syntax error, unexpected end of path, expecting '${'", this.#base + lexer.at);
    lexer.next();
    return { kind: "concat", parts, isString: false, pos };
  }

  #lintPath(literal: string, pos: Pos): void {
    const { lint } = this.#options;
    if (this.#is("homePath") || literal.startsWith("/"))
      lint?.(
        "lint-absolute-path-literals",
        `${this.#is("homePath") ? "home" : "absolute"} path literals are not portable. Consider replacing path literal '${literal}' by a string, relative path, or parameter`,
        pos,
      );
    else if (!literal.startsWith("."))
      lint?.(
        "lint-short-path-literals",
        `relative path literal '${literal}' should be prefixed with '.' for clarity: './${literal}'`,
        pos,
      );
  }

  #trailingSlash(): EvalError {
    return evalError("parse", "path has a trailing slash", this.#base + this.#lexer.at);
  }
}

function deferredParser(source: Source, options: ParseOptions): (pos: Pos) => Expr {
  return (pos) => new Parser(source, options).parseAt(pos - source.base);
}

interface Formals {
  readonly list: readonly FormalExpr[];
  readonly hasEllipsis: boolean;
}

function checkFormals(formals: readonly FormalExpr[], argument: string | undefined, pos: Pos): void {
  const seen = new Set<string>();
  for (const formal of formals) {
    if (seen.has(formal.name))
      throw evalError("parse", `duplicate formal function argument '${formal.name}'`, formal.pos);
    seen.add(formal.name);
  }
  if (argument !== undefined && seen.has(argument))
    throw evalError("parse", `duplicate formal function argument '${argument}'`, pos);
}

const LEAST_NORMAL = 2.2250738585072014e-308;

/** What C's `strtod` calls out of range: too large, or too small to be kept in full. */
function isOutOfRange(literal: string, value: number): boolean {
  if (!Number.isFinite(value)) return true;
  return value < LEAST_NORMAL && /[1-9]/.test(literal.replace(/e.*/i, ""));
}

function startsOperand(kind: TokenKind): boolean {
  switch (kind) {
    case "identifier":
    case "integer":
    case "float":
    case '"':
    case "indentedString":
    case "path":
    case "homePath":
    case "searchPath":
    case "uri":
    case "(":
    case "[":
    case "{":
    case "rec":
    case "let":
      return true;
    default:
      return false;
  }
}

/** A string without interpolation is a plain name, however it is quoted. */
function nameOf(expr: Expr): AttrName {
  return expr.kind === "string" ? expr.text : expr;
}

function variable(name: string, pos: Pos): Expr {
  return { kind: "var", name, pos, depth: UNRESOLVED, slot: 0, withs: undefined };
}

function call(builtin: string, args: Expr[], pos: Pos): Expr {
  return { kind: "call", fn: variable(builtin, 0), args, pos };
}

/** A call of a call is one call with more arguments, parenthesized or not. */
function makeCall(fn: Expr, argument: Expr, pos: Pos): Expr {
  if (fn.kind === "call") {
    fn.args.push(argument);
    return fn;
  }
  return { kind: "call", fn, args: [argument], pos };
}

function makeBinary(
  operator: TokenKind,
  left: Expr,
  right: Expr,
  pos: Pos,
  leftPos: Pos,
  rightPos: Pos,
): Expr {
  switch (operator) {
    case "==":
    case "!=":
    case "&&":
    case "||":
    case "->":
    case "//":
    case "++":
      return { kind: "binary", operator, left, right, pos };
    case "+":
      return {
        kind: "concat",
        isString: false,
        pos,
        parts: [
          { pos: leftPos, expr: left },
          { pos: rightPos, expr: right },
        ],
      };
    case "-":
      return call("__sub", [left, right], pos);
    case "*":
      return call("__mul", [left, right], pos);
    case "/":
      return call("__div", [left, right], pos);
    case "<":
      return call("__lessThan", [left, right], pos);
    case ">":
      return call("__lessThan", [right, left], pos);
    case "<=":
      return { kind: "not", operand: call("__lessThan", [right, left], pos) };
    case ">=":
      return { kind: "not", operand: call("__lessThan", [left, right], pos) };
    default:
      throw new Error(`no binary operator: ${operator}`);
  }
}
