import {
  AttrSet,
  NO_POS,
  evalError,
  force,
  forceAttrs,
  forceStringNoContext,
  isInteger,
  isStringValue,
  showType,
  textOf,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, failure, type Definition } from "./define.ts";
import { fetchInput } from "../flake/fetchInput.ts";
import { formatFlakeReference, parseFlakeReference, type FlakeAttributes } from "../flake/flakeReference.ts";
import { getFlake } from "../flake/getFlake.ts";

export function flakeBuiltins(runtime: Runtime): readonly Definition[] {
  const options = { feature: "flakes" };
  return [
    define1(
      "getFlake",
      "args",
      "The outputs of a flake.",
      (_, reference) => getFlake(runtime, reference),
      options,
    ),
    define1(
      "parseFlakeRef",
      "flake-ref",
      "A flake reference as a set.",
      (_, reference): Value => {
        const text = forceStringNoContext(
          reference,
          NO_POS,
          "while evaluating the argument passed to builtins.parseFlakeRef",
        );
        const values = new Map<string, Slot>();
        for (const [name, value] of parseFlakeReference(text))
          values.set(name, typeof value === "bigint" ? Number(value) : value);
        return AttrSet.fromMap(values);
      },
      options,
    ),
    define1(
      "flakeRefToString",
      "attrs",
      "A flake reference as a URL.",
      (_, attrs) => {
        const set = forceAttrs(
          attrs,
          NO_POS,
          "while evaluating the argument passed to builtins.flakeRefToString",
        );
        const attributes: FlakeAttributes = new Map();
        set.forEachSorted((name, slot, pos) => {
          const value = force(slot, pos);
          if (isInteger(value)) {
            if (value < 0) throw failure(`negative value given for flake ref attr ${name}: ${value}`);
            attributes.set(name, BigInt(value));
          } else if (typeof value === "boolean") attributes.set(name, value);
          else if (isStringValue(value)) attributes.set(name, textOf(value));
          else
            throw evalError(
              "eval",
              `flake reference attribute sets may only contain integers, Booleans, and strings, but attribute '${name}' is ${showType(value)}`,
            );
        });
        const dir = attributes.get("dir");
        attributes.delete("dir");
        const input = fetchInput(attributes).attributes;
        return formatFlakeReference(dir === undefined ? input : input.set("dir", dir));
      },
      options,
    ),
  ];
}
