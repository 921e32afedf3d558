import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findArchitecture } from "../../../packages/debian/builders/architecture.ts";
import { readManifest } from "../../../packages/debian/builders/manifest.ts";
import { unpackDeb } from "../../../packages/debian/builders/unpack/unpackDeb.ts";
import { makeAr, makeTar, writeDeb, type DebItems, type TarItem } from "./debFixture.ts";

const architecture = findArchitecture("amd64");
if (architecture === undefined) throw new Error("amd64 is missing");

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-unpack-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const unpack = (deb: string) =>
  unpackDeb({ deb, out: join(dir, "out"), loader: "/store/loader", architecture });

function unpackItems(items: DebItems): Promise<unknown> {
  writeDeb(join(dir, "a.deb"), items);
  return unpack(join(dir, "a.deb"));
}

const SAMPLE: TarItem[] = [
  { name: "./", type: "5" },
  { name: "./bin/", type: "5" },
  { name: "./bin/su", mode: 0o4755, data: "#!/bin/sh\n" },
  { name: "./usr/share/doc/t/text", data: "text" },
  { name: "./usr/bin/again", type: "1", link: "./bin/su" },
  { name: "./lib/link", type: "2", link: "/bin/su" },
  { name: "./usr/share/b\xe9", data: "a\0b" },
];

