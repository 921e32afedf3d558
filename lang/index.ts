export type {
  AddPathRequest,
  ContextElement,
  EvalHost,
  FetchRequest,
  FetchResult,
  FileType,
  InstantiateRequest,
  InstantiatedDerivation,
} from "./host.ts";
