import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findArchitecture, type DebianArchitecture } from "../../../packages/debian/builders/architecture.ts";
import { buildEnvironment } from "../../../packages/debian/builders/environment/buildEnvironment.ts";
import { relocateSpecs } from "../../../packages/debian/builders/environment/gccSpecs.ts";
import { unpackDeb } from "../../../packages/debian/builders/unpack/unpackDeb.ts";
import { writeDeb, type TarItem } from "./debFixture.ts";

const architecture = findArchitecture("amd64") as DebianArchitecture;
const HASH = "0123456789abcdfghijklmnpqrsvwxyz";

let store: string;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), "devshell-env-"));
});
afterEach(() => {
  rmSync(store, { recursive: true, force: true });
});

async function makePackage(name: string, data: TarItem[], control = "", postinst = ""): Promise<string> {
  const deb = join(store, `${name}.deb`);
  const controlItems = [{ name: "./control", data: `Package: ${name}\nVersion: 1\n${control}` }];
  if (postinst !== "") controlItems.push({ name: "./postinst", data: postinst });
  writeDeb(deb, { data, control: controlItems });
  const out = join(store, `${HASH}-${name}-1`);
  await unpackDeb({ deb, out, loader: "/loader", architecture });
  return out;
}

function joinPackages(
  packages: readonly string[],
  more: { shim?: string; setup?: string } = {},
  log: (line: string) => void = () => undefined,
): string {
  const out = join(store, `${HASH}-env`);
  buildEnvironment(
    {
      out,
      packages,
      loader: "/loader",
      suite: "",
      architecture,
      shim: more.shim,
      setup: more.setup,
      defaultBuilder: undefined,
      tmpDir: store,
    },
    log,
  );
  return out;
}

