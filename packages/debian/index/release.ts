import { DevshellError } from "../../../core/index.ts";
import { parseStanza } from "./deb822.ts";

/** What a suite's verified `InRelease` says. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  /** As it stands there, e.g. `Sat, 11 Jul 2026 10:16:37 UTC`. */
  readonly date: string;
  /** Seconds since 1970. */
  readonly dateSeconds: number;
  readonly validUntilSeconds: number | undefined;
  readonly hasByHash: boolean;
  /** Path below `dists/<suite>/` → size and digest (lower-case hexadecimal). */
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

export interface ReleaseFile {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** No index of Debian's is near this size; a larger figure is a mistake or an attack. */
export const MAX_INDEX_BYTES = 512 << 20;
const MAX_FILES = 200_000;

/**
 * @param text the signed text only, never the file around it
 * @throws {DevshellError} `DEBIAN_RELEASE_INVALID`
 */
export function parseRelease(text: string): Release {
  const stanza = parseStanza(text);
  const date = stanza.get("date") ?? "";
  const validUntil = stanza.get("valid-until");
  const files = new Map<string, ReleaseFile>();
  for (const line of (stanza.get("sha256") ?? "").split("\n")) {
    if (line.trim() === "") continue;
    const match = /^([0-9a-f]{64})\s+(\d{1,12})\s+(\S+)$/.exec(line.trim());
    const path = match?.[3] ?? "";
    if (match === null || path.startsWith("/") || path.split("/").includes(".."))
      throw invalid(`found "${line.trim().slice(0, 100)}" in its list of files`);
    const sizeBytes = Number(match[2]);
    if (sizeBytes <= MAX_INDEX_BYTES) files.set(path, { sizeBytes, sha256: match[1] ?? "" });
    if (files.size > MAX_FILES) throw invalid(`it lists more than ${MAX_FILES} files`);
  }
  if (files.size === 0) throw invalid("it has no SHA256 list of files");
  return {
    suite: stanza.get("suite") ?? "",
    codename: stanza.get("codename") ?? "",
    date,
    dateSeconds: parseDate(date),
    validUntilSeconds: validUntil === undefined ? undefined : parseDate(validUntil),
    hasByHash: stanza.get("acquire-by-hash") === "yes",
    files,
  };
}

/**
 * Whether the file is what was asked for: a mirror must not answer `trixie` with an old `bookworm`.
 * @param dist the name below `dists/`, e.g. `bookworm-security`
 */
export function isReleaseOf(release: Release, dist: string): boolean {
  return release.suite === dist || release.codename === dist;
}

function parseDate(text: string): number {
  const milliseconds = Date.parse(text.replace(/ UTC$/, " GMT"));
  if (Number.isNaN(milliseconds)) throw invalid(`"${text.slice(0, 60)}" is no date`);
  return Math.floor(milliseconds / 1000);
}

function invalid(why: string): DevshellError {
  return new DevshellError("DEBIAN_RELEASE_INVALID", `Cannot read InRelease: ${why}`, {
    hint: "the mirror serves a broken archive: try another one",
  });
}
