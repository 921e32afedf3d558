import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readAhead } from "../../io/index.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-ahead-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const BYTES = Buffer.alloc(3 * (1 << 20) + 17, "0123456789abcdef\n");

async function read(fd: number, sizeBytes?: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // Each is copied at once: it is good until the next is asked for.
  for await (const chunk of readAhead(fd, sizeBytes)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

it.each([0, 1, 1 << 20, (1 << 20) + 1, 2 << 20, BYTES.length])(
  "reads a file of %i bytes to its end",
  async (size) => {
    const file = join(dir, `file-${size}`);
    writeFileSync(file, BYTES.subarray(0, size));
    const fd = openSync(file, "r");
    expect((await read(fd)).equals(BYTES.subarray(0, size))).toBe(true);
    closeSync(fd);
  },
);

it("reads no more than is wanted, from where the descriptor stands", async () => {
  const file = join(dir, "parts");
  writeFileSync(file, BYTES);
  const fd = openSync(file, "r");
  expect((await read(fd, 10)).equals(BYTES.subarray(0, 10))).toBe(true);
  expect((await read(fd, 2 << 20)).equals(BYTES.subarray(10, 10 + (2 << 20)))).toBe(true);
  expect((await read(fd)).equals(BYTES.subarray(10 + (2 << 20)))).toBe(true);
  closeSync(fd);
});

it("leaves no read under way when it is left or fails", async () => {
  const file = join(dir, "left");
  writeFileSync(file, BYTES);
  const fd = openSync(file, "r");
  for await (const chunk of readAhead(fd)) {
    expect(chunk.length).toBe(1 << 20);
    break;
  }
  closeSync(fd);
  const directory = openSync(dir, "r");
  await expect(read(directory)).rejects.toThrow("EISDIR");
  closeSync(directory);
});
