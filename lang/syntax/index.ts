export type * from "./ast.ts";
export { posOfExpr } from "./ast.ts";
export { nameLambda } from "./attrs.ts";
export { parse, type ParseOptions } from "./parser.ts";
export { printExpr, showAttrPath } from "./print.ts";
