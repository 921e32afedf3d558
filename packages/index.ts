export {
  openDebianCollection,
  type DebianCollection,
  type DebianCollectionOptions,
} from "./debian/collection.ts";
export { debianBuiltins as debianBuilders } from "./debian/builders/index.ts";
export type { DebianEvent } from "./debian/index/indexWork.ts";
