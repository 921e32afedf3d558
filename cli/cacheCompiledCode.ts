import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";

/** Lets Node keep the compiled code of the bundle, in a cache that is there: it is not for Node to make one. */
export function cacheCompiledCode(): void {
  const base = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? "/nonexistent", ".cache");
  const cache = process.env["DEVSHELL_CACHE_DIR"] ?? join(base, "devshell");
  if (existsSync(cache)) enableCompileCache(join(cache, "node"));
}
