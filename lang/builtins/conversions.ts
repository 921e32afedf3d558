import type { ContextElement } from "../host.ts";
import { printJson, printXml } from "../print/index.ts";
import {
  AttrSet,
  EMPTY_SET,
  EvalError,
  Float,
  NO_POS,
  addFrame,
  evalError,
  forceStringNoContext,
  shapeOf,
  makeString,
  type Runtime,
  type Shape,
  type Value,
} from "../value/index.ts";
import { define1, failure, type Definition } from "./define.ts";
import { JsonError, parseJson, type JsonBuilder } from "./json/jsonParser.ts";
import { parseToml, TomlSyntaxError } from "./toml/toml.ts";

export function conversionBuiltins(runtime: Runtime): readonly Definition[] {
  return [
    define1("toJSON", "e", "A value as JSON.", (_, e) => {
      const context = new Set<ContextElement>();
      return makeString(printJson(runtime, e, context), context);
    }),
    define1("fromJSON", "e", "The value of a JSON text.", (_, e) => {
      const text = forceStringNoContext(
        e,
        NO_POS,
        "while evaluating the first argument passed to builtins.fromJSON",
      );
      try {
        return parseJson(text, JSON_VALUES);
      } catch (error) {
        if (!(error instanceof JsonError)) throw error;
        const failed = evalError("eval", error.message);
        throw error.isSyntax ? addFrame(failed, "while decoding a JSON string") : failed;
      }
    }),
    define1("toXML", "e", "A value as XML.", (_, e) => {
      const context = new Set<ContextElement>();
      return makeString(printXml(e, context, { isStrict: true, hasLocations: false }), context);
    }),
    define1(
      "fromTOML",
      "e",
      "The value of a TOML text.",
      (_, e) => {
        const text = forceStringNoContext(
          e,
          NO_POS,
          "while evaluating the argument passed to builtins.fromTOML",
        );
        try {
          return parseToml<Value>(text, {
            ...JSON_VALUES,
            object: (names, values) => JSON_VALUES.object(JSON_VALUES.shape(names), values),
            timestamp(value) {
              if (!runtime.settings.features.has("parse-toml-timestamps"))
                throw new TomlSyntaxError("Dates and times are not supported");
              return new AttrSet(TIMESTAMP_SHAPE, ["timestamp", value]);
            },
          });
        } catch (error) {
          if (error instanceof TomlSyntaxError) throw failure(`while parsing TOML: ${error.message}`);
          if (error instanceof EvalError) throw failure(`while parsing TOML: error: ${error.message}`);
          throw error;
        }
      },
      { isGlobal: true },
    ),
  ];
}

const TIMESTAMP_SHAPE = shapeOf(["_type", "value"]);

const JSON_VALUES: JsonBuilder<Value, Shape> = {
  string(text) {
    requireNoNul(text);
    return text;
  },
  integer: (value) => value,
  float: (value) => new Float(value),
  boolean: (value) => value,
  null: () => null,
  list: (items) => items,
  shape(names) {
    for (const name of names) requireNoNul(name);
    return shapeOf(names);
  },
  object: (shape, values) => (values.length === 0 ? EMPTY_SET : new AttrSet(shape, values)),
};

function requireNoNul(text: string): void {
  if (text.includes("\0"))
    throw evalError(
      "eval",
      `input string '${text.replaceAll("\0", "\xe2\x90\x80")}' cannot be represented as Nix string because it contains null bytes`,
    );
}
