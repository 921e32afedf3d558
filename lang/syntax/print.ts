import { formatFloat, quoteAttrName, quoteString } from "../value/literal.ts";
import { expand, pathOf, type AttrDef, type AttrName, type AttrsExpr, type Expr } from "./ast.ts";

/** Prints a syntax tree as `nix-instantiate --parse` does. */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case "int":
      return String(expr.value);
    case "float":
      return formatFloat(expr.value);
    case "string":
      return quoteString(expr.text);
    case "path":
      return pathOf(expr);
    case "var":
      return quoteAttrName(expr.name);
    case "select": {
      const fallback = expr.fallback === undefined ? "" : ` or (${printExpr(expr.fallback)})`;
      return `(${printExpr(expr.object)}).${showAttrPath(expr.path)}${fallback}`;
    }
    case "hasAttr":
      return `((${printExpr(expr.object)}) ? ${showAttrPath(expr.path)})`;
    case "call":
      return `(${[expr.fn, ...expr.args].map(printExpr).join(" ")})`;
    case "lambda": {
      const argument = expr.argument === undefined ? "" : quoteAttrName(expr.argument);
      if (expr.formals === undefined) return `(${argument}: ${printExpr(expr.body)})`;
      const formals = expr.formals
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map((formal) =>
          formal.fallback === undefined
            ? quoteAttrName(formal.name)
            : `${quoteAttrName(formal.name)} ? ${printExpr(formal.fallback)}`,
        );
      if (expr.hasEllipsis) formals.push("...");
      return `({ ${formals.join(", ")} }${argument === "" ? "" : ` @ ${argument}`}: ${printExpr(expr.body)})`;
    }
    case "let":
      return `(let ${printBindings(expr.attrs)}in ${printExpr(expr.body)})`;
    case "with":
      return `(with ${printExpr(expr.attrs)}; ${printExpr(expr.body)})`;
    case "if":
      return `(if ${printExpr(expr.condition)} then ${printExpr(expr.consequent)} else ${printExpr(expr.alternate)})`;
    case "assert":
      return `assert ${printExpr(expr.condition)}; ${printExpr(expr.body)}`;
    case "attrs":
      return `${expr.isRecursive ? "rec " : ""}{ ${printBindings(expr)}}`;
    case "list":
      return `[ ${expr.items.map((item) => `(${printExpr(item)}) `).join("")}]`;
    case "not":
      return `(! ${printExpr(expr.operand)})`;
    case "concat":
      return `(${expr.parts.map((part) => printExpr(part.expr)).join(" + ")})`;
    case "binary":
      return `(${printExpr(expr.left)} ${expr.operator} ${printExpr(expr.right)})`;
    case "curPos":
      return "__curPos";
    case "deferred":
      return printExpr(expand(expr));
    case "inheritFrom":
      return `(/* expanded inherit (expr) */ ${expr.index})`;
  }
}

function printBindings(attrs: AttrsExpr): string {
  const sorted = attrs.defs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const names = (defs: readonly AttrDef[]): string =>
    defs.map((def) => ` ${quoteAttrName(def.name)}`).join("");
  let text = "";
  const inherited = sorted.filter((def) => def.kind === "inherited");
  if (inherited.length > 0) text += `inherit${names(inherited)}; `;
  for (const [index, from] of attrs.inheritFrom.entries()) {
    const selected = sorted.filter((def) => sourceIndex(def) === index);
    if (selected.length > 0) text += `inherit (${printExpr(from)})${names(selected)}; `;
  }
  for (const def of sorted)
    if (def.kind === "plain") text += `${quoteAttrName(def.name)} = ${printExpr(def.value)}; `;
  for (const def of attrs.dynamic) text += `"\${${printExpr(def.name)}}" = ${printExpr(def.value)}; `;
  return text;
}

function sourceIndex(def: AttrDef): number | undefined {
  if (def.kind !== "inheritedFrom" || def.value.kind !== "select") return undefined;
  return def.value.object.kind === "inheritFrom" ? def.value.object.index : undefined;
}

/** `a.b."${c}"`, for messages. */
export function showAttrPath(path: readonly AttrName[]): string {
  return path
    .map((name) => (typeof name === "string" ? quoteAttrName(name) : `"\${${printExpr(name)}}"`))
    .join(".");
}
