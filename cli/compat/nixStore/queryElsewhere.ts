import { formatHash } from "../../../core/index.ts";
import {
  queryPaths,
  topologicalSort,
  type RemotePathInfo,
  type RemoteStore,
  type StorePath,
} from "../../../store/index.ts";
import { openAskedStore, unsupported } from "../askedStore.ts";
import type { CommonFlags } from "../commandLine.ts";
import { printLine, printLines } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { printDotGraph, printGraphMl, printTree } from "./graphs.ts";

export type Query =
  | "outputs"
  | "requisites"
  | "references"
  | "referrers"
  | "referrers-closure"
  | "deriver"
  | "valid-derivers"
  | "binding"
  | "hash"
  | "size"
  | "tree"
  | "graph"
  | "graphml"
  | "resolve"
  | "roots";

export interface QueryOptions {
  readonly query: Query;
  readonly usesOutput: boolean;
  readonly isForced: boolean;
  readonly includesOutputs: boolean;
  readonly binding: string;
  readonly words: readonly string[];
}

/** `nix-store --query` of a store elsewhere, such as a binary cache: what follows from what it says of each path. */
export async function queryElsewhere(flags: CommonFlags, { query, words }: QueryOptions): Promise<number> {
  await using asked = await openAskedStore(flags);
  const { store, context } = asked;
  const named = words.map((word) => storePathOf(context.settings.storeDir, word));
  const find = (paths: Iterable<StorePath>, isRecursive: boolean): Promise<Found> =>
    found(store, paths, isRecursive, context.signal);
  switch (query) {
    case "requisites": {
      const known = await find(named, true);
      printLines(known.topologicalSort(known.paths));
      break;
    }
    case "references": {
      const known = await find(named, false);
      const references = new Set(named.flatMap((path) => known.pathInfo(path).references));
      printLines((await find(references, false)).topologicalSort(references));
      break;
    }
    case "deriver":
    case "hash":
    case "size": {
      const known = await find(named, false);
      for (const path of named) printLine(answer(query, known.pathInfo(path)));
      break;
    }
    case "resolve":
      printLines(named);
      break;
    case "tree":
      printTree(await find(named, true), named);
      break;
    case "graph":
      printDotGraph(await find(named, true), named);
      break;
    case "graphml":
      printGraphMl(await find(named, true), named);
      break;
    default:
      throw unsupported(store, `cannot be asked by --${query}`);
  }
  return 0;
}

function answer(query: "deriver" | "hash" | "size", info: RemotePathInfo): string {
  switch (query) {
    case "deriver":
      return info.deriver ?? "unknown-deriver";
    case "hash":
      return `sha256:${formatHash(info.narHash, "nix32")}`;
    case "size":
      return String(info.narSizeBytes);
  }
}

/** What was asked for. */
interface Found {
  readonly paths: readonly StorePath[];
  pathInfo(path: StorePath): RemotePathInfo;
  topologicalSort(paths: Iterable<StorePath>): StorePath[];
}

async function found(
  store: RemoteStore,
  paths: Iterable<StorePath>,
  isRecursive: boolean,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const infos = await queryPaths(store, paths, { isRecursive, signal });
  const pathInfo = (path: StorePath): RemotePathInfo => {
    const info = infos.get(path);
    if (info === undefined) throw new Error(`nobody asked for ${path}`);
    return info;
  };
  return {
    paths: [...infos.keys()],
    pathInfo,
    topologicalSort: (wanted) => topologicalSort(wanted, (path) => pathInfo(path).references),
  };
}
