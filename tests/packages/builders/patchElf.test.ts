import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findArchitecture, type DebianArchitecture } from "../../../packages/debian/builders/architecture.ts";
import { patchElf, runPathFor, type PatchResult } from "../../../packages/debian/builders/elf/patchElf.ts";
import { isLoaderPath, patchLoader } from "../../../packages/debian/builders/elf/patchLoader.ts";

const TRIPLET = "x86_64-linux-gnu";
const hasTools =
  process.arch === "x64" &&
  ["gcc", "readelf", "strip"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
const needsTools = hasTools ? "" : " (skipped: gcc and binutils for amd64 are not here)";

describe("runPathFor", () => {
  it.each([
    ["/usr/bin/make", "", "$ORIGIN/../lib/x86_64-linux-gnu:$ORIGIN/../lib"],
    ["/usr/lib/x86_64-linux-gnu/libz.so.1", "", "$ORIGIN:$ORIGIN/.."],
    ["/usr/lib/x86_64-linux-gnu/blas/libblas.so.3", "", "$ORIGIN/..:$ORIGIN/../..:$ORIGIN"],
    [
      "/usr/bin/x",
      "/usr/lib/x86_64-linux-gnu/systemd:/lib/y",
      "$ORIGIN/../lib/x86_64-linux-gnu/systemd:$ORIGIN/../lib/y:$ORIGIN/../lib/x86_64-linux-gnu:$ORIGIN/../lib",
    ],
    [
      "/usr/lib/llvm-14/bin/clang",
      "$ORIGIN/../lib",
      "$ORIGIN/../lib:$ORIGIN/../../x86_64-linux-gnu:$ORIGIN/../..",
    ],
  ])("%s with %j has %s", (path, old, expected) => {
    expect(runPathFor(path, old, TRIPLET)).toBe(expected);
  });
});

describe(`patchElf${needsTools}`, () => {
  const amd64 = findArchitecture("amd64") as DebianArchitecture;
  let root: string;
  /** Stands for libc6's loader in the store: the machine's own, at another path. */
  let loader: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-elf-"));
    if (!hasTools) return;
    mkdirSync(join(root, "usr/bin"), { recursive: true });
    mkdirSync(join(root, `usr/lib/${TRIPLET}/plug`), { recursive: true });
    loader = join(root, "loader");
    copyFileSync(amd64.interpreter, loader);
    const source = (name: string, text: string): string => {
      writeFileSync(join(root, name), text);
      return join(root, name);
    };
    const gcc = (...args: string[]): void => void execFileSync("gcc", args);
    const lib = join(root, `usr/lib/${TRIPLET}/libanswer.so.1`);
    gcc(
      "-shared",
      "-fPIC",
      "-Wl,-soname,libanswer.so.1",
      "-o",
      lib,
      source("lib.c", "int answer(void){return 42;}"),
    );
    const first = join(root, `usr/lib/${TRIPLET}/libfirst.so`);
    gcc(
      "-shared",
      "-fPIC",
      "-Wl,-soname,libfirst.so",
      "-o",
      first,
      source("first.c", "int answer(void){return 7;}"),
    );
    const main = source(
      "main.c",
      'int answer(void);int printf(const char*,...);int main(void){printf("%d\\n",answer());return 0;}',
    );
    gcc("-o", join(root, "usr/bin/tool"), main, lib);
    gcc(
      "-no-pie",
      "-Wl,-rpath,/usr/lib/x86_64-linux-gnu/plug",
      "-Wl,--disable-new-dtags",
      "-o",
      join(root, "usr/bin/rpath"),
      main,
      lib,
    );
    gcc("-static", "-o", join(root, "usr/bin/static"), source("static.c", "int main(void){return 0;}"));
    gcc("-c", "-o", join(root, "usr/bin/object.o"), main);
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  function patch(path: string, preload?: string): PatchResult {
    const fd = openSync(root + path, "r+");
    try {
      return patchElf(fd, path, { architecture: amd64, loader, preload });
    } finally {
      closeSync(fd);
    }
  }
  const run = (file: string): string => execFileSync(file, { env: {}, encoding: "utf8" }).trim();
  const readelf = (file: string): string => execFileSync("readelf", ["-dlSW", file], { encoding: "utf8" });

  it.skipIf(!hasTools)(
    "sets the interpreter and a relative run path; the program runs and survives strip",
    () => {
      copyFileSync(join(root, "usr/bin/tool"), join(root, "usr/bin/plain"));
      expect(spawnSync(join(root, "usr/bin/plain"), { env: {} }).status).toBe(127);
      expect(patch("/usr/bin/plain")).toEqual({ kind: "patched" });
      expect(patch(`/usr/lib/${TRIPLET}/libanswer.so.1`)).toEqual({ kind: "patched" });
      expect(run(join(root, "usr/bin/plain"))).toBe("42");
      for (const stripped of [false, true]) {
        if (stripped) execFileSync("strip", [join(root, "usr/bin/plain")]);
        const text = readelf(join(root, "usr/bin/plain"));
        expect(text).toContain(`Requesting program interpreter: ${loader}]`);
        expect(text).toContain(`Library runpath: [$ORIGIN/../lib/${TRIPLET}:$ORIGIN/../lib]`);
      }
      expect(run(join(root, "usr/bin/plain"))).toBe("42");
    },
  );

  it.skipIf(!hasTools)("lets the linker use a patched library", () => {
    copyFileSync(
      join(root, `usr/lib/${TRIPLET}/libanswer.so.1`),
      join(root, `usr/lib/${TRIPLET}/plug/libplug.so`),
    );
    patch(`/usr/lib/${TRIPLET}/plug/libplug.so`);
    const linked = spawnSync("gcc", [
      "-Wl,--fatal-warnings",
      "-o",
      join(root, "linked"),
      join(root, "main.c"),
      join(root, `usr/lib/${TRIPLET}/plug/libplug.so`),
    ]);
    expect(linked.stderr.toString()).toBe("");
    expect(linked.status).toBe(0);
  });

  it.skipIf(!hasTools)("turns an absolute DT_RPATH into a relative run path", () => {
    expect(patch("/usr/bin/rpath")).toEqual({ kind: "patched" });
    const text = readelf(join(root, "usr/bin/rpath"));
    expect(text).toContain(
      `Library runpath: [$ORIGIN/../lib/${TRIPLET}/plug:$ORIGIN/../lib/${TRIPLET}:$ORIGIN/../lib]`,
    );
    expect(text).not.toContain("(RPATH)");
    expect(run(join(root, "usr/bin/rpath"))).toBe("42");
  });

  it.skipIf(!hasTools)("puts a preloaded library before all others", () => {
    copyFileSync(join(root, "usr/bin/tool"), join(root, "usr/bin/shimmed"));
    expect(patch("/usr/bin/shimmed", "libfirst.so")).toEqual({ kind: "patched" });
    expect(run(join(root, "usr/bin/shimmed"))).toBe("7");
    const needed = [...readelf(join(root, "usr/bin/shimmed")).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(
      (match) => match[1],
    );
    expect(needed).toEqual(["libfirst.so", "libanswer.so.1", "libc.so.6"]);
  });

  it.skipIf(!hasTools)("leaves static programs, objects and other machines' files as they are", () => {
    for (const path of ["/usr/bin/static", "/usr/bin/object.o"]) {
      const before = readFileSync(root + path);
      expect(patch(path)).toEqual({ kind: "foreign" });
      expect(readFileSync(root + path).equals(before)).toBe(true);
    }
    const file = readFileSync(join(root, "usr/bin/tool"));
    file.writeUInt16LE(183, 18);
    writeFileSync(join(root, "usr/bin/arm"), file);
    expect(patch("/usr/bin/arm")).toEqual({ kind: "foreign" });
  });

  it.skipIf(!hasTools)("does not fail on damaged headers", () => {
    const good = readFileSync(join(root, "usr/bin/tool"));
    for (let round = 0; round < 300; round++) {
      const bad = Buffer.from(good);
      // A fixed sequence of damages within the headers and the dynamic section.
      for (let k = 0; k < 4; k++) bad[(round * 7919 + k * 104_729) % 1024] = (round * 31 + k * 17) & 255;
      writeFileSync(join(root, "usr/bin/bad"), bad);
      if (round % 10 === 0) truncateSync(join(root, "usr/bin/bad"), round * 3);
      expect(["patched", "foreign", "unpatchable"]).toContain(patch("/usr/bin/bad").kind);
    }
  });

  it.skipIf(!hasTools)("makes the loader forget the machine's libraries", () => {
    const file = join(root, "own-loader");
    copyFileSync(amd64.interpreter, file);
    const before = readFileSync(file);
    const fd = openSync(file, "r+");
    const count = patchLoader(fd, TRIPLET);
    closeSync(fd);
    const after = readFileSync(file);
    expect(count).toBeGreaterThanOrEqual(3);
    expect(after.length).toBe(before.length);
    expect(after.includes("/etc/ld.so.cache\0")).toBe(false);
    expect(after.includes(`\0/usr/lib/${TRIPLET}/\0`)).toBe(false);
    const listed = spawnSync(file, ["--list", "/bin/true"], { encoding: "utf8", env: {} });
    expect(listed.stdout + listed.stderr).toMatch(/libc\.so\.6.*(?:not found|cannot open)/);
  });

  it("knows the loader by its name", () => {
    expect(isLoaderPath(`/usr/lib/${TRIPLET}/ld-linux-x86-64.so.2`)).toBe(true);
    expect(isLoaderPath("/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1")).toBe(true);
    expect(isLoaderPath(`/usr/lib/${TRIPLET}/libld.so.2`)).toBe(false);
  });
});
