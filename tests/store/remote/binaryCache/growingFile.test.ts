import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { GrowingFile } from "../../../../store/remote/binaryCache/growingFile.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-growing-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Bytes that tell their place. */
const BYTES = Buffer.from(Uint32Array.from({ length: 3 << 20 }, (_, index) => index).buffer);
const CHUNK_BYTES = 60_000;

/** A file that a download writes: in pieces, a few at once. */
class Download {
  readonly growing: GrowingFile;
  readonly file: string;
  written = 0;

  constructor(name: string) {
    this.file = join(dir, name);
    writeFileSync(this.file, "");
    this.growing = new GrowingFile(this.file);
    this.growing.begin();
  }

  write(sizeBytes: number): void {
    const part = BYTES.subarray(this.written, this.written + sizeBytes);
    appendFileSync(this.file, part);
    const last: Buffer[] = [];
    for (let at = 0; at < part.length; at += CHUNK_BYTES)
      last.push(Buffer.from(part.subarray(at, at + CHUNK_BYTES)));
    this.written += part.length;
    this.growing.grow(this.written, last);
  }

  /** The server does not continue. */
  beginAnew(): void {
    writeFileSync(this.file, "");
    this.written = 0;
    this.growing.grow(0, []);
  }
}

it("is read as it was written, by a fast reader and by one that falls behind", async () => {
  const download = new Download("turns");
  download.write(200_000);
  const parts: Buffer[] = [];
  let readBytes = 0;
  for await (const chunk of download.growing.chunks()) {
    parts.push(chunk);
    readBytes += chunk.length;
    // Now a little, now more than is kept in memory.
    if (readBytes === download.written && download.written < BYTES.length)
      download.write(parts.length % 3 === 0 ? 6 << 20 : 150_001);
    if (download.written === BYTES.length) download.growing.end();
    if (parts.length === 1) expect(readBytes).toBe(CHUNK_BYTES);
  }
  expect(Buffer.concat(parts).equals(BYTES)).toBe(true);
});

it("goes on where it was when the server begins anew", async () => {
  const download = new Download("anew");
  download.write(500_000);
  const parts: Buffer[] = [];
  let count = 0;
  for await (const chunk of download.growing.chunks()) {
    parts.push(chunk);
    count++;
    if (count === 3) {
      download.beginAnew();
      download.write(100_000);
      setImmediate(() => {
        download.write(1_000_000);
        download.growing.end();
      });
    }
  }
  expect(Buffer.concat(parts).equals(BYTES.subarray(0, 1_100_000))).toBe(true);
});

it("fails as the download did", async () => {
  const download = new Download("failed");
  download.write(100);
  const chunks = download.growing.chunks();
  expect((await chunks.next()).value).toEqual(BYTES.subarray(0, 100));
  download.growing.fail(new Error("cut off"));
  await expect(chunks.next()).rejects.toThrow("cut off");
});
