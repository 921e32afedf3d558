import { archiveError, show } from "./archiveError.ts";

/** What a tar archive says of an entry. Names are byte strings as they stand in the archive. */
export interface TarEntry {
  readonly name: string;
  readonly kind: TarKind;
  readonly linkName: string;
  /** Permission bits, set-id bits included. */
  readonly mode: number;
  readonly sizeBytes: number;
}

export type TarKind = "file" | "hardLink" | "symlink" | "directory" | "device" | "fifo";

/** Receives an archive as it streams. `data` and `end` follow a `file` entry; chunks are only valid during the call. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  data(chunk: Buffer): void;
  end(): void;
}

export interface TarLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 4096;
/** For the bodies of long-name and pax records, which are kept in memory. */
const MAX_RECORD_BYTES = 1 << 20;

const KINDS: Readonly<Record<string, TarKind>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardLink",
  "2": "symlink",
  "3": "device",
  "4": "device",
  "5": "directory",
  "6": "fifo",
};

/**
 * Reads a tar archive (old, ustar, GNU long names, pax) pushed to it chunk by chunk, in bounded memory. Everything
 * it is given counts against the limits; checksums, sizes and record forms are checked.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: TarLimits;
  readonly #header = Buffer.alloc(BLOCK_BYTES);
  #headerBytes = 0;
  /** Body bytes still to come, and padding after them. */
  #bodyBytes = 0;
  #paddingBytes = 0;
  #bodyKind: "none" | "file" | "skip" | "longName" | "longLink" | "pax" | "globalPax" = "none";
  #record: Buffer[] = [];
  #longName: string | undefined;
  #longLink: string | undefined;
  #pax = new Map<string, string>();
  #entries = 0;
  #totalBytes = 0;
  #isEnded = false;

  constructor(handler: TarHandler, limits: TarLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  push(chunk: Buffer): void {
    this.#totalBytes += chunk.length;
    if (this.#totalBytes > this.#limits.maxBytes)
      throw archiveError(`it grows beyond ${this.#limits.maxBytes} bytes`);
    let at = 0;
    while (at < chunk.length && !this.#isEnded) {
      if (this.#bodyBytes > 0) {
        const part = chunk.subarray(at, at + this.#bodyBytes);
        at += part.length;
        this.#bodyBytes -= part.length;
        if (this.#bodyKind === "file") this.#handler.data(part);
        else if (this.#bodyKind !== "skip") this.#record.push(Buffer.from(part));
        if (this.#bodyBytes === 0) this.#endBody();
      } else if (this.#paddingBytes > 0) {
        const skip = Math.min(this.#paddingBytes, chunk.length - at);
        at += skip;
        this.#paddingBytes -= skip;
      } else {
        const take = Math.min(BLOCK_BYTES - this.#headerBytes, chunk.length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + take);
        at += take;
        this.#headerBytes += take;
        if (this.#headerBytes === BLOCK_BYTES) {
          this.#headerBytes = 0;
          this.#readHeader();
        }
      }
    }
  }

  /** Call when the input has ended. */
  finish(): void {
    if (this.#bodyBytes > 0 || this.#headerBytes > 0) throw archiveError("the tar archive is cut short");
    if (!this.#isEnded) throw archiveError("the tar archive has no end mark");
  }

  #readHeader(): void {
    const header = this.#header;
    if (isZero(header)) {
      this.#isEnded = true;
      return;
    }
    if (++this.#entries > this.#limits.maxEntries)
      throw archiveError(`the tar archive has more than ${this.#limits.maxEntries} entries`);
    checkSum(header);
    const type = String.fromCharCode(header[156] ?? 0);
    const sizeBytes = this.#sizeOf(type);
    this.#bodyBytes = sizeBytes;
    this.#paddingBytes = (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
    const record = recordKind(type);
    if (record !== undefined) {
      if (sizeBytes > MAX_RECORD_BYTES) throw archiveError(`a name record has ${sizeBytes} bytes`);
      this.#bodyKind = record;
      this.#record = [];
      if (sizeBytes === 0) this.#endBody();
      return;
    }
    this.#readEntry(type, sizeBytes);
  }

  #sizeOf(type: string): number {
    const inPax = recordKind(type) === undefined ? this.#pax.get("size") : undefined;
    if (inPax === undefined) return readNumber(this.#header, 124, 12, "size");
    if (!/^\d{1,15}$/.test(inPax)) throw archiveError(`a pax record has the size ${show(inPax)}`);
    return Number(inPax);
  }

  #readEntry(type: string, sizeBytes: number): void {
    const header = this.#header;
    let name = readText(header, 0, 100);
    if (header.toString("latin1", 257, 263) === "ustar\0" && header[345] !== 0)
      name = `${readText(header, 345, 155)}/${name}`;
    name = this.#pax.get("path") ?? this.#longName ?? name;
    const linkName = this.#pax.get("linkpath") ?? this.#longLink ?? readText(header, 157, 100);
    this.#pax = new Map();
    this.#longName = undefined;
    this.#longLink = undefined;
    if (name.length > MAX_NAME_BYTES || linkName.length > MAX_NAME_BYTES)
      throw archiveError(`the name ${show(name)} is too long`);
    const kind = KINDS[type];
    if (kind === undefined) throw archiveError(`${show(name)} has the unknown type ${show(type)}`);
    // An old directory is a file whose name ends in a slash.
    const isOldDirectory = kind === "file" && name.endsWith("/");
    const entry: TarEntry = {
      name,
      kind: isOldDirectory ? "directory" : kind,
      linkName,
      mode: readNumber(header, 100, 8, "mode") & 0o7777,
      sizeBytes,
    };
    this.#handler.entry(entry);
    this.#bodyKind = entry.kind === "file" ? "file" : "skip";
    if (sizeBytes === 0) this.#endBody();
  }

  #endBody(): void {
    const kind = this.#bodyKind;
    this.#bodyKind = "none";
    if (kind === "file") {
      this.#handler.end();
      return;
    }
    if (kind === "skip" || kind === "none") return;
    const record = Buffer.concat(this.#record);
    this.#record = [];
    if (kind === "longName") this.#longName = untilNul(record);
    else if (kind === "longLink") this.#longLink = untilNul(record);
    else if (kind === "pax") this.#pax = readPax(record);
  }
}

function recordKind(type: string): "longName" | "longLink" | "pax" | "globalPax" | undefined {
  switch (type) {
    case "L":
      return "longName";
    case "K":
      return "longLink";
    case "x":
      return "pax";
    case "g":
      return "globalPax";
    default:
      return undefined;
  }
}

/** Records `<length> <key>=<value>\n`; the length counts itself. */
function readPax(record: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < record.length) {
    const space = record.indexOf(0x20, at);
    const digits = space < 0 ? "" : record.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^\d{1,7}$/.test(digits) || end > record.length || end <= space || record[end - 1] !== 0x0a)
      throw archiveError("a pax record is not valid");
    const field = record.toString("latin1", space + 1, end - 1);
    const equals = field.indexOf("=");
    if (equals <= 0) throw archiveError("a pax record has no key");
    const key = field.slice(0, equals);
    const value = field.slice(equals + 1);
    if (value.includes("\0")) throw archiveError("a pax record holds a NUL");
    fields.set(key, value);
    at = end;
  }
  return fields;
}

function checkSum(header: Buffer): void {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < 148 || i >= 156) sum += header[i] ?? 0;
  if (sum !== readNumber(header, 148, 8, "checksum")) throw archiveError("a tar header's checksum is wrong");
}

/** Octal text, or base 256 where the first bit is set. */
function readNumber(header: Buffer, at: number, length: number, what: string): number {
  const first = header[at] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + (header[at + i] ?? 0);
    if (!Number.isSafeInteger(value)) throw archiveError(`a tar header's ${what} is too large`);
    return value;
  }
  const text = readText(header, at, length).trim();
  if (!/^[0-7]*$/.test(text)) throw archiveError(`a tar header's ${what} is ${show(text)}`);
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function readText(header: Buffer, at: number, length: number): string {
  return untilNul(header.subarray(at, at + length));
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}

function isZero(block: Buffer): boolean {
  for (const byte of block) if (byte !== 0) return false;
  return true;
}
