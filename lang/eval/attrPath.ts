import { showType } from "../value/describe.ts";
import { evalError } from "../value/error.ts";
import { NO_POS, type Pos } from "../value/position.ts";
import { suggest } from "../value/suggest.ts";
import { AttrSet, isList, type Slot } from "../value/value.ts";
import { autoCall } from "./autoCall.ts";

/** Splits `a."b.c".0` into its names. @throws EvalError when a quote is not closed */
export function parseAttrPath(text: string): string[] {
  const names: string[] = [];
  let current = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === ".") {
      names.push(current);
      current = "";
    } else if (char === '"') {
      const end = text.indexOf('"', i + 1);
      if (end < 0) throw evalError("parse", `missing closing quote in selection path '${text}'`);
      current += text.slice(i + 1, end);
      i = end;
    } else current += char;
  }
  if (current !== "") names.push(current);
  return names;
}

/** Follows a path of names and list indexes (`-A`), calling functions on the way with `args`. */
export function selectAttrPath(
  slot: Slot,
  path: string,
  args: AttrSet,
): { readonly slot: Slot; readonly pos: Pos } {
  let current = slot;
  let pos = NO_POS;
  for (const name of parseAttrPath(path)) {
    const value = autoCall(current, args);
    if (/^[0-9]+$/.test(name)) {
      if (!isList(value))
        throw evalError(
          "type",
          `the expression selected by the selection path '${path}' should be a list but is ${showType(value)}`,
        );
      const item = value[Number(name)];
      if (item === undefined)
        throw evalError("missingAttribute", `list index ${name} in selection path '${path}' is out of range`);
      current = item;
      pos = NO_POS;
      continue;
    }
    if (!(value instanceof AttrSet))
      throw evalError(
        "type",
        `the expression selected by the selection path '${path}' should be a set but is ${showType(value)}`,
      );
    if (name === "") throw evalError("parse", `empty attribute name in selection path '${path}'`);
    const found = value.get(name);
    if (found === undefined)
      throw evalError(
        "missingAttribute",
        `attribute '${name}' in selection path '${path}' not found`,
        NO_POS,
        {
          suggestions: suggest(name, value.sortedNames()),
        },
      );
    current = found;
    pos = value.posOf(name);
  }
  return { slot: current, pos };
}
