import { posix } from "node:path";
import {
  ET_REL,
  PT_DYNAMIC,
  PT_GNU_PROPERTY,
  PT_INTERP,
  PT_LOAD,
  PT_NOTE,
  SHT_PROGBITS,
  SHT_STRTAB,
  openElf,
  readPart,
  words,
  writePart,
  type ElfFile,
  type Segment,
} from "./elfFile.ts";
import type { DebianArchitecture } from "../architecture.ts";
import { mergeUsr } from "../archive/treePath.ts";

export interface PatchOptions {
  readonly architecture: DebianArchitecture;
  /** The interpreter to set: libc6's loader in the store. */
  readonly loader: string;
  /** A library to add before all others, by name. */
  readonly preload?: string | undefined;
}

/** `foreign`: not an ELF file for this machine, or one that loads nothing; `unpatchable` says why. */
export type PatchResult =
  | { readonly kind: "patched" | "foreign" }
  | { readonly kind: "unpatchable"; readonly why: string };

const MAX_INTERPRETER_BYTES = 4096;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_RPATH = 15;
const DT_RUNPATH = 29;
const MAX_DYNAMIC_BYTES = 1 << 20;
const MAX_STRINGS_BYTES = 256 << 20;

const FOREIGN: PatchResult = { kind: "foreign" };

interface DynamicEntry {
  readonly tag: number;
  readonly value: bigint;
}

/**
 * Makes a program or library find its loader and libraries relative to where it lies, whatever tree that is.
 *
 * One page-aligned segment is appended: a copy of `.dynstr` with our strings behind it, then the interpreter. The
 * header of PT_GNU_PROPERTY (else of the last PT_NOTE), which nothing needs to run, becomes its PT_LOAD; it must
 * follow the other PT_LOADs, which the kernel wants in ascending order. `.dynstr` and `.interp` in the section
 * headers follow, so that strip and the linkers see one consistent string table (strings outside it: ld refuses
 * them; an enlarged section in place: strip corrupts it).
 *
 * @param fd the file, readable and writable
 * @param path where it lies in the tree, e.g. `/usr/bin/make`
 */
export function patchElf(fd: number, path: string, options: PatchOptions): PatchResult {
  const elf = openElf(fd);
  if (elf === undefined || elf.machine !== options.architecture.elfMachine || elf.type === ET_REL)
    return FOREIGN;
  const dynamic = elf.segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return FOREIGN;
  const table = readDynamic(elf, dynamic);
  if (table === undefined) return unpatchable("its dynamic section is not sound");
  const loads = elf.segments.filter((segment) => segment.type === PT_LOAD);
  const last = loads.reduce<Segment | undefined>((a, b) => (a && a.address > b.address ? a : b), undefined);
  const spare = spareSegment(elf.segments);
  if (last === undefined || spare === undefined) return unpatchable("no segment can be spared");
  const strings = readStrings(elf, loads, table);
  if (strings === undefined) return unpatchable("its string table is not sound");

  const old = oldRunPath(table, strings.bytes);
  const runPath = Buffer.from(`${runPathFor(path, old, options.architecture.triplet)}\0`, "latin1");
  const preload = Buffer.from(options.preload === undefined ? "" : `${options.preload}\0`, "latin1");
  const interp = elf.segments.find((segment) => segment.type === PT_INTERP);
  const isOurs = interp !== undefined && readInterpreter(elf, interp) === options.architecture.interpreter;
  const interpreter = Buffer.from(isOurs ? `${options.loader}\0` : "", "latin1");

  const changed = changeTable(table, strings.bytes.length, runPath.length, preload.length > 0);
  if (changed === undefined) return unpatchable("its dynamic section has no spare entry");

  const { pageBytes } = options.architecture;
  const at = roundUp(elf.sizeBytes, pageBytes);
  const address = roundUp(last.address + last.memoryBytes, pageBytes);
  const stringsBytes = strings.bytes.length + runPath.length + preload.length;
  const blob = Buffer.concat([strings.bytes, runPath, preload, interpreter]);
  writePart(fd, at, blob);
  writeReadableLoad(fd, spare, [at, address, address, blob.length, blob.length, pageBytes]);
  writePart(fd, dynamic.offset, encodeDynamic(withStrings(changed, address, stringsBytes)));
  if (isOurs) {
    const size = words(at + stringsBytes, address + stringsBytes, address + stringsBytes);
    writePart(fd, interp.headerAt + 8, size);
    writePart(fd, interp.headerAt + 32, words(interpreter.length, interpreter.length));
  }
  for (const section of elf.sections) {
    if (section.type === SHT_STRTAB && section.address === strings.address)
      writePart(fd, section.headerAt + 16, words(address, at, stringsBytes));
    else if (isOurs && section.type === SHT_PROGBITS && section.offset === interp.offset)
      writePart(
        fd,
        section.headerAt + 16,
        words(address + stringsBytes, at + stringsBytes, interpreter.length),
      );
  }
  return { kind: "patched" };
}

/**
 * The run path of a file: its old one with absolute entries made relative, then the tree's library directories, and
 * its own directory where it lies below them (it may be reached through a link from above).
 */
