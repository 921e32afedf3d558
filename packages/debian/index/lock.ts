import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { DevshellError } from "../../../core/index.ts";
import type { ArchiveState, IndexFile } from "./indexWork.ts";
import { checkFile, checkVersion, type ArchiveFile } from "./records.ts";

/**
 * `devshell.lock`: everything the project's environments were made of, by content. With it nothing is asked of an
 * index; only the files it names must still be somewhere.
 */
export interface DebianLock {
  /** The suite where neither the spec nor an argument names one. */
  defaultSuite: string | undefined;
  /** `bookworm/amd64` → what was pinned of it. */
  readonly suites: Map<string, SuiteLock>;
}

export interface SuiteLock {
  readonly archives: readonly ArchiveState[];
  /** `gcc-12=12.2.0-14` → its file. */
  readonly packages: Map<string, ArchiveFile>;
  /** `gcc` → the version a bare name means. */
  readonly candidates: Map<string, string>;
  readonly sources: Map<string, LockedSource>;
  /** What was asked (see `resolutionKey`) → `name=version` in order. */
  readonly resolutions: Map<string, readonly string[]>;
}

export interface LockedSource {
  readonly name: string;
  readonly version: string;
  readonly files: readonly ArchiveFile[];
}

const LOCK_VERSION = 1;
const MAX_LOCK_BYTES = 64 << 20;

export function emptyLock(): DebianLock {
  return { defaultSuite: undefined, suites: new Map() };
}

export function emptySuiteLock(archives: readonly ArchiveState[]): SuiteLock {
  return { archives, packages: new Map(), candidates: new Map(), sources: new Map(), resolutions: new Map() };
}

/**
 * @returns an empty lock where the file is absent
 * @throws {DevshellError} `LOCK_INVALID`
 */
export function readLock(path: string): DebianLock {
  const document = readDocument(path);
  if (document === undefined || document["debian"] === undefined) return emptyLock();
  try {
    return parseLock(asObject(document["debian"]));
  } catch (error) {
    throw invalid(path, (error as Error).message);
  }
}

/** Other tools' parts of the document stay as they are. Atomic: written beside, synced, renamed. */
export function writeLock(path: string, lock: DebianLock): void {
  const others = readDocument(path) ?? {};
  const document = { ...others, version: LOCK_VERSION, debian: formatLock(lock) };
  const text = `${JSON.stringify(sortKeys(document), undefined, 1)}\n`;
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    const fd = openSync(temporary, "w", 0o666);
    try {
      for (let bytes = Buffer.from(text, "utf8"); bytes.length > 0;)
        bytes = bytes.subarray(writeSync(fd, bytes));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new DevshellError("LOCK_WRITE", `Cannot write lock "${path}": ${(error as Error).message}`, {
      hint: "is the directory writable and the disk not full?",
      cause: error,
    });
  }
}

function readDocument(path: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new DevshellError("LOCK_READ", `Cannot read lock "${path}": ${(error as Error).message}`, {
      hint: "make it a file that you can read; without it, `devshell update` makes a new one",
      cause: error,
    });
  }
  if (text.length > MAX_LOCK_BYTES) throw invalid(path, "it is too large");
  try {
    const document = asObject(JSON.parse(text));
    if (document["version"] !== LOCK_VERSION)
      throw new Error(`version ${String(document["version"])} is not ${LOCK_VERSION}`);
    return document;
  } catch (error) {
    throw invalid(path, (error as Error).message);
  }
}

