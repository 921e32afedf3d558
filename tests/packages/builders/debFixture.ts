import { writeFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";

export interface TarItem {
  readonly name: string;
  /** tar's type flag; `0` (file) unless given */
  readonly type?: string;
  readonly link?: string;
  readonly mode?: number;
  readonly data?: string | Buffer;
  /** Instead of the data's size. */
  readonly size?: number;
}

/** Makes a ustar header and body for each item; names up to 100 bytes. */
export function makeTar(items: readonly TarItem[], { hasEnd = true } = {}): Buffer {
  const parts = items.flatMap((item) => {
    const data = Buffer.from(typeof item.data === "string" ? item.data : "", "latin1");
    const body = Buffer.isBuffer(item.data) ? item.data : data;
    const header = Buffer.alloc(512);
    header.write(item.name, 0, 100, "latin1");
    header.write(`${(item.mode ?? 0o644).toString(8).padStart(7, "0")}\0`, 100, "latin1");
    header.write(`${(item.size ?? body.length).toString(8).padStart(11, "0")}\0`, 124, "latin1");
    header.write(item.type ?? "0", 156, "latin1");
    header.write(item.link ?? "", 157, 100, "latin1");
    header.write("ustar\x0000", 257, "latin1");
    header.write("        ", 148, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat(hasEnd ? [...parts, Buffer.alloc(1024)] : parts);
}

export function makeAr(members: readonly (readonly [name: string, data: Buffer])[]): Buffer {
  const parts = members.flatMap(([name, data]) => [
    Buffer.from(
      `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(data.length).padEnd(10)}\`\n`,
    ),
    data,
    Buffer.alloc(data.length & 1, 10),
  ]);
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

export interface DebItems {
  readonly data: readonly TarItem[];
  readonly control?: readonly TarItem[];
  readonly compression?: "gz" | "zst" | "none";
}

/** Writes a small .deb. */
export function writeDeb(file: string, { data, control, compression = "gz" }: DebItems): void {
  const pack = (tar: Buffer): Buffer =>
    compression === "gz" ? gzipSync(tar) : compression === "zst" ? zstdCompressSync(tar) : tar;
  const ending = compression === "none" ? "" : `.${compression}`;
  const defaultControl = [{ name: "./control", data: "Package: test\nVersion: 1\n" }];
  writeFileSync(
    file,
    makeAr([
      ["debian-binary", Buffer.from("2.0\n")],
      [`control.tar${ending}`, pack(makeTar(control ?? defaultControl))],
      [`data.tar${ending}`, pack(makeTar(data))],
    ]),
  );
}
