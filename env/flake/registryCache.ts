import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevshellError, shownUrl } from "../../core/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";

export interface RegistryDownload {
  /** How old a copy may be that is taken without asking the server. */
  readonly ttlMs: number;
  /** Downloads into a file and gives its path. @throws {DevshellError} where that fails */
  readonly download: (url: string) => string;
  readonly warn: (message: string) => void;
}

/**
 * The text of a registry that is named by a URL. A copy is kept, and serves while it is young, or the URL cannot be
 * had.
 * @throws {DevshellError} where there is neither
 */
export function readRemoteRegistry(url: string, { ttlMs, download, warn }: RegistryDownload): string {
  const copy = join(
    cacheDirectory(),
    "flake-registry",
    `${createHash("sha256").update(url).digest("hex")}.json`,
  );
  const age = Date.now() - (statSync(copy, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (age < ttlMs && !url.startsWith("file:")) return readFileSync(copy, "utf8");
  try {
    const text = readFileSync(url.startsWith("file:") ? fileURLToPath(url) : download(url), "utf8");
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(`${copy}.${process.pid}`, text);
    renameSync(`${copy}.${process.pid}`, copy);
    return text;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = reason.startsWith("unable to download")
      ? reason
      : `unable to download '${shownUrl(url)}': ${reason}`;
    const known = statSync(copy, { throwIfNoEntry: false });
    if (known === undefined) throw new DevshellError("FLAKE_REGISTRY", message, { cause: error });
    warn(`${message}; using cached version`);
    return readFileSync(copy, "utf8");
  }
}
