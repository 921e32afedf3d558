import {
  AttrSet,
  Float,
  force,
  isFunctionValue,
  isInteger,
  isList,
  isStringValue,
  PathValue,
  typeName,
} from "../value/index.ts";
import { define1, type Definition } from "./define.ts";

export const TYPE_BUILTINS: readonly Definition[] = [
  define1(
    "typeOf",
    "e",
    'The type of a value: "int", "bool", "string", "path", "null", "set", "list", "lambda" or "float".',
    (_, e) => typeName(force(e)),
  ),
  define1("isNull", "e", "Whether a value is `null`.", (_, e) => force(e) === null, { isGlobal: true }),
  define1("isAttrs", "e", "Whether a value is a set.", (_, e) => force(e) instanceof AttrSet),
  define1("isBool", "e", "Whether a value is a Boolean.", (_, e) => typeof force(e) === "boolean"),
  define1("isFloat", "e", "Whether a value is a float.", (_, e) => force(e) instanceof Float),
  define1("isFunction", "e", "Whether a value is a function.", (_, e) => isFunctionValue(force(e))),
  define1("isInt", "e", "Whether a value is an integer.", (_, e) => isInteger(force(e))),
  define1("isList", "e", "Whether a value is a list.", (_, e) => isList(force(e))),
  define1("isPath", "e", "Whether a value is a path.", (_, e) => force(e) instanceof PathValue),
  define1("isString", "e", "Whether a value is a string.", (_, e) => isStringValue(force(e))),
];