describe("unpackDeb", () => {
  it.each(["gz", "zst", "none"] as const)("makes a tree that runs anywhere (%s)", async (compression) => {
    const control = [
      { name: "./control", data: "Package: t\n" },
      { name: "./postinst", data: "#!/bin/sh\nexit 1\n", mode: 0o755 },
      { name: "./md5sums", data: "" },
    ];
    await unpackItems({ data: SAMPLE, control, compression });
    const out = join(dir, "out");
    expect(statSync(`${out}/usr/bin/su`).mode & 0o7777).toBe(0o555);
    expect(statSync(`${out}/usr/share/doc/t/text`).mode & 0o7777).toBe(0o444);
    expect(statSync(`${out}/usr/bin/again`).ino).toBe(statSync(`${out}/usr/bin/su`).ino);
    expect(readlinkSync(`${out}/usr/lib/link`)).toBe("../bin/su");
    expect(existsSync(Buffer.from(`${out}/usr/share/b\xe9`, "latin1"))).toBe(true);
    expect(existsSync(`${out}/bin`)).toBe(false);
    expect(readFileSync(`${out}/.debian/postinst`, "utf8")).toContain("exit 1");
    expect(existsSync(`${out}/.debian/md5sums`)).toBe(false);
    const manifest = new Map(readManifest(out).map((entry) => [entry.path, entry]));
    expect(manifest.get("/usr/bin/su")).toEqual({
      kind: "file",
      path: "/usr/bin/su",
      isExecutable: true,
      wasSetId: true,
      isScript: true,
      isText: true,
      sizeBytes: 10,
    });
    expect(manifest.get("/usr/lib/link")).toEqual({
      kind: "link",
      path: "/usr/lib/link",
      target: "../bin/su",
    });
    expect(manifest.get("/usr/share/b\xe9")).toMatchObject({ isText: false, isExecutable: false });
  });

  it.each<[string, TarItem[], RegExp]>([
    ["a name that leaves the tree", [{ name: "./../../evil", data: "x" }], /leaves the tree/],
    ["a device", [{ name: "./dev/sda", type: "4" }], /is a device/],
    ["a fifo", [{ name: "./run/fifo", type: "6" }], /is a fifo/],
    ["a hard link out of the tree", [{ name: "./x", type: "1", link: "/etc/passwd" }], /no file before it/],
    ["a hard link upwards", [{ name: "./x", type: "1", link: "../../etc/passwd" }], /leaves the tree/],
    [
      "a file through a link",
      [
        { name: "./usr/lib/x", type: "2", link: "/tmp" },
        { name: "./usr/lib/x/evil", data: "x" },
      ],
      /is there twice/,
    ],
    ["a file twice", [{ name: "./a" }, { name: "./a" }], /is there twice/],
    ["our own hidden directory", [{ name: "./.debian/manifest", data: "" }], /.debian/],
  ])("refuses %s", async (_, data, message) => {
    await expect(unpackItems({ data })).rejects.toThrow(message);
    expect(existsSync(join(dir, "evil"))).toBe(false);
  });

  it("refuses a bomb long before the disk is full", async () => {
    // 200 MB of zeros in 0.2 MB.
    const zeros = Buffer.alloc(32 << 20);
    const item = makeTar([{ name: "./zeros", size: 200 << 20 }]).subarray(0, 512);
    const bomb = Buffer.concat([item, ...Array.from({ length: 6 }, () => zeros)]);
    writeFileSync(
      join(dir, "bomb.deb"),
      makeAr([
        ["debian-binary", Buffer.from("2.0\n")],
        ["control.tar.gz", gzipSync(makeTar([{ name: "./control", data: "Package: t\n" }]))],
        ["data.tar.gz", gzipSync(bomb)],
      ]),
    );
    await expect(unpack(join(dir, "bomb.deb"))).rejects.toThrow(/grows beyond/);
  });

  it.each<[string, () => Buffer]>([
    ["no archive at all", () => Buffer.from("<html>not found</html>")],
    ["an empty file", () => Buffer.alloc(0)],
    ["a member beyond the end", () => makeAr([["data.tar.gz", Buffer.alloc(100)]]).subarray(0, 90)],
    ["no data member", () => makeAr([["control.tar", makeTar([])]])],
    [
      "an unknown compression",
      () =>
        makeAr([
          ["control.tar.lzma9", Buffer.alloc(10)],
          ["data.tar", makeTar([])],
        ]),
    ],
    [
      "damaged data",
      () =>
        makeAr([
          ["control.tar", makeTar([])],
          ["data.tar.gz", gzipSync(makeTar(SAMPLE)).fill(0, 40)],
        ]),
    ],
    [
      "damaged xz data",
      () =>
        makeAr([
          ["control.tar", makeTar([])],
          ["data.tar.xz", Buffer.from("\xfd7zXZ\0damaged", "latin1")],
        ]),
    ],
  ])("refuses %s", async (_, bytes) => {
    writeFileSync(join(dir, "bad.deb"), bytes());
    await expect(unpack(join(dir, "bad.deb"))).rejects.toMatchObject({ code: "DEBIAN_ARCHIVE_INVALID" });
  });

  const hasXz = spawnSync("xz", ["--version"]).status === 0;
  it.skipIf(!hasXz)(
    "reads xz alike by the program and in the process (skipped where there is no xz)",
    async () => {
      mkdirSync(join(dir, "in"));
      writeFileSync(join(dir, "in/data.tar"), makeTar(SAMPLE));
      const xz = execFileSync("xz", ["-c", join(dir, "in/data.tar")]);
      writeFileSync(
        join(dir, "x.deb"),
        makeAr([
          ["control.tar", makeTar([])],
          ["data.tar.xz", xz],
          ["later", xz],
        ]),
      );
      const digests: string[] = [];
      for (const decoder of ["", "wasm"]) {
        process.env["DEVSHELL_XZ"] = decoder;
        try {
          await unpack(join(dir, "x.deb"));
        } finally {
          delete process.env["DEVSHELL_XZ"];
        }
        digests.push(
          createHash("sha256")
            .update(readFileSync(join(dir, "out/.debian/manifest")))
            .digest("hex"),
        );
        expect(lstatSync(join(dir, "out/usr/bin/su")).size).toBe(10);
        rmSync(join(dir, "out"), { recursive: true });
      }
      expect(digests[0]).toBe(digests[1]);
    },
  );
});
