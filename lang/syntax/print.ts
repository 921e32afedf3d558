import { formatFloat } from "../value/literal.ts";
import {
  expand,
  pathOf,
  type AttrDef,
  type AttrName,
  type AttrsExpr,
  type Expr,
  type LambdaExpr,
} from "./ast.ts";
import { ByteWriter } from "../print/byteWriter.ts";

/** Prints a syntax tree as `nix-instantiate --parse` does. */
export function printExpr(expr: Expr): string {
  const writer = new ByteWriter();
  print(writer, expr);
  return writer.finish();
}

function print(to: ByteWriter, expr: Expr): void {
  switch (expr.kind) {
    case "var":
      // Nothing but an identifier becomes one.
      to.text(expr.name);
      return;
    case "string":
      to.quoted(expr.text);
      return;
    case "select":
      printWithin(to, "(", expr.object, ").");
      printAttrPath(to, expr.path);
      if (expr.fallback !== undefined) printWithin(to, " or (", expr.fallback, ")");
      return;
    case "call":
      printWithin(to, "(", expr.fn, "");
      for (let i = 0; i < expr.args.length; i++) printWithin(to, " ", expr.args[i]!, "");
      to.text(")");
      return;
    case "attrs":
      to.text(expr.isRecursive ? "rec { " : "{ ");
      printBindings(to, expr);
      to.text("}");
      return;
    case "list":
      to.text("[ ");
      for (let i = 0; i < expr.items.length; i++) printWithin(to, "(", expr.items[i]!, ") ");
      to.text("]");
      return;
    case "path":
      to.text(pathOf(expr));
      return;
    case "lambda":
      printLambda(to, expr);
      return;
    case "concat":
      for (let i = 0; i < expr.parts.length; i++)
        printWithin(to, i === 0 ? "(" : " + ", expr.parts[i]!.expr, "");
      to.text(")");
      return;
    case "let":
      to.text("(let ");
      printBindings(to, expr.attrs);
      printWithin(to, "in ", expr.body, ")");
      return;
    case "with":
      printWithin(to, "(with ", expr.attrs, "; ");
      printWithin(to, "", expr.body, ")");
      return;
    case "if":
      printWithin(to, "(if ", expr.condition, " then ");
      printWithin(to, "", expr.consequent, " else ");
      printWithin(to, "", expr.alternate, ")");
      return;
    case "assert":
      printWithin(to, "assert ", expr.condition, "; ");
      print(to, expr.body);
      return;
    case "binary":
      printWithin(to, "(", expr.left, ` ${expr.operator} `);
      printWithin(to, "", expr.right, ")");
      return;
    case "hasAttr":
      printWithin(to, "((", expr.object, ") ? ");
      printAttrPath(to, expr.path);
      to.text(")");
      return;
    case "not":
      printWithin(to, "(! ", expr.operand, ")");
      return;
    case "int":
      to.text(String(expr.value));
      return;
    case "float":
      to.text(formatFloat(expr.value));
      return;
    case "curPos":
      to.text("__curPos");
      return;
    case "deferred":
      print(to, expand(expr));
      return;
    case "inheritFrom":
      to.text(`(/* expanded inherit (expr) */ ${expr.index})`);
      return;
  }
}

function printWithin(to: ByteWriter, before: string, expr: Expr, after: string): void {
  to.text(before);
  print(to, expr);
  to.text(after);
}

function printLambda(to: ByteWriter, { argument, formals, hasEllipsis, body }: LambdaExpr): void {
  if (formals === undefined) {
    to.text("(");
    if (argument !== undefined) to.name(argument);
    to.text(": ");
  } else {
    to.text("({ ");
    const sorted = sortedByName(formals);
    for (let i = 0; i < sorted.length; i++) {
      const { name, fallback } = sorted[i]!;
      if (i > 0) to.text(", ");
      to.name(name);
      if (fallback !== undefined) printWithin(to, " ? ", fallback, "");
    }
    if (hasEllipsis) to.text(sorted.length === 0 ? "..." : ", ...");
    to.text(" }");
    if (argument !== undefined) {
      to.text(" @ ");
      to.name(argument);
    }
    to.text(": ");
  }
  print(to, body);
  to.text(")");
}

function printBindings(to: ByteWriter, attrs: AttrsExpr): void {
  const sorted = sortedByName(attrs.defs);
  printNames(to, "inherit", sorted, (def) => def.kind === "inherited");
  for (let index = 0; index < attrs.inheritFrom.length; index++) {
    if (!sorted.some((def) => sourceIndex(def) === index)) continue;
    printWithin(to, "inherit (", attrs.inheritFrom[index]!, ")");
    printNames(to, "", sorted, (def) => sourceIndex(def) === index);
  }
  for (let i = 0; i < sorted.length; i++) {
    const { kind, name, value } = sorted[i]!;
    if (kind !== "plain") continue;
    to.name(name);
    printWithin(to, " = ", value, "; ");
  }
  for (const { name, value } of attrs.dynamic) {
    printWithin(to, '"${', name, '}" = ');
    printWithin(to, "", value, "; ");
  }
}

/** ` a b; ` of those chosen; nothing, not even what stands before, where there is none. */
function printNames(
  to: ByteWriter,
  before: string,
  defs: readonly AttrDef[],
  isChosen: (def: AttrDef) => boolean,
): void {
  let isFirst = true;
  for (const def of defs) {
    if (!isChosen(def)) continue;
    if (isFirst) to.text(before);
    isFirst = false;
    to.text(" ");
    to.name(def.name);
  }
  if (!isFirst) to.text("; ");
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
  const writer = new ByteWriter();
  printAttrPath(writer, path);
  return writer.finish();
}

function printAttrPath(to: ByteWriter, path: readonly AttrName[]): void {
  for (let i = 0; i < path.length; i++) {
    const name = path[i]!;
    if (i > 0) to.text(".");
    if (typeof name === "string") to.name(name);
    else printWithin(to, '"${', name, '}"');
  }
}
