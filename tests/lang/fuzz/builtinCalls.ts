/**
 * What a generated expression is meant to be; `any` is whatever comes. The other kinds say what a builtin wants to
 * read in a string, a list or a set.
 */
export type Kind =
  | "any"
  | "int"
  | "float"
  | "bool"
  | "null"
  | "string"
  | "path"
  | "list"
  | "set"
  | "function"
  | "number"
  | "context"
  | "strings"
  | "ints"
  | "sets"
  | "lists"
  | "smallInt"
  | "function2"
  | "predicate"
  | "less"
  | "toList"
  | "toString"
  | "regex"
  | "json"
  | "toml"
  | "version"
  | "hash"
  | "algorithm"
  | "pairs"
  | "name"
  | "closureArguments"
  | "convertArguments"
  | "contextSet"
  | "storeName";

export interface BuiltinCall {
  readonly name: string;
  readonly parameters: readonly Kind[];
  readonly result: Kind;
}

/** `name: parameters -> result`, a builtin a line. */
const TABLE = `
  add: number number -> number
  sub: number number -> number
  mul: number number -> number
  div: number number -> number
  lessThan: number number -> bool
  bitAnd: int int -> int
  bitOr: int int -> int
  bitXor: int int -> int
  ceil: number -> int
  floor: number -> int
  all: predicate list -> bool
  any: predicate list -> bool
  attrNames: set -> strings
  attrValues: set -> list
  baseNameOf: string -> string
  baseNameOf: path -> string
  dirOf: string -> string
  dirOf: path -> path
  catAttrs: name sets -> list
  compareVersions: version version -> int
  concatLists: lists -> list
  concatMap: toList list -> list
  concatStringsSep: string strings -> string
  deepSeq: any any -> any
  elem: any list -> bool
  elemAt: list smallInt -> any
  filter: predicate list -> list
  foldl': function2 any list -> any
  fromJSON: json -> any
  fromTOML: toml -> any
  functionArgs: function -> set
  genList: function smallInt -> list
  genericClosure: closureArguments -> list
  getAttr: name set -> any
  getContext: context -> set
  groupBy: toString list -> set
  hasAttr: name set -> bool
  hasContext: context -> bool
  hashString: algorithm string -> string
  convertHash: convertArguments -> string
  head: list -> any
  intersectAttrs: set set -> set
  isAttrs: any -> bool
  isBool: any -> bool
  isFloat: any -> bool
  isFunction: any -> bool
  isInt: any -> bool
  isList: any -> bool
  isNull: any -> bool
  isPath: any -> bool
  isString: any -> bool
  length: list -> int
  listToAttrs: pairs -> set
  map: function list -> list
  mapAttrs: function2 set -> set
  match: regex string -> any
  split: regex string -> list
  parseDrvName: version -> set
  partition: predicate list -> set
  placeholder: name -> string
  removeAttrs: set strings -> set
  replaceStrings: strings strings string -> string
  seq: any any -> any
  sort: less ints -> list
  sort: less list -> list
  splitVersion: version -> strings
  stringLength: string -> int
  substring: smallInt int string -> string
  tail: list -> list
  toFile: storeName string -> context
  toJSON: any -> string
  toXML: any -> string
  toString: any -> string
  trace: any any -> any
  tryEval: any -> set
  typeOf: any -> string
  throw: string -> any
  abort: string -> any
  addErrorContext: string any -> any
  unsafeDiscardStringContext: context -> string
  unsafeDiscardOutputDependency: context -> context
  addDrvOutputDependencies: context -> context
  appendContext: string contextSet -> context
  unsafeGetAttrPos: name set -> any
  zipAttrsWith: function2 sets -> set
  toPath: string -> string
  pathExists: path -> bool
  warn: string any -> any
  scopedImport: set path -> any
  import: path -> any
  readFile: path -> string
  derivationStrict: set -> set
  getEnv: string -> string
  traceVerbose: any any -> any
`;

export const BUILTIN_CALLS: readonly BuiltinCall[] = TABLE.trim()
  .split("\n")
  .map((line) => {
    const [, name, parameters, result] = /^\s*(\S+): (.*) -> (\S+)$/.exec(line)!;
    return { name: name!, parameters: parameters!.split(" ") as Kind[], result: result as Kind };
  });

/** Those that need no `builtins.` before them. */
export const GLOBAL_NAMES: ReadonlySet<string> = new Set(
  "abort baseNameOf derivationStrict dirOf fromTOML import isNull map placeholder removeAttrs scopedImport throw toString".split(
    " ",
  ),
);
