import { BUILTIN_CALLS, GLOBAL_NAMES, type Kind } from "./builtinCalls.ts";
import { NAMES, attributeName, float, integer, path, stringFor, stringOf } from "./literals.ts";
import type { Random } from "./random.ts";
import { themedProgram } from "./themes.ts";

interface Variable {
  readonly name: string;
  readonly kind: Kind;
}

type Scope = readonly Variable[];

const PLAIN_KINDS = ["int", "float", "bool", "null", "string", "path", "list", "set", "function"] as const;
const SPACES = ["\n", "\t", "  ", " # c\n", " /* c */ ", "\r\n", " /** d */ ", "\n\n", "/**/", ""];

/** A program of the whole grammar: most are right, some use a value where another kind is wanted, some do not parse. */
export function generateProgram(random: Random): string {
  const text = random.chance(0.4)
    ? themedProgram(random)
    : new Generator(random).expression(random.pick(["any", ...PLAIN_KINDS]), [], 2 + random.below(4));
  return random.chance(0.08) ? damage(random, text) : text;
}

/** Takes a token away, writes one twice, or puts another in: syntax errors. */
export function damage(random: Random, text: string): string {
  const tokens =
    text.match(/\s+|[a-zA-Z_][\w'-]*|[0-9.]+|''|\$\{|==|\/\/|\+\+|&&|\|\||->|<=|>=|!=|./gsu) ?? [];
  if (tokens.length === 0) return text;
  const extra =
    "( ) [ ] { } ; : = . , @ ? ! - + ... \" '' ${ or in let rec inherit with if then else assert 1 1.5 a ./a /* # |> <| < ~/ <x> http://a.b $ \\ ` % & | ^".split(
      " ",
    );
  const at = random.below(tokens.length);
  const kind = random.below(4);
  if (kind === 0) tokens.splice(at, 1);
  else if (kind === 1) tokens.splice(at, 0, tokens[at]!);
  else if (kind === 2) tokens.splice(at, 0, random.pick(extra));
  else tokens.splice(at, 1, random.pick(extra));
  return tokens.join("");
}

class Generator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** An expression that may stand anywhere; `depth` is how far it may go down. */
  expression(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    if (random.chance(0.04)) kind = random.pick(PLAIN_KINDS);
    if (kind === "any") kind = random.pick(PLAIN_KINDS);
    if (random.chance(0.25)) {
      const fitting = scope.filter((variable) => variable.kind === kind);
      if (fitting.length > 0) return random.pick(fitting).name;
      if (random.chance(0.03)) return random.pick(NAMES);
    }
    if (depth <= 0) return this.#leaf(kind, scope);
    return random.chance(0.45) ? this.#form(kind, scope, depth) : this.#made(kind, scope, depth);
  }

  /** As `expression`, in parentheses where it is more than one token. */
  #simple(kind: Kind, scope: Scope, depth: number): string {
    const text = this.expression(kind, scope, depth);
    if (/^[\w.'-]+$/.test(text) || this.#random.chance(0.05)) return text;
    if (/^(?:"[^"]*"|\{[^{}]*\}|\[[^[\]]*\])$/.test(text)) return text;
    return `(${text})`;
  }

  #space(): string {
    return this.#random.chance(0.95) ? " " : this.#random.pick(SPACES);
  }

  #leaf(kind: Kind, scope: Scope): string {
    const random = this.#random;
    switch (kind) {
      case "int":
        return integer(random);
      case "smallInt":
        return random.pick(["0", "1", "2", "3", "(-1)", "10"]);
      case "float":
        return float(random);
      case "number":
        return random.chance(0.7) ? integer(random) : float(random);
      case "bool":
        return random.pick(["true", "false"]);
      case "null":
        return "null";
      case "string":
        return stringOf(random, () => '"h"');
      case "path":
        return path(random);
      case "list":
      case "ints":
      case "strings":
      case "sets":
      case "lists":
      case "pairs":
        return random.chance(0.3) ? "[ ]" : this.#list(kind, scope, 0);
      case "set":
        return random.chance(0.4)
          ? "{ }"
          : `{ ${random.pick(NAMES)} = ${random.pick(["1", '"s"', "null"])}; }`;
      case "function":
        return random.pick(["(x: x)", "(x: 1)", "({ a, b ? 2, ... }: b)", "builtins.typeOf", "toString"]);
      case "context":
      case "contextSet":
      case "closureArguments":
      case "convertArguments":
      case "function2":
      case "predicate":
      case "less":
      case "toList":
      case "toString":
        return this.#made(kind, scope, 0);
      default:
        return stringFor(random, kind) ?? this.#leaf(random.pick(PLAIN_KINDS), scope);
    }
  }

  /** What the language says around any kind of expression. */
  #form(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    const s = (): string => this.#space();
    const inner = (k: Kind): string => this.expression(k, scope, depth - 1);
    switch (random.below(16)) {
      case 0:
      case 1: {
        const { text, scope: inside } = this.#bindings(scope, depth, true, random.chance(0.03));
        return `let${s()}${text}in${s()}${this.expression(kind, inside, depth - 1)}`;
      }
      case 2: {
        const name = random.pick(NAMES);
        const inside = [...scope, { name, kind }];
        return `with${s()}{ ${name} = ${inner(kind)}; };${s()}${this.expression(kind, inside, depth - 1)}`;
      }
      case 3:
        return `with${s()}${this.#simple("set", scope, depth - 1)};${s()}${inner(kind)}`;
      case 4:
      case 5:
        return `if${s()}${inner("bool")}${s()}then${s()}${inner(kind)}${s()}else${s()}${inner(kind)}`;
      case 6:
        return `assert${s()}${inner("bool")};${s()}${inner(kind)}`;
      case 7: {
        const name = attributeName(random);
        const set = `${random.chance(0.3) ? "rec " : ""}{ ${name} = ${inner(kind)}; ${this.#someBindings(scope, depth)}}`;
        const used = random.chance(0.9) ? name : attributeName(random);
        return `${set}${s()}.${s()}${used}${random.chance(0.3) ? ` or ${this.#simple(kind, scope, depth - 1)}` : ""}`;
      }
      case 8: {
        const parameter = random.pick(NAMES);
        const argumentKind = random.pick(PLAIN_KINDS);
        const body = this.expression(kind, [...scope, { name: parameter, kind: argumentKind }], depth - 1);
        return `(${parameter}:${s()}${body})${s()}${this.#simple(argumentKind, scope, depth - 1)}`;
      }
      case 9:
      case 10:
        return this.#patternCall(kind, scope, depth);
      case 11: {
        const calls = BUILTIN_CALLS.filter(({ result }) => result === kind || result === "any");
        return this.#builtinCall(random.pick(calls), scope, depth);
      }
      case 12:
        return `(builtins.tryEval${s()}(${inner(kind)})).${random.pick(["value", "value", "success"])}`;
      case 13:
        return `{ __functor = self: ${random.pick(NAMES)}: ${inner(kind)}; }${s()}${this.#simple("any", scope, depth - 1)}`;
      case 14:
        return random.pick([
          `throw ${this.#simple("string", scope, depth - 1)}`,
          `(${inner(kind)})`,
          `let { body = ${inner(kind)}; ${this.#someBindings(scope, depth)}}`,
          `let f = ${random.pick(NAMES)}: ${inner(kind)}; in f ${this.#simple("any", scope, depth - 1)}`,
          `__curPos`,
        ]);
      default:
        return this.#operator(kind, scope, depth);
    }
  }

  /** What makes a value of this kind. */
  #made(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    if (depth > 0 && random.chance(0.35)) {
      const calls = BUILTIN_CALLS.filter(({ result }) => result === kind);
      if (calls.length > 0) return this.#builtinCall(random.pick(calls), scope, depth);
    }
    if (depth > 0 && random.chance(0.3)) return this.#operator(kind, scope, depth);
    const simple = (k: Kind): string => this.#simple(k, scope, depth - 1);
    const inner = (k: Kind): string => this.expression(k, scope, depth - 1);
    switch (kind) {
      case "string":
        return stringOf(random, () =>
          this.expression(
            random.pick(["string", "string", "path", "context", "set", "int"]),
            scope,
            depth - 1,
          ),
        );
      case "list":
      case "strings":
      case "ints":
      case "sets":
      case "lists":
      case "pairs":
        return this.#list(kind, scope, depth);
      case "set":
        return this.#set(scope, depth);
      case "function":
        return this.#lambda(scope, depth);
      case "function2":
        return `(${random.pick(NAMES)}: ${random.pick(NAMES)}: ${inner("any")})`;
      case "predicate":
        return random.pick([
          `(x: ${inner("bool")})`,
          "(x: x == 1)",
          "builtins.isInt",
          "(x: true)",
          `(x: x < ${simple("int")})`,
        ]);
      case "less":
        return random.pick([
          "(x: y: x < y)",
          "builtins.lessThan",
          "(x: y: y < x)",
          `(x: y: ${inner("bool")})`,
          "(x: y: true)",
        ]);
      case "toList":
        return random.pick(["(x: [ x x ])", `(x: ${inner("list")})`]);
      case "toString":
        return random.pick(["toString", `(x: ${inner("string")})`, "builtins.typeOf"]);
      case "context":
        return random.pick([
          `(builtins.toFile "a" ${simple("string")})`,
          `"\${builtins.toFile "b" ""}${random.pick(["", "/x", " y"])}"`,
          `(derivation { name = "n"; system = "s"; builder = ${simple("string")}; }).${random.pick(["outPath", "drvPath", "name", "out"])}`,
          `(derivation { name = "n"; system = "s"; builder = "/b"; outputs = [ "out" "dev" ]; x = ${simple("any")}; }).${random.pick(["dev", "drvPath", "outPath", "all"])}`,
          simple("string"),
        ]);
      case "contextSet":
        return random.pick([
          "{ }",
          `(builtins.getContext ${simple("context")})`,
          '{ "/x" = { path = true; }; }',
          simple("set"),
        ]);
      case "closureArguments":
        return random.pick([
          "{ startSet = [ { key = 1; } ]; operator = x: if x.key < 4 then [ { key = x.key + 1; } { key = 1; } ] else [ ]; }",
          `{ startSet = ${simple("sets")}; operator = x: [ ]; }`,
          `{ startSet = [ { key = ${simple("any")}; } { key = ${simple("any")}; } ]; operator = x: [ ]; }`,
          `{ startSet = [ { key = "a"; } ]; operator = ${simple("toList")}; }`,
          "{ }",
        ]);
      case "convertArguments":
        return `{ hash = ${this.#leaf("hash", scope)}; ${random.pick(["", 'hashAlgo = "sha256"; ', `hashAlgo = ${this.#leaf("algorithm", scope)}; `])}toHashFormat = "${random.pick(["base16", "base32", "nix32", "base64", "sri", "x", ""])}"; }`;
      default:
        return this.#leaf(kind, scope);
    }
  }

  #list(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    const item = (): string => {
      switch (kind) {
        case "strings":
          return random.chance(0.5)
            ? `"${random.pick(["a", "b", "", "foo", "ab", "x"])}"`
            : this.#simple("string", scope, depth - 1);
        case "ints":
          return this.#simple("int", scope, depth - 1);
        case "sets":
          return this.#simple("set", scope, depth - 1);
        case "lists":
          return this.#simple("list", scope, depth - 1);
        case "pairs":
          return `{ name = ${this.#simple(random.chance(0.5) ? "name" : "string", scope, depth - 1)}; value = ${this.expression("any", scope, depth - 1)}; }`;
        default:
          return this.#simple("any", scope, depth - 1);
      }
    };
    const items = random.some(0, 4, item);
    return `[${this.#space()}${items.map((text) => text + this.#space()).join("")}]`;
  }

  #set(scope: Scope, depth: number): string {
    const random = this.#random;
    const special = random.chance(0.08)
      ? random.pick([
          `__toString = self: ${this.expression("string", scope, depth - 1)}; `,
          `outPath = ${this.expression("string", scope, depth - 1)}; `,
          `__functor = self: x: ${this.expression("any", scope, depth - 1)}; `,
          'type = "derivation"; ',
          "__overrides = { a = 5; }; ",
          `__toString = ${this.expression("any", scope, depth - 1)}; `,
        ])
      : "";
    if (random.chance(0.3)) {
      const { text } = this.#bindings(scope, depth, true);
      return `rec${this.#space()}{ ${text}${special}}`;
    }
    return `{${this.#space()}${this.#someBindings(scope, depth)}${special}}`;
  }

  #someBindings(scope: Scope, depth: number): string {
    return this.#bindings(scope, depth, false).text;
  }

  /** Definitions, and the scope in which the names are known. */
  #bindings(
    scope: Scope,
    depth: number,
    isRecursive: boolean,
    hasDynamic = true,
  ): { text: string; scope: Scope } {
    const random = this.#random;
    const own = random.some(0, 3, (): Variable => ({
      name: random.pick(NAMES),
      kind: random.pick(PLAIN_KINDS),
    }));
    const variables = own.filter(
      ({ name }, index) => random.chance(0.04) || own.findIndex((other) => other.name === name) === index,
    );
    const inside = isRecursive
      ? [...scope.filter(({ name }) => !variables.some((own) => own.name === name)), ...variables]
      : scope;
    const seen = random.chance(0.15) ? inside : scope;
    const parts = variables.map(
      ({ name, kind }) =>
        `${name}${this.#space()}=${this.#space()}${this.expression(kind, seen, depth - 1)};${this.#space()}`,
    );
    const extra = random.below(14);
    const value = (): string => this.expression("any", seen, depth - 1);
    if (extra === 0 && scope.length > 0)
      parts.push(
        `inherit ${random.pick(scope).name}${random.chance(0.2) ? ` ${attributeName(random)}` : ""}; `,
      );
    else if (extra === 1)
      parts.push(
        `inherit (${this.expression("set", seen, depth - 1)}) ${random.some(0, 2, () => attributeName(random)).join(" ")}; `,
      );
    else if (extra === 2) {
      const first = attributeName(random);
      parts.push(
        `${first}.${attributeName(random)} = ${value()}; `,
        `${random.chance(0.7) ? first : attributeName(random)}.${attributeName(random)}${random.chance(0.3) ? `.${attributeName(random)}` : ""} = ${value()}; `,
      );
    } else if (extra === 3 && hasDynamic)
      parts.push(`\${${this.expression("name", seen, depth - 1)}} = ${value()}; `);
    else if (extra === 4)
      parts.push(
        `${attributeName(random)} = ${random.chance(0.3) ? "rec " : ""}{ ${this.#someBindings(seen, depth - 1)}}; ${attributeName(random)}.${attributeName(random)} = ${value()}; `,
      );
    else if (extra === 5 && hasDynamic)
      parts.push(
        `"\${${this.expression("string", seen, depth - 1)}}".${attributeName(random)} = ${value()}; `,
      );
    if (random.chance(0.3)) parts.reverse();
    return { text: parts.join(""), scope: inside };
  }

  #lambda(scope: Scope, depth: number): string {
    const random = this.#random;
    if (random.chance(0.5)) {
      const name = random.pick(NAMES);
      return `${name}:${this.#space()}${this.expression("any", [...scope, { name, kind: "any" }], depth - 1)}`;
    }
    const { text, scope: inside } = this.#pattern(scope, depth);
    return `${text}:${this.#space()}${this.expression("any", inside, depth - 1)}`;
  }

  #pattern(scope: Scope, depth: number): { text: string; scope: Scope; parameters: readonly Variable[] } {
    const random = this.#random;
    const own = random.some(0, 3, (): Variable => ({
      name: random.pick(NAMES),
      kind: random.pick(PLAIN_KINDS),
    }));
    const parameters = own.filter(
      ({ name }, index) => random.chance(0.02) || own.findIndex((other) => other.name === name) === index,
    );
    let inside: Scope = [
      ...scope.filter(({ name }) => !parameters.some((own) => own.name === name)),
      ...parameters,
    ];
    const formals = parameters.map(({ name, kind }) =>
      random.chance(0.4)
        ? `${name} ? ${this.expression(kind, random.chance(0.3) ? inside : scope, depth - 1)}`
        : name,
    );
    if (random.chance(0.35)) formals.push("...");
    const body = `{${this.#space()}${formals.join(", ")}${random.chance(0.05) && formals.length > 0 ? "," : ""}${this.#space()}}`;
    if (random.chance(0.7)) return { text: body, scope: inside, parameters };
    const whole = random.pick(["args", "args", "self", random.pick(NAMES)]);
    inside = [...inside, { name: whole, kind: "set" }];
    return {
      text: random.chance(0.5) ? `${body}${random.pick(["@", " @ "])}${whole}` : `${whole}@${body}`,
      scope: inside,
      parameters,
    };
  }

  #patternCall(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    const { text, scope: inside, parameters } = this.#pattern(scope, depth);
    const given = parameters
      .filter(() => random.chance(0.93))
      .map(({ name, kind: wanted }) => `${name} = ${this.expression(wanted, scope, depth - 1)}; `);
    if (random.chance(0.15)) given.push(`${random.pick(NAMES)} = 1; `);
    return `(${text}:${this.#space()}${this.expression(kind, inside, depth - 1)})${this.#space()}{ ${given.join("")}}`;
  }

  #builtinCall(call: (typeof BUILTIN_CALLS)[number], scope: Scope, depth: number): string {
    const random = this.#random;
    const prefix =
      GLOBAL_NAMES.has(call.name) && random.chance(0.7) ? "" : random.chance(0.97) ? "builtins." : "__";
    const given = random.chance(0.95) ? call.parameters : call.parameters.slice(0, -1);
    const words = given.map((kind) => this.#simple(kind, scope, depth - 1));
    return [`${prefix}${call.name}`, ...words].join(this.#random.chance(0.97) ? " " : this.#space());
  }

  #operator(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    // Now and then without parentheses: then precedence settles what is computed.
    const operand = (k: Kind): string =>
      random.chance(0.15) ? this.expression(k, scope, depth - 1) : this.#simple(k, scope, depth - 1);
    const space = (): string => (random.chance(0.96) ? " " : random.chance(0.7) ? "" : this.#space());
    const binary = (left: Kind, operator: string, right: Kind): string =>
      `${operand(left)}${space()}${operator}${space()}${operand(right)}`;
    switch (kind) {
      case "int":
      case "float":
      case "number":
      case "smallInt":
        return random.chance(0.15)
          ? `-${operand(kind)}`
          : binary(kind, random.pick(["+", "-", "*", "/"]), random.chance(0.9) ? kind : "number");
      case "string":
        return binary(
          random.chance(0.9) ? "string" : "path",
          "+",
          random.pick(["string", "string", "context", "path"]),
        );
      case "path":
        return binary("path", "+", random.pick(["string", "path"]));
      case "list":
        return binary("list", "++", "list");
      case "set":
        return binary("set", "//", "set");
      case "bool":
        switch (random.below(7)) {
          case 0:
            return binary("bool", random.pick(["&&", "||", "->"]), "bool");
          case 1:
            return `!${operand("bool")}`;
          case 2: {
            const compared = random.pick([
              "number",
              "number",
              "string",
              "path",
              "ints",
              "strings",
              "list",
              "any",
            ] as const);
            return binary(compared, random.pick(["<", ">", "<=", ">="]), compared);
          }
          case 3: {
            const compared = random.pick(PLAIN_KINDS);
            return binary(compared, random.pick(["==", "!="]), random.chance(0.8) ? compared : "any");
          }
          case 4:
            return `${operand("set")} ? ${random.some(1, 2, () => attributeName(random)).join(".")}`;
          case 5:
            return binary("any", random.pick(["==", "!="]), "any");
          default:
            return `${operand("any")}${random.chance(0.5) ? `.${attributeName(random)}` : ""} ? \${${this.#simple("name", scope, depth - 1)}}`;
        }
      default:
        return binary(
          random.pick(PLAIN_KINDS),
          random.pick([
            "+",
            "-",
            "*",
            "/",
            "==",
            "<",
            "&&",
            "||",
            "->",
            "//",
            "++",
            ...(random.chance(0.05) ? ["|>", "<|"] : []),
          ]),
          random.pick(PLAIN_KINDS),
        );
    }
  }
}
