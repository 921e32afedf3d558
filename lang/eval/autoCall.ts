import { call1 } from "../value/call.ts";
import { evalError } from "../value/error.ts";
import { force } from "../value/force.ts";
import { NO_POS } from "../value/position.ts";
import { AttrSet, Lambda, type Slot, type Value } from "../value/value.ts";

/** Calls a function that takes a set with what is given (`--arg`), as the commands do with a file's value. */
export function autoCall(slot: Slot, args: AttrSet): Value {
  const fn = force(slot);
  if (fn instanceof AttrSet) {
    const functor = fn.get("__functor");
    if (functor === undefined) return fn;
    return autoCall(call1(force(functor), fn, fn.posOf("__functor")), args);
  }
  if (!(fn instanceof Lambda) || fn.code.formals === undefined) return fn;
  let given = args;
  if (!fn.code.hasEllipsis) {
    const wanted = new Set(fn.code.formals.map((formal) => formal.name));
    given = args.filterNames((name) => wanted.has(name));
  }
  for (const formal of fn.code.formals)
    if (!formal.hasDefault && !given.has(formal.name))
      throw evalError(
        "missingArgument",
        `cannot evaluate a function that has an argument without a value ('${formal.name}')
Nix attempted to evaluate a function as a top level expression; in
this case it must have its arguments supplied either by default
values, or passed explicitly with '--arg' or '--argstr'. See
https://nix.dev/manual/nix/stable/language/syntax.html#functions.`,
        formal.pos,
      );
  return call1(fn, given, NO_POS);
}
