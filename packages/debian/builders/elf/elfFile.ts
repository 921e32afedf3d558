import { fstatSync, readSync, writeSync } from "node:fs";

/** A 64-bit little-endian ELF file read piece by piece through its file descriptor; nothing of it is kept. */
export interface ElfFile {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly type: number;
  readonly machine: number;
  readonly segments: readonly Segment[];
  readonly sections: readonly Section[];
}

export interface Segment {
  /** Where its program header lies in the file. */
  readonly headerAt: number;
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

export interface Section {
  readonly headerAt: number;
  readonly type: number;
  readonly address: number;
  readonly offset: number;
}

export const ET_REL = 1;
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_GNU_PROPERTY = 0x6474e553;
export const SHT_PROGBITS = 1;
export const SHT_STRTAB = 3;

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const MAX_SEGMENTS = 512;

/** Reads the headers; `undefined` for what is not an ELF64 file of this kind, or whose headers are not sound. */
export function openElf(fd: number): ElfFile | undefined {
  const sizeBytes = fstatSync(fd).size;
  const header = readPart(fd, 0, HEADER_BYTES);
  if (header === undefined || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1)
    return undefined;
  const segmentCount = header.readUInt16LE(56);
  if (header.readUInt16LE(54) !== SEGMENT_BYTES || segmentCount > MAX_SEGMENTS) return undefined;
  const segments = readSegments(fd, number(header, 32), segmentCount);
  if (segments === undefined) return undefined;
  const hasSections = header.readUInt16LE(58) === SECTION_BYTES;
  return {
    fd,
    sizeBytes,
    type: header.readUInt16LE(16),
    machine: header.readUInt16LE(18),
    segments,
    sections: hasSections ? readSections(fd, number(header, 40), header.readUInt16LE(60)) : [],
  };
}

export function readPart(fd: number, at: number, length: number): Buffer | undefined {
  if (!Number.isSafeInteger(at) || at < 0 || length < 0) return undefined;
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const count = readSync(fd, bytes, done, length - done, at + done);
    if (count === 0) return undefined;
    done += count;
  }
  return bytes;
}

export function writePart(fd: number, at: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** A 64-bit field as a number; unsafe values come out as unsafe numbers, which {@link readPart} refuses. */
export function number(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), i * 8));
  return bytes;
}

function readSegments(fd: number, at: number, count: number): Segment[] | undefined {
  const table = readPart(fd, at, count * SEGMENT_BYTES);
  if (table === undefined) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const start = i * SEGMENT_BYTES;
    return {
      headerAt: at + start,
      type: table.readUInt32LE(start),
      offset: number(table, start + 8),
      address: number(table, start + 16),
      fileBytes: number(table, start + 32),
      memoryBytes: number(table, start + 40),
    };
  });
}

function readSections(fd: number, at: number, count: number): Section[] {
  const table = at === 0 ? undefined : readPart(fd, at, count * SECTION_BYTES);
  if (table === undefined) return [];
  return Array.from({ length: count }, (_, i) => {
    const start = i * SECTION_BYTES;
    return {
      headerAt: at + start,
      type: table.readUInt32LE(start + 4),
      address: number(table, start + 16),
      offset: number(table, start + 24),
    };
  });
}