describe("buildEnvironment", () => {
  it("joins packages by hard links and never writes through one", async () => {
    const text = "prefix=/usr\nLibs: -L/usr/lib/tool\n";
    const script = "#!/usr/bin/tool\n";
    const a = await makePackage("a", [
      { name: "./bin/tool", data: "\x7fnot a text\0", mode: 0o755 },
      { name: "./usr/lib/pkgconfig/a.pc", data: text },
      { name: "./usr/share/doc/a", data: "doc" },
    ]);
    const b = await makePackage("b", [
      { name: "./usr/bin/script", data: script, mode: 0o755 },
      { name: "./usr/share/doc/b", data: "doc" },
    ]);
    const env = joinPackages([a, b]);
    expect(statSync(`${env}/usr/bin/tool`).ino).toBe(statSync(`${a}/usr/bin/tool`).ino);
    expect(readFileSync(`${env}/usr/bin/script`, "utf8")).toBe(`#!${env}/usr/bin/tool\n`);
    expect(readFileSync(`${b}/usr/bin/script`, "utf8")).toBe(script);
    expect(readFileSync(`${env}/usr/lib/pkgconfig/a.pc`, "utf8")).toBe(
      `prefix=${env}/usr\nLibs: -L${env}/usr/lib/tool\n`,
    );
    expect(readFileSync(`${a}/usr/lib/pkgconfig/a.pc`, "utf8")).toBe(text);
    expect(readlinkSync(`${env}/bin`)).toBe("usr/bin");
    expect(readlinkSync(`${env}/lib64`)).toBe("usr/lib64");
    expect(existsSync(`${env}/lib32`)).toBe(false);
    expect(statSync(`${env}/usr/bin/script`).mode & 0o111).not.toBe(0);
  });

  it("shows clangd the environment's headers: by a file beside the compilers, an old one by variables", async () => {
    const a = await makePackage("a", [
      { name: "./usr/include/zlib.h", data: "" },
      { name: "./usr/include/c++/9/x", data: "" },
      { name: "./usr/include/c++/12/x", data: "" },
      { name: "./usr/lib/llvm-14/bin/clangd", data: "#!/bin/sh\nenv; echo $*\n", mode: 0o755 },
      { name: "./usr/bin/clangd-14", type: "2", link: "../lib/llvm-14/bin/clangd" },
      { name: "./usr/bin/clangd", type: "2", link: "clangd-14" },
      { name: "./usr/lib/llvm-16/bin/clangd", data: "#!/bin/sh\n", mode: 0o755 },
      { name: "./usr/bin/clangd-16", type: "2", link: "../lib/llvm-16/bin/clangd" },
    ]);
    const env = joinPackages([a]);
    for (const directory of ["bin", "lib/llvm-14/bin", "lib/llvm-16/bin"])
      for (const name of ["clang", "clang++"])
        expect(readFileSync(`${env}/usr/${directory}/${name}.cfg`, "utf8")).toBe(`--sysroot=${env}\n`);
    expect(readlinkSync(`${env}/usr/bin/clangd-16`)).toBe("../lib/llvm-16/bin/clangd");
    const said = execFileSync(`${env}/usr/bin/clangd`, ["--log=error", "a b"], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin", C_INCLUDE_PATH: "/mine" },
    });
    const include = `${env}/usr/include`;
    expect(said).toContain("--log=error a b\n");
    expect(said).toContain(`C_INCLUDE_PATH=/mine:${include}/x86_64-linux-gnu:${include}\n`);
    expect(said).toContain(
      `CPLUS_INCLUDE_PATH=${include}/c++/12:${include}/x86_64-linux-gnu/c++/12:${include}/c++/12/backward:` +
        `${include}/x86_64-linux-gnu:${include}\n`,
    );
    const bare = await makePackage("bare", [{ name: "./usr/bin/tool" }]);
    rmSync(env, { recursive: true });
    expect(existsSync(`${joinPackages([bare])}/usr/bin/clang.cfg`)).toBe(false);
  });

  it("leaves out programs that were setuid", async () => {
    const a = await makePackage("a", [
      { name: "./bin/su", mode: 0o4755, data: "x" },
      { name: "./usr/sbin/group", mode: 0o2755, data: "x" },
      { name: "./usr/lib/helper", mode: 0o4755, data: "x" },
    ]);
    const env = joinPackages([a]);
    expect(existsSync(`${env}/usr/bin/su`)).toBe(false);
    expect(existsSync(`${env}/usr/sbin/group`)).toBe(false);
    expect(existsSync(`${env}/usr/lib/helper`)).toBe(true);
  });

  it("links the best alternatives, relative, where nothing is", async () => {
    const call = (tool: string, priority: number): string =>
      `update-alternatives --install /usr/bin/awk awk /usr/bin/${tool} ${priority} --slave /usr/share/awk.1 awk.1 /usr/share/${tool}.1\n`;
    const mawk = await makePackage("mawk", [{ name: "./usr/bin/mawk" }], "", call("mawk", 5));
    const gawk = await makePackage(
      "gawk",
      [{ name: "./usr/bin/gawk" }, { name: "./usr/share/gawk.1" }, { name: "./bin/dash" }],
      "",
      `${call("gawk", 10)}update-alternatives --install /usr/bin/dash d /usr/bin/gawk 1\n${call("missing", 1)}`,
    );
    const env = joinPackages([mawk, gawk]);
    expect(readlinkSync(`${env}/usr/bin/awk`)).toBe("gawk");
    expect(readlinkSync(`${env}/usr/share/awk.1`)).toBe("gawk.1");
    expect(readlinkSync(`${env}/etc/alternatives/awk`)).toBe("../../usr/bin/gawk");
    expect(lstatSync(`${env}/usr/bin/dash`).isFile()).toBe(true);
    expect(readlinkSync(`${env}/usr/bin/sh`)).toBe("dash");
  });

  it("accepts equal duplicates, refuses differing ones, and knows what replaces what", async () => {
    const a = await makePackage("a", [{ name: "./usr/share/x", data: "one" }]);
    const same = await makePackage("same", [{ name: "./usr/share/x", data: "one" }]);
    const other = await makePackage("other", [{ name: "./usr/share/x", data: "two" }]);
    const newer = await makePackage(
      "newer",
      [{ name: "./usr/share/x", data: "two" }],
      "Replaces: c,\n a (<< 2)\n",
    );
    expect(readFileSync(`${joinPackages([a, same])}/usr/share/x`, "utf8")).toBe("one");
    rmSync(join(store, `${HASH}-env`), { recursive: true });
    expect(() => joinPackages([a, other])).toThrow(
      /"\/usr\/share\/x" differs between ".*-a-1" and ".*-other-1"/,
    );
    for (const packages of [
      [a, newer],
      [newer, a],
    ]) {
      rmSync(join(store, `${HASH}-env`), { recursive: true, force: true });
      expect(readFileSync(`${joinPackages(packages)}/usr/share/x`, "utf8")).toBe("two");
    }
    expect(readFileSync(`${a}/usr/share/x`, "utf8")).toBe("one");
  });

  it("follows a package's link to a directory that another fills", async () => {
    const a = await makePackage("a", [
      { name: "./usr/share/real/a", data: "a" },
      { name: "./usr/share/link", type: "2", link: "real" },
    ]);
    const b = await makePackage("b", [{ name: "./usr/share/link/sub/b", data: "b" }]);
    const env = joinPackages([a, b]);
    expect(readFileSync(`${env}/usr/share/real/sub/b`, "utf8")).toBe("b");
    expect(readlinkSync(`${env}/usr/share/link`)).toBe("real");
  });

  it("joins certificates in one order", async () => {
    const place = "./usr/share/ca-certificates/mozilla";
    const a = await makePackage("ca-certificates", [
      { name: `${place}/B.crt`, data: "BBB\n\n" },
      { name: `${place}/A\xe9.crt`, data: "AAA" },
    ]);
    expect(readFileSync(`${joinPackages([a])}/etc/ssl/certs/ca-certificates.crt`, "utf8")).toBe("AAA\nBBB\n");
  });

  it("says which programs need the shim that it was not given", async () => {
    const a = await makePackage("a", [
      { name: "./usr/bin/perl", data: "\x7fELF\0", mode: 0o755 },
      { name: "./usr/bin/node", data: "#!/bin/sh\n", mode: 0o755 },
      { name: "./usr/bin/ls", data: "\x7fELF\0", mode: 0o755 },
    ]);
    const log: string[] = [];
    joinPackages([a], {}, (line) => log.push(line));
    expect(log[0]).toBe("no shim was given: perl will not start");
    rmSync(join(store, `${HASH}-env`), { recursive: true });
    log.length = 0;
    writeFileSync(join(store, "shim"), "ELF");
    joinPackages([a], { shim: join(store, "shim") }, (line) => log.push(line));
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/^1 packages, \d+ entries/);
  });

  it("fills in the setup script and takes the shim without the tree that made it", async () => {
    const a = await makePackage("a", [{ name: "./usr/bin/bash" }]);
    writeFileSync(join(store, "setup.sh"), "env=@env@ lib=@env@/usr/lib/@triplet@ loader=@loader@\n");
    const compiler = join(store, `${HASH}-compiler/usr/lib/${architecture.triplet}`);
    writeFileSync(join(store, "shim"), `ELF\0${compiler}\0rest`);
    const env = joinPackages([a], { shim: join(store, "shim"), setup: join(store, "setup.sh") });
    expect(readFileSync(`${env}/setup`, "utf8")).toBe(
      `env=${env} lib=${env}/usr/lib/${architecture.triplet} loader=/loader\n`,
    );
    const shim = readFileSync(`${env}/usr/lib/${architecture.triplet}/libdevshell-root.so`, "latin1");
    expect(shim).toHaveLength(`ELF\0${compiler}\0rest`.length);
    expect(shim).toMatch(/^ELF\0\$ORIGIN\0+rest$/);
  });
});

describe("relocateSpecs", () => {
  it("binds the compiler to the environment", () => {
    const dumped =
      "*self_spec:\n\n\n*link:\n-dynamic-linker /lib64/ld-linux-x86-64.so.2 %{m}\n\n*other:\ntwo\nlines\n\n";
    const specs = relocateSpecs(dumped, "/env", architecture, "/store/ld.so");
    expect(specs).toContain("*self_spec:\n %{!-sysroot=*:--sysroot=/env}\n");
    expect(specs).toContain("-dynamic-linker /store/ld.so %{m} %{!static:");
    expect(specs).toContain("*other:\ntwo\nlines\n");
    expect(specs).toContain("*startfile_prefix_spec:\n/env/usr/lib/x86_64-linux-gnu/ /env/usr/lib/\n");
    expect(specs).not.toContain("/lib64/ld-linux");
  });
});
