export type * from "./ast.ts";
export { FROM_WITH, GLOBAL, UNRESOLVED, expand, pathOf, posOfExpr } from "./ast.ts";
export { docCommentAt } from "./docComment.ts";
export { nameLambda } from "./attrs.ts";
export type { ParseOptions, SourceLayout } from "./options.ts";
export { parse, parseBindings } from "./parser.ts";
export { printExpr, showAttrPath } from "./print.ts";
