import { execFile } from "node:child_process";
import { lstatSync, mkdirSync, openSync, readSync, closeSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DevshellError } from "../../core/index.ts";

export interface Unpacked {
  /** The archive's one directory, or where there is more than that, the whole. */
  readonly tree: string;
  /** Seconds; the newest time in the archive. */
  readonly lastModified: bigint;
}

const MAX_LISTING_BYTES = 1 << 30;
const TIMEOUT_MS = 2 * 3600_000;
/** A line of GNU tar's listing: mode, owner, size, date. */
const LISTED = /^[-dlhbcps]\S* +\S+ +\S+ (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/;

/** Unpacks a tarball or zip into a new directory. @throws {DevshellError} `FETCH_UNPACK` */
export async function unpackArchive(
  file: string,
  directory: string,
  url: string,
  signal?: AbortSignal,
): Promise<Unpacked> {
  if (statSync(file).size === 0)
    throw new DevshellError("FETCH_UNPACK", `Cannot unpack '${url}': archive '${url}' is empty`);
  mkdirSync(directory);
  const isZip = firstBytes(file, 2) === "PK";
  const safe = ["--no-same-owner", "--no-same-permissions", "--delay-directory-restore"];
  const listed = ["-vv", "--full-time", "--utc", "--numeric-owner", "--quoting-style=escape"];
  const [program, args] = isZip
    ? ["unzip", ["-q", file, "-d", directory]]
    : ["tar", ["--extract", ...listed, ...safe, "--file", file, "--directory", directory]];
  let listing: string;
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
      maxBuffer: MAX_LISTING_BYTES,
      encoding: "latin1",
      timeout: TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    listing = stdout;
  } catch (cause) {
    signal?.throwIfAborted();
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause);
    throw new DevshellError("FETCH_UNPACK", `Cannot unpack '${url}': ${said.split("\n")[0] ?? ""}`, {
      cause,
    });
  }
  const [first, ...others] = readdirSync(directory);
  const single = first !== undefined && others.length === 0 ? join(directory, first) : undefined;
  const tree = single !== undefined && lstatSync(single).isDirectory() ? single : directory;
  return { tree, lastModified: (isZip ? undefined : newestListed(listing)) ?? newestFile(directory) };
}

function newestListed(listing: string): bigint | undefined {
  let newest: number | undefined;
  for (const line of listing.split("\n")) {
    const match = LISTED.exec(line);
    if (match !== null) newest = Math.max(newest ?? 0, Date.parse(`${match[1]}T${match[2]}Z`) / 1000);
  }
  return newest === undefined || Number.isNaN(newest) ? undefined : BigInt(newest);
}

/** Directories are left out: those that the archive does not name have the time of unpacking. */
function newestFile(directory: string): bigint {
  let newest = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (!entry.isDirectory())
      newest = Math.max(newest, Math.floor(lstatSync(join(entry.parentPath, entry.name)).mtimeMs / 1000));
  return BigInt(newest);
}

function firstBytes(file: string, count: number): string {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(count);
    return bytes.toString("latin1", 0, readSync(descriptor, bytes, 0, count, 0));
  } finally {
    closeSync(descriptor);
  }
}
