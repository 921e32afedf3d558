import { readSync } from "node:fs";
import { archiveError, show } from "./archiveError.ts";

/** A member of an `ar` archive: where its bytes lie in the file. */
export interface ArMember {
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

const MAGIC = "!<arch>\n";
const HEADER_BYTES = 60;
const MAX_MEMBERS = 64;

/**
 * Lists the members of a .deb's outer archive (the common `ar` form: decimal sizes, names up to 16 bytes).
 * @param fileBytes the file's size; members that reach beyond it are refused
 */
export function readAr(fd: number, fileBytes: number): ArMember[] {
  const header = Buffer.alloc(HEADER_BYTES);
  const members: ArMember[] = [];
  if (readAt(fd, header, 0, 8) < 8 || header.toString("latin1", 0, 8) !== MAGIC)
    throw archiveError("the file is not an ar archive");
  let at = 8;
  while (at < fileBytes) {
    if (readAt(fd, header, at, HEADER_BYTES) < HEADER_BYTES)
      throw archiveError("the ar archive is cut short");
    const name = header.toString("latin1", 0, 16).trimEnd().replace(/\/$/, "");
    const size = header.toString("latin1", 48, 58).trimEnd();
    if (header.toString("latin1", 58, 60) !== "`\n" || !/^\d{1,10}$/.test(size))
      throw archiveError(`the ar header at byte ${at} is not valid`);
    const sizeBytes = Number(size);
    const offset = at + HEADER_BYTES;
    if (offset + sizeBytes > fileBytes) throw archiveError(`the ar member ${show(name)} is cut short`);
    if (members.length >= MAX_MEMBERS)
      throw archiveError(`the ar archive has more than ${MAX_MEMBERS} members`);
    members.push({ name, offset, sizeBytes });
    at = offset + sizeBytes + (sizeBytes & 1);
  }
  return members;
}

function readAt(fd: number, buffer: Buffer, position: number, length: number): number {
  return readSync(fd, buffer, 0, length, position);
}
