import { DevshellError } from "../../core/index.ts";
import { isDerivationPath } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import type { ClosureOptions } from "./types.ts";

/**
 * All that paths need (or, reversed, all that needs them), themselves included, sorted.
 * @throws {DevshellError} `STORE_PATH_NOT_VALID` when a path is not
 */
export function closureOf(
  store: StoreAccess,
  paths: Iterable<StorePath>,
  options: ClosureOptions,
): StorePath[] {
  const todo = [...paths];
  for (const path of todo)
    if (!store.isValidPath(path))
      throw new DevshellError("STORE_PATH_NOT_VALID", `Cannot find "${path}" in the store: it is not valid`);
  if (options.includeOutputs !== true && options.includeDerivers !== true)
    return store.db.queryClosure(todo, options.isReversed === true).sort();
  const seen = new Set<StorePath>();
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const next of neighbours(store, path, options)) if (!seen.has(next)) todo.push(next);
  }
  return [...seen].sort();
}

function neighbours(store: StoreAccess, path: StorePath, options: ClosureOptions): StorePath[] {
  const { db } = store;
  const next: StorePath[] = [];
  if (options.isReversed === true) {
    next.push(...db.queryReferrers(path));
    if (options.includeOutputs === true) next.push(...db.queryValidDerivers(path));
    if (options.includeDerivers === true && isDerivationPath(path))
      next.push(...db.queryDerivationOutputs(path).values());
  } else {
    next.push(...db.queryReferences(path));
    if (options.includeOutputs === true && isDerivationPath(path))
      next.push(...db.queryDerivationOutputs(path).values());
    if (options.includeDerivers === true) {
      const deriver = db.queryPathInfo(path)?.deriver;
      if (deriver !== undefined) next.push(deriver);
    }
  }
  return next.filter((candidate) => store.isValidPath(candidate));
}