export function runPathFor(path: string, old: string, triplet: string): string {
  const directory = posix.dirname(path);
  const libraries = `/usr/lib/${triplet}`;
  const relative = (target: string): string => {
    const way = posix.relative(directory, target);
    return way === "" ? "$ORIGIN" : `$ORIGIN/${way}`;
  };
  const entries = old
    .split(":")
    .filter((entry) => entry !== "")
    .map((entry) => (entry.startsWith("/") ? relative(mergeUsr(posix.resolve(entry))) : entry));
  entries.push(relative(libraries), relative("/usr/lib"));
  if (directory.startsWith(`${libraries}/`)) entries.push("$ORIGIN");
  return [...new Set(entries)].join(":");
}

function spareSegment(segments: readonly Segment[]): Segment | undefined {
  const lastLoad = segments.findLastIndex((segment) => segment.type === PT_LOAD);
  const after = segments.slice(lastLoad + 1);
  return (
    after.find((segment) => segment.type === PT_GNU_PROPERTY) ??
    after.findLast((segment) => segment.type === PT_NOTE)
  );
}

function readDynamic(elf: ElfFile, dynamic: Segment): DynamicEntry[] | undefined {
  if (dynamic.fileBytes > MAX_DYNAMIC_BYTES) return undefined;
  const count = Math.floor(dynamic.fileBytes / 16);
  const bytes = readPart(elf.fd, dynamic.offset, count * 16);
  if (bytes === undefined) return undefined;
  return Array.from({ length: count }, (_, i) => ({
    tag: Number(bytes.readBigInt64LE(i * 16)),
    value: bytes.readBigUInt64LE(i * 16 + 8),
  }));
}

function readStrings(
  elf: ElfFile,
  loads: readonly Segment[],
  table: readonly DynamicEntry[],
): { readonly address: number; readonly bytes: Buffer } | undefined {
  const address = Number(table.find((entry) => entry.tag === DT_STRTAB)?.value ?? -1n);
  const size = Number(table.find((entry) => entry.tag === DT_STRSZ)?.value ?? 0n);
  const load = loads.find((part) => address >= part.address && address < part.address + part.fileBytes);
  if (load === undefined || size === 0 || size > Math.min(elf.sizeBytes, MAX_STRINGS_BYTES)) return undefined;
  const bytes = readPart(elf.fd, address - load.address + load.offset, size);
  return bytes === undefined ? undefined : { address, bytes };
}

function oldRunPath(table: readonly DynamicEntry[], strings: Buffer): string {
  // The loader ignores DT_RPATH where there is a DT_RUNPATH.
  const entry = table.find(({ tag }) => tag === DT_RUNPATH) ?? table.find(({ tag }) => tag === DT_RPATH);
  const at = Number(entry?.value ?? -1n);
  if (at < 0 || at >= strings.length) return "";
  const end = strings.indexOf(0, at);
  return strings.toString("latin1", at, end < 0 ? strings.length : end);
}

function readInterpreter(elf: ElfFile, interp: Segment): string | undefined {
  if (interp.fileBytes > MAX_INTERPRETER_BYTES) return undefined;
  return readPart(elf.fd, interp.offset, interp.fileBytes)?.toString("latin1").replace(/\0.*$/s, "");
}

/** Sets DT_RUNPATH, and puts a DT_NEEDED first; strings lie at the end of the old table, in this order. */
function changeTable(
  table: readonly DynamicEntry[],
  stringsBytes: number,
  runPathBytes: number,
  hasPreload: boolean,
): DynamicEntry[] | undefined {
  const end = table.findIndex((entry) => entry.tag === DT_NULL);
  const used = table.slice(0, end < 0 ? table.length : end);
  const runPath: DynamicEntry = { tag: DT_RUNPATH, value: BigInt(stringsBytes) };
  let entries = used.filter(({ tag }) => tag !== DT_RPATH && tag !== DT_RUNPATH);
  const at = used.findIndex(({ tag }) => tag === DT_RPATH || tag === DT_RUNPATH);
  entries = at < 0 ? [...entries, runPath] : entries.toSpliced(at, 0, runPath);
  if (hasPreload) entries.unshift({ tag: DT_NEEDED, value: BigInt(stringsBytes + runPathBytes) });
  // One DT_NULL must stay.
  if (entries.length + 1 > table.length) return undefined;
  while (entries.length < table.length) entries.push({ tag: DT_NULL, value: 0n });
  return entries;
}

function withStrings(table: readonly DynamicEntry[], address: number, size: number): DynamicEntry[] {
  return table.map((entry) => {
    if (entry.tag === DT_STRTAB) return { tag: DT_STRTAB, value: BigInt(address) };
    return entry.tag === DT_STRSZ ? { tag: DT_STRSZ, value: BigInt(size) } : entry;
  });
}

function encodeDynamic(table: readonly DynamicEntry[]): Buffer {
  const bytes = Buffer.alloc(table.length * 16);
  table.forEach(({ tag, value }, i) => {
    bytes.writeBigInt64LE(BigInt(tag), i * 16);
    bytes.writeBigUInt64LE(value, i * 16 + 8);
  });
  return bytes;
}

/** @param fields offset, address twice, file and memory size, alignment: the header's last six fields */
function writeReadableLoad(fd: number, into: Segment, fields: readonly number[]): void {
  const header = Buffer.concat([Buffer.alloc(8), words(...fields)]);
  header.writeUInt32LE(PT_LOAD, 0);
  header.writeUInt32LE(4, 4); // PF_R
  writePart(fd, into.headerAt, header);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function unpatchable(why: string): PatchResult {
  return { kind: "unpatchable", why };
}
