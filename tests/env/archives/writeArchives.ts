import { crc32 } from "node:zlib";

/** What an archive says it holds: all of it may be a lie. */
export interface ArchiveEntry {
  readonly name: string;
  /** A tar's type flag; a zip knows `0`, `2` and `5`. */
  readonly type?: string;
  readonly link?: string;
  readonly content?: Buffer;
  readonly mode?: number;
  /** What the header says of the content's size. */
  readonly size?: number;
  readonly device?: readonly [major: number, minor: number];
  /** Of a sparse file: what it is unpacked to, in bytes. */
  readonly realSize?: bigint;
}

const BLOCK = 512;

export function tarOf(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = entry.content ?? Buffer.alloc(0);
    return [header(entry, content), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(entry: ArchiveEntry, content: Buffer): Buffer {
  const {
    name,
    type = "0",
    link = "",
    mode = 0o644,
    size = content.length,
    device = [0, 0],
    realSize,
  } = entry;
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void =>
    void block.write(
      value
        .toString(8)
        .padStart(length - 1, "0")
        .slice(-(length - 1)),
      at,
      "latin1",
    );
  block.write(name, 0, 100, "latin1");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(1_000_000_000, 136, 12);
  block.write(type, 156, 1, "latin1");
  block.write(link, 157, 100, "latin1");
  if (realSize === undefined) {
    block.write("ustar\0" + "00", 257, "latin1");
    octal(device[0], 329, 8);
    octal(device[1], 337, 8);
  } else {
    // GNU's old form: the whole is a hole.
    block.write("ustar  \0", 257, "latin1");
    octal(0, 386, 12);
    octal(0, 398, 12);
    block[483] = 0x80;
    block.writeBigUInt64BE(realSize, 487);
  }
  return withChecksum(block);
}

/** Makes a header's checksum right, as a tar looks at nothing else before. */
export function withChecksum(block: Buffer): Buffer {
  block.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A pax header for the next entry, with names of any length and kind. */
export function paxOf(records: Readonly<Record<string, string>>): ArchiveEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  });
  return { name: "pax", type: "x", content: Buffer.from(lines.join(""), "latin1") };
}

export interface ZipEntry extends ArchiveEntry {
  readonly isEncrypted?: boolean;
}

export function zipOf(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { type = "0", mode = type === "5" ? 0o755 : 0o644, link = "" } = entry;
    const content = type === "2" ? Buffer.from(link) : (entry.content ?? Buffer.alloc(0));
    const name = Buffer.from(entry.name, "latin1");
    const kind = type === "2" ? 0o120_000 : type === "5" ? 0o040_000 : 0o100_000;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(entry.isEncrypted === true ? 1 : 0, 2);
    fields.writeUInt32LE(0x2a21_0000, 6);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(content.length, 14);
    fields.writeUInt32LE(entry.size ?? content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), fields, name, content]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((kind | mode) << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    // Made by Unix, or its modes are not looked at.
    central.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), fields, rest, name);
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
