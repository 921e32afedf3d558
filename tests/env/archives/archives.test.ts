import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bytesOfText } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import { FUZZ_TIMEOUT_MS, fuzz } from "../../store/fuzz/fuzz.ts";
import { TestStore } from "../../store/realiseFixture.ts";
import { ArchivePlace, attacks } from "./archivePlace.ts";
import { tarOf, zipOf, type ArchiveEntry } from "./writeArchives.ts";

const isDevshellError = expect.objectContaining({ name: "DevshellError", code: "FETCH_UNPACK" }) as unknown;

/** Unpacked or refused: either is fine, as long as the place around is as it was. */
async function survives(archive: Buffer): Promise<void> {
  using place = new ArchivePlace();
  await place.unpack(archive).catch((error: unknown) => expect(error).toEqual(isDevshellError));
  expect(readFileSync(place.canary, "utf8")).toBe("alive");
}

describe("an archive from a stranger", () => {
  it.each(attacks("/tmp/canary").map(([name], index) => [name, index] as const))(
    "writes nothing outside of its tree: %s",
    async (_, index) => {
      using place = new ArchivePlace();
      const entries = attacks(place.canary)[index]![1];
      for (const archive of [tarOf(entries), gzipSync(tarOf(entries)), zipOf(entries)]) {
        await place.unpack(archive).catch((error: unknown) => expect(error).toEqual(isDevshellError));
        expect(readFileSync(place.canary, "utf8")).toBe("alive");
        place.clear();
      }
    },
  );

  it("may hold devices and pipes, of which none gets into the store", async () => {
    await using t = TestStore.create();
    for (const entry of [
      { name: "tree/device", type: "3", device: [1, 3] },
      { name: "tree/pipe", type: "6" },
    ] as const satisfies readonly ArchiveEntry[]) {
      using place = new ArchivePlace();
      const archive = tarOf([{ name: "tree/", type: "5", mode: 0o755 }, entry]);
      const tree = await place.unpack(archive).catch((error: unknown) => {
        // Who is not root makes no devices.
        expect(error).toEqual(isDevshellError);
      });
      if (tree === undefined) continue;
      expect(() => t.store.addPath(bytesOfText(tree), { name: "tree", method: "nar" })).toThrow(
        expect.objectContaining({ code: "NAR_UNSUPPORTED_TYPE" }),
      );
    }
  });

  it("gives nobody its setuid programs", async () => {
    using place = new ArchivePlace();
    const tree = await place.unpack(
      tarOf([
        { name: "tree/", type: "5", mode: 0o755 },
        { name: "tree/sh", mode: 0o6755, content: Buffer.from("#!/bin/sh\n") },
      ]),
    );
    expect(lstatSync(join(tree, "sh")).mode & 0o6000).toBe(0);
  });

  it("is refused where it claims to be larger than any disk", async () => {
    using place = new ArchivePlace();
    const hole: ArchiveEntry = { name: "hole", type: "S", realSize: 1n << 60n };
    await expect(place.unpack(tarOf([hole]))).rejects.toMatchObject({
      code: "FETCH_UNPACK",
      message: expect.stringMatching(/holds at least \d+ bytes, more than there is room for|Cannot unpack/),
    });
  });

  it("is deleted with its read-only directories", async () => {
    using place = new ArchivePlace();
    const tree = await place.unpack(
      tarOf([
        { name: "tree/", type: "5", mode: 0o755 },
        { name: "tree/closed/", type: "5", mode: 0o555 },
        { name: "tree/closed/file", content: Buffer.from("x") },
      ]),
    );
    expect(existsSync(join(tree, "closed/file"))).toBe(true);
    place.clear();
    expect(existsSync(tree)).toBe(false);
  });

  it(
    "as a zip asks nobody: names that occur twice, secrets that need a password",
    { timeout: 20_000 },
    async () => {
      if (findProgram("unzip") === undefined) return;
      using place = new ArchivePlace();
      const twice = zipOf([
        { name: "tree/a", content: Buffer.from("first") },
        { name: "tree/a", content: Buffer.from("second") },
      ]);
      await place.unpack(twice).then(
        (tree) => expect(readFileSync(join(tree, "a"), "utf8")).toBe("second"),
        (error: unknown) => expect(error).toEqual(isDevshellError),
      );
      place.clear();
      const secret = zipOf([{ name: "tree/a", content: Buffer.alloc(40, "x"), isEncrypted: true }]);
      await expect(place.unpack(secret)).rejects.toEqual(isDevshellError);
    },
  );

  it("may nest deeper than paths are long", async () => {
    const entries: ArchiveEntry[] = [];
    for (let depth = 1; depth <= 45; depth++)
      entries.push({ name: "d/".repeat(depth), type: "5", mode: 0o755 });
    await survives(tarOf(entries));
  });

  it("may have names that are no text", async () => {
    const content = Buffer.from("x");
    const name = "gr\xfc\xdfe";
    const [directory, file] = [
      { name: `${name}/`, type: "5", mode: 0o755 },
      { name: `${name}/a\xff`, content },
    ];
    using place = new ArchivePlace();
    const tree = await place.unpack(tarOf([directory, file]));
    expect(readFileSync(Buffer.from(`${tree}/a\xff`, "latin1"), "latin1")).toBe("x");
    place.clear();
    // What unzip makes of them is its own business.
    const unzipped = await place.unpack(zipOf([file]));
    expect(readdirSync(Buffer.from(unzipped, "latin1"))).toHaveLength(1);
  });

  it("in a directory with a colon is no other machine's", async () => {
    using place = new ArchivePlace();
    const odd = join(place.dir, "around/work");
    mkdirSync(join(odd, "a:b"));
    const file = join(odd, "a:b/download");
    writeFileSync(file, tarOf([{ name: "tree/a", content: Buffer.from("x") }]));
    chmodSync(file, 0o600);
    const { unpackArchive } = await import("../../../env/fetch/index.ts");
    const { tree } = await unpackArchive(file, join(odd, "a:b/tree"), "https://example.org/archive");
    expect(readFileSync(join(tree, "a"), "utf8")).toBe("x");
  });

  it("may be anything", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const { failure, count } = await fuzz(new URL("./archiveTarget.ts", import.meta.url), 20);
    expect(failure).toBeUndefined();
    expect(count).toBeGreaterThanOrEqual(20);
  });
});