function formatLock(lock: DebianLock): unknown {
  const formatFile = ({ role, path, sizeBytes, sha256 }: ArchiveFile): unknown => ({
    ...(role === "security" && { archive: role }),
    filename: path,
    size: sizeBytes,
    sha256,
  });
  return {
    ...(lock.defaultSuite !== undefined && { suite: lock.defaultSuite }),
    suites: Object.fromEntries(
      [...lock.suites].map(([key, suite]) => [
        key,
        {
          archives: suite.archives,
          candidates: Object.fromEntries(suite.candidates),
          packages: Object.fromEntries([...suite.packages].map(([id, file]) => [id, formatFile(file)])),
          sources: Object.fromEntries(
            [...suite.sources].map(([asked, { name, version, files }]) => [
              asked,
              { name, version, files: files.map(formatFile) },
            ]),
          ),
          resolutions: Object.fromEntries(suite.resolutions),
        },
      ]),
    ),
  };
}

function parseLock(debian: Record<string, unknown>): DebianLock {
  const suites = new Map<string, SuiteLock>();
  for (const [key, value] of Object.entries(asObject(debian["suites"] ?? {}))) {
    const suite = asObject(value);
    suites.set(key, {
      archives: asArray(suite["archives"]).map(parseArchive),
      candidates: mapOf(suite["candidates"], (version) => checkVersion(asString(version))),
      packages: mapOf(suite["packages"], parseFile),
      sources: mapOf(suite["sources"], (source) => {
        const { name, version, files } = asObject(source);
        return {
          name: asString(name),
          version: checkVersion(asString(version)),
          files: asArray(files).map(parseFile),
        };
      }),
      resolutions: mapOf(suite["resolutions"], (ids) => asArray(ids).map(asString)),
    });
  }
  return { defaultSuite: debian["suite"] === undefined ? undefined : asString(debian["suite"]), suites };
}

function parseArchive(value: unknown): ArchiveState {
  const archive = asObject(value);
  return {
    dist: asString(archive["dist"]),
    role: archive["role"] === "security" ? "security" : "main",
    codename: asString(archive["codename"]),
    date: asString(archive["date"]),
    hasByHash: archive["hasByHash"] === true,
    ...(archive["isExpired"] === true && { isExpired: true }),
    packages: parseIndexFile(archive["packages"]),
    ...(archive["sources"] !== undefined && { sources: parseIndexFile(archive["sources"]) }),
  };
}

/** Also for the cached state of a suite, which has the same form. */
export function parseArchives(value: unknown): readonly ArchiveState[] {
  return asArray(value).map(parseArchive);
}

function parseIndexFile(value: unknown): IndexFile {
  const file = asObject(value);
  const digest = (field: string): string => {
    const text = asString(file[field]);
    if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`"${text.slice(0, 80)}" is no SHA256`);
    return text;
  };
  const path = asString(file["path"]);
  if (!/^main\/[\w/.-]+$/.test(path) || path.includes("..")) throw new Error(`"${path}" is no index`);
  return {
    path,
    sizeBytes: asSize(file["sizeBytes"]),
    sha256: digest("sha256"),
    rawSizeBytes: asSize(file["rawSizeBytes"]),
    rawSha256: digest("rawSha256"),
  };
}

function parseFile(value: unknown): ArchiveFile {
  const file = asObject(value);
  return checkFile({
    role: file["archive"] === "security" ? "security" : "main",
    path: asString(file["filename"]),
    sizeBytes: asSize(file["size"]),
    sha256: asString(file["sha256"]),
  });
}

function mapOf<T>(value: unknown, parse: (item: unknown) => T): Map<string, T> {
  return new Map(Object.entries(asObject(value ?? {})).map(([key, item]) => [key, parse(item)]));
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("expected an object");
  return value as Record<string, unknown>;
}

function asArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("expected a list");
  return value;
}

function asString(value: unknown): string {
  if (typeof value !== "string") throw new Error("expected a string");
  return value;
}

function asSize(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new Error("expected a size");
  return value;
}

/** Object keys in byte order, so that a lock changes only where its content does. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortKeys(item)]));
}

function invalid(path: string, why: string): DevshellError {
  return new DevshellError("LOCK_INVALID", `Cannot read lock "${path}": ${why}`, {
    hint: "restore it from version control, or remove it and run `devshell update`",
  });
}
