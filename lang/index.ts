export { compareVersions, parseDerivationName, parseNixHash, splitVersion } from "./builtins/index.ts";
export { Regex, RegexError } from "./builtins/regex/regex.ts";
export { fixGitUrl, parseUrl } from "./builtins/url.ts";
export {
  INTERNAL_FILES,
  autoCall,
  parseAttrPath,
  selectAttrPath,
  type DebugAnswer,
  type DebugLevel,
  type DebugStop,
  type DebugTrace,
  type DebuggerOptions,
  OutlineRecorder,
  hasOutline,
  type Outline,
} from "./eval/index.ts";
export { dataOfValue, valueOfData, type Data } from "./data.ts";
export { createEvaluator, type Evaluator, type EvaluatorOptions } from "./evaluator.ts";
export * from "./flake/index.ts";
export type {
  AddPathRequest,
  ContextElement,
  EvalHost,
  FetchRequest,
  FetchResult,
  ResolvedFlake,
  FileType,
  InstantiateRequest,
  InstantiatedDerivation,
} from "./host.ts";
export {
  escapeXml,
  formatFixed,
  formatFloat,
  formatJsonFloat,
  printAmbiguous,
  printJson,
  printValue,
  printXml,
  quoteJson,
  type PrintOptions,
  type PrintedPart,
  type XmlOptions,
} from "./print/index.ts";
export { docCommentAt, printExpr, type Expr } from "./syntax/index.ts";
export * from "./value/index.ts";
