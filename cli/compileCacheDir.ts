import { join } from "node:path";

/** Where Node keeps the compiled code of the bundle. */
export function compileCacheDir(): string {
  const base = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? "/nonexistent", ".cache");
  return join(process.env["DEVSHELL_CACHE_DIR"] ?? join(base, "devshell"), "node");
}
