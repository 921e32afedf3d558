import { evalError, type EvalError } from "../value/error.ts";
import { quoteAttrName } from "../value/literal.ts";
import type { Pos } from "../value/position.ts";
import { suggest } from "../value/suggest.ts";

/** Nix says no more than the name; a near one helps, and goes into the hint so that the message stays Nix's. */
export function undefinedVariable(name: string, pos: Pos, visible: Iterable<string>): EvalError {
  const [near] = name.length < 3 ? [] : suggest(name, visible);
  return evalError(
    "undefinedVariable",
    `undefined variable '${quoteAttrName(name)}'`,
    pos,
    near === undefined ? {} : { hint: `did you mean '${near}'?` },
  );
}
