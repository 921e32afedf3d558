import { formatFloat, quoteAttrName, quoteString } from "../value/literal.ts";
import {
  expand,
  pathOf,
  type AttrDef,
  type AttrName,
  type AttrsExpr,
  type Expr,
  type LambdaExpr,
} from "./ast.ts";

/** Prints a syntax tree as `nix-instantiate --parse` does. */
export function printExpr(expr: Expr): string {
  const printer = new Printer();
  printer.print(expr);
  return printer.text;
}

/** One text that grows: measured on 8,000 files of nixpkgs against texts that are put together at each level. */
class Printer {
  text = "";

  print(expr: Expr): void {
    switch (expr.kind) {
      case "var":
        // Nothing but an identifier becomes one.
        this.text += expr.name;
        return;
      case "string":
        this.text += quoteString(expr.text);
        return;
      case "select":
        this.text += "(";
        this.print(expr.object);
        this.text += `).${showAttrPath(expr.path)}`;
        if (expr.fallback !== undefined) this.#within(" or (", expr.fallback, ")");
        return;
      case "call":
        this.text += "(";
        this.print(expr.fn);
        for (const argument of expr.args) this.#within(" ", argument, "");
        this.text += ")";
        return;
      case "attrs":
        this.text += expr.isRecursive ? "rec { " : "{ ";
        this.#bindings(expr);
        this.text += "}";
        return;
      case "list":
        this.text += "[ ";
        for (const item of expr.items) this.#within("(", item, ") ");
        this.text += "]";
        return;
      case "path":
        this.text += pathOf(expr);
        return;
      case "lambda":
        this.#lambda(expr);
        return;
      case "concat":
        this.text += "(";
        for (let i = 0; i < expr.parts.length; i++)
          this.#within(i === 0 ? "" : " + ", expr.parts[i]!.expr, "");
        this.text += ")";
        return;
      case "let":
        this.text += "(let ";
        this.#bindings(expr.attrs);
        this.#within("in ", expr.body, ")");
        return;
      case "with":
        this.#within("(with ", expr.attrs, "; ");
        this.#within("", expr.body, ")");
        return;
      case "if":
        this.#within("(if ", expr.condition, " then ");
        this.#within("", expr.consequent, " else ");
        this.#within("", expr.alternate, ")");
        return;
      case "assert":
        this.#within("assert ", expr.condition, "; ");
        this.print(expr.body);
        return;
      case "binary":
        this.#within("(", expr.left, ` ${expr.operator} `);
        this.#within("", expr.right, ")");
        return;
      case "hasAttr":
        this.#within("((", expr.object, `) ? ${showAttrPath(expr.path)})`);
        return;
      case "not":
        this.#within("(! ", expr.operand, ")");
        return;
      case "int":
        this.text += String(expr.value);
        return;
      case "float":
        this.text += formatFloat(expr.value);
        return;
      case "curPos":
        this.text += "__curPos";
        return;
      case "deferred":
        this.print(expand(expr));
        return;
      case "inheritFrom":
        this.text += `(/* expanded inherit (expr) */ ${expr.index})`;
        return;
    }
  }

  #within(before: string, expr: Expr, after: string): void {
    if (before !== "") this.text += before;
    this.print(expr);
    if (after !== "") this.text += after;
  }

  #lambda({ argument, formals, hasEllipsis, body }: LambdaExpr): void {
    const name = argument === undefined ? "" : quoteAttrName(argument);
    if (formals === undefined) this.text += `(${name}: `;
    else {
      this.text += "({ ";
      let isFirst = true;
      for (const formal of sortedByName(formals)) {
        this.text += isFirst ? quoteAttrName(formal.name) : `, ${quoteAttrName(formal.name)}`;
        if (formal.fallback !== undefined) this.#within(" ? ", formal.fallback, "");
        isFirst = false;
      }
      if (hasEllipsis) this.text += isFirst ? "..." : ", ...";
      this.text += name === "" ? " }: " : ` } @ ${name}: `;
    }
    this.print(body);
    this.text += ")";
  }

  #bindings(attrs: AttrsExpr): void {
    const sorted = sortedByName(attrs.defs);
    let inherited = "";
    for (const def of sorted) if (def.kind === "inherited") inherited += ` ${quoteAttrName(def.name)}`;
    if (inherited !== "") this.text += `inherit${inherited}; `;
    for (let index = 0; index < attrs.inheritFrom.length; index++) {
      let names = "";
      for (const def of sorted) if (sourceIndex(def) === index) names += ` ${quoteAttrName(def.name)}`;
      if (names !== "") this.#within("inherit (", attrs.inheritFrom[index]!, `)${names}; `);
    }
    for (const def of sorted)
      if (def.kind === "plain") this.#within(`${quoteAttrName(def.name)} = `, def.value, "; ");
    for (const { name, value } of attrs.dynamic) {
      this.#within('"${', name, '}" = ');
      this.#within("", value, "; ");
    }
  }
}

/** Sets of fewer names are sorted by hand. */
const FEW_NAMES = 12;

function sortedByName<T extends { readonly name: string }>(named: readonly T[]): readonly T[] {
  const count = named.length;
  let sorted = 1;
  while (sorted < count && named[sorted - 1]!.name <= named[sorted]!.name) sorted++;
  if (sorted >= count) return named;
  if (count >= FEW_NAMES) return named.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const items = named.slice();
  for (let i = sorted; i < count; i++) {
    const item = items[i]!;
    let at = i;
    for (; at > 0 && items[at - 1]!.name > item.name; at--) items[at] = items[at - 1]!;
    items[at] = item;
  }
  return items;
}

function sourceIndex(def: AttrDef): number | undefined {
  if (def.kind !== "inheritedFrom" || def.value.kind !== "select") return undefined;
  return def.value.object.kind === "inheritFrom" ? def.value.object.index : undefined;
}

/** `a.b."${c}"` */
export function showAttrPath(path: readonly AttrName[]): string {
  let text = "";
  for (let i = 0; i < path.length; i++) {
    const name = path[i]!;
    if (i > 0) text += ".";
    text += typeof name === "string" ? quoteAttrName(name) : `"\${${printExpr(name)}}"`;
  }
  return text;
}
