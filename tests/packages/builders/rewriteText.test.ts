import { describe, expect, it } from "vitest";
import {
  isRewritable,
  rewriteText,
  type TreeNames,
} from "../../../packages/debian/builders/environment/rewriteText.ts";

const ROOT = "/store/abc-env";
const PLACES = new Set([
  "/usr/bin/perl",
  "/usr/bin/python3",
  "/usr/bin/sh",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/include",
  "/usr/share/aclocal",
  "/usr/share/automake-1.16",
]);
const tree: TreeNames = {
  has: (path) => PLACES.has(path),
  hasPrefix: (path) =>
    [...PLACES].some((place) => place.startsWith(path) && !place.slice(path.length).includes("/")),
};
const rewrite = (path: string, text: string, isScript = text.startsWith("#!")): string =>
  rewriteText({ path, isExecutable: true, isScript }, text, ROOT, tree);

describe("rewriteText", () => {
  it.each([
    ["#!/usr/bin/perl -w\n", `#!${ROOT}/usr/bin/perl -w\n`],
    ["#! /bin/sh\n", `#!${ROOT}/usr/bin/sh\n`],
    ["#!/usr/bin/env python3\n", `#!${ROOT}/usr/bin/python3\n`],
    ["#!/usr/bin/env -S perl\n", `#!${ROOT}/usr/bin/perl\n`],
    // Not in the tree: the machine's.
    ["#!/usr/bin/ruby\n", "#!/usr/bin/ruby\n"],
    ["#!/usr/bin/env ruby\n", "#!/usr/bin/env ruby\n"],
    // Only the first line is an interpreter.
    ["echo\n#!/bin/sh\n", "echo\n#!/bin/sh\n"],
  ])("interpreter %j becomes %j", (text, expected) => {
    expect(rewrite("/usr/bin/tool", text, true)).toBe(expected);
  });

  it.each([
    ["x = '/usr/share/aclocal';", `x = '${ROOT}/usr/share/aclocal';`],
    // The beginning of a name in the tree.
    ['"/usr/share/automake"', `"${ROOT}/usr/share/automake"`],
    ["see /usr/share/unknown", "see /usr/share/unknown"],
    // The end of another path is none of ours.
    ["$DESTDIR/usr/share/aclocal", "$DESTDIR/usr/share/aclocal"],
    ["${prefix}/usr/include and /opt/usr/include", "${prefix}/usr/include and /opt/usr/include"],
    [
      "cc -I/usr/include -L/usr/lib/x86_64-linux-gnu.",
      `cc -I${ROOT}/usr/include -L${ROOT}/usr/lib/x86_64-linux-gnu.`,
    ],
  ])("%j becomes %j in a script", (text, expected) => {
    expect(rewrite("/usr/bin/tool", `#!/usr/bin/ruby\n${text}\n`)).toBe(`#!/usr/bin/ruby\n${expected}\n`);
  });

  it("relocates pkg-config files", () => {
    const text =
      "prefix=/usr\nlibdir=${prefix}/lib\netc=/etc\nLibs: -L/usr/lib/other -lz\nplace=/usr/local/x\n";
    expect(rewrite("/usr/lib/x86_64-linux-gnu/pkgconfig/z.pc", text)).toBe(
      `prefix=${ROOT}/usr\nlibdir=\${prefix}/lib\netc=${ROOT}/etc\nLibs: -L${ROOT}/usr/lib/other -lz\nplace=/usr/local/x\n`,
    );
  });

  it("relocates the prefix of shell scripts and cmake's", () => {
    expect(rewrite("/usr/bin/x-config", "#!/bin/sh\nprefix=/usr\nexec_prefix='/usr'\n")).toBe(
      `#!${ROOT}/usr/bin/sh\nprefix=${ROOT}/usr\nexec_prefix='${ROOT}/usr'\n`,
    );
    expect(rewrite("/usr/lib/cmake/x/x.cmake", 'set(P "/usr")\n')).toBe(`set(P "${ROOT}/usr")\n`);
  });

  it("does not change what it has changed", () => {
    const once = rewrite("/usr/bin/tool", "#!/usr/bin/perl\nrequire '/usr/share/aclocal';\n");
    expect(rewrite("/usr/bin/tool", once)).toBe(once);
  });
});

describe("isRewritable", () => {
  const file = (path: string, isScript = false, isExecutable = isScript) => ({
    path,
    isScript,
    isExecutable,
  });
  it.each([
    file("/usr/bin/automake", true),
    file("/usr/lib/x86_64-linux-gnu/pkgconfig/z.pc"),
    file("/usr/lib/x86_64-linux-gnu/perl-base/Config_heavy.pl"),
    file("/usr/lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py"),
    file("/usr/lib/python3.11/config-3.11-x86_64-linux-gnu/Makefile"),
    file("/etc/fonts/fonts.conf"),
    file("/usr/share/node_modules/x/cli.js", true),
  ])("changes $path", (one) => {
    expect(isRewritable(one)).toBe(true);
  });
  it.each([
    // Linker scripts stay: --sysroot must reach ld. Frozen m4 files are indexed by length.
    file("/usr/lib/x86_64-linux-gnu/libc.so"),
    file("/usr/share/autoconf/autoconf/autoconf.m4f"),
    file("/usr/include/zlib.h"),
    file("/usr/share/doc/x/examples/run", true),
    file("/usr/share/automake-1.16/install-sh", true),
    file("/usr/share/libtool/build-aux/ltmain.sh", true),
    file("/usr/share/aclocal/x.pc"),
    file("/usr/share/perl5/X.pm"),
    file("/var/lib/x.sh", true),
  ])("leaves $path", (one) => {
    expect(isRewritable(one)).toBe(false);
  });
});
