// DEBIAN's acceptance points that need real packages (about 700 MB of downloads on the first run). They run where
// DEVSHELL_TEST_FULL=1; DEVSHELL_TEST_HOME names a directory whose store is kept between runs.
import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../../core/index.ts";
import { findMirrors } from "../../../packages/debian/index/mirrors.ts";

const isWanted = process.env["DEVSHELL_TEST_FULL"] === "1";
const HOUR_MS = 3_600_000;
const TRIPLET = "x86_64-linux-gnu";

const TRIXIE = `let debian = import <debian> { suite = "trixie"; sourceSuite = "sid"; }; in debian.mkShell {
  name = "acceptance"; essential = true; inputsFrom = [ (debian.source "pan") ];
  packages = with debian; [ git nodejs libxml-parser-perl python3-numpy python3-venv python3-dev strace file xz-utils
    libssl-dev zlib1g-dev procps ];
}`;
const OVERLAP = `let debian = import <debian> { suite = "trixie"; }; in debian.mkShell {
  name = "overlap"; packages = with debian; [ gcc debian."g++" make cmake pkg-config zlib1g-dev python3 libgtk-3-dev ];
}`;
const BOOKWORM = `let debian = import <debian> { suite = "bookworm"; }; in debian.mkShell {
  name = "older"; packages = with debian; [ gcc debian."g++" python3 make ];
}`;
const BARE = `let debian = import <debian> { suite = "trixie"; }; in debian.mkShell {
  name = "bare"; packages = with debian; [ gcc debian."g++" make cmake pkg-config zlib1g-dev ];
}`;
const DISPLAY = `let debian = import <debian> { suite = "trixie"; }; in debian.mkShell {
  name = "display"; packages = with debian; [ xvfb x11-utils ];
}`;
/** What may run from outside the store: make and system() use the machine's shell, configure scripts ask the machine. */
const MACHINE_PROGRAMS = /^(?:\/usr)?\/bin\/(?:sh|uname|arch|pwd|env)$/;

interface Environment {
  /** `$stdenv`. */
  readonly root: string;
  readonly source: string;
}

describe.skipIf(!isWanted)("an environment of <debian> (skipped unless DEVSHELL_TEST_FULL=1)", () => {
  let home: string;
  let work: string;
  let trixie: Environment;
  let storeDir: string;

  beforeAll(() => {
    home = process.env["DEVSHELL_TEST_HOME"] ?? mkdtempSync(join(tmpdir(), "devshell-acceptance-"));
    work = mkdtempSync(join(tmpdir(), "devshell-work-"));
    trixie = enter(TRIXIE);
    storeDir = trixie.root.slice(0, trixie.root.lastIndexOf("/"));
  }, HOUR_MS);
  afterAll(() => {
    rmSync(work, { recursive: true, force: true });
    if (process.env["DEVSHELL_TEST_HOME"] === undefined)
      spawnSync("sh", ["-c", 'chmod -R u+w "$0"; rm -rf "$0"', home]);
  });

  function devshell(...args: string[]): string {
    return execFileSync("sh", [join(packageRoot, "cli/devshell"), ...args], {
      cwd: work,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { HOME: home, PATH: "/usr/bin:/bin" },
      maxBuffer: 1 << 28,
    });
  }
  function enter(expression: string): Environment {
    const [root = "", source = ""] = devshell(
      "-E",
      expression,
      "--run",
      'echo "$stdenv"; echo "${src-}"',
    ).split("\n");
    expect(root).toMatch(/^\/.*-env$/);
    return { root, source };
  }
  /** Runs a script under `env -i` with the environment's setup. */
  function inside(script: string, root = trixie.root): { status: number | null; output: string } {
    const result = spawnSync(`${root}/usr/bin/bash`, ["-c", `. ${root}/setup; cd ${work}; ${script}`], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { HOME: work, PATH: `${root}/usr/bin`, NIX_BUILD_CORES: "2" },
      maxBuffer: 1 << 28,
    });
    return { status: result.status, output: result.stdout + result.stderr };
  }
  const foreignPaths = (text: string, root: string): string[] =>
    text
      .split(/[\s=:"']+/)
      .filter((word) => word.startsWith("/") && !word.startsWith(root) && !word.startsWith("/tmp/"));
  /** Programs of an `strace -e trace=execve` that started from neither the store nor the test's own directory. */
  const foreignPrograms = (trace: string): string[] => [
    ...new Set(
      [
        ...readFileSync(join(work, trace), "latin1").matchAll(
          /execve\("(\/[^"]*)".*(?:= 0|<unfinished \.\.\.>)$/gm,
        ),
      ]
        .map((match) => match[1] ?? "")
        .filter((path) => !path.startsWith(`${storeDir}/`) && !path.startsWith(`${work}/`))
        .filter((path) => !MACHINE_PROGRAMS.test(path)),
    ),
  ];

  it(
    "1: an altered .deb is refused, the store unchanged",
    async () => {
      const ownHome = mkdtempSync(join(tmpdir(), "devshell-altered-"));
      const mirror = await serveMirror(/\/tree_[^/]*\.deb$/);
      const run = async (...args: string[]): Promise<{ status: number; output: string }> =>
        await new Promise((resolve) => {
          const env = { HOME: ownHome, PATH: "/usr/bin:/bin", DEVSHELL_DEBIAN_MIRROR: mirror.urls };
          const options = { cwd: work, env, encoding: "utf8" } as const;
          const child = execFile(
            "sh",
            [join(packageRoot, "cli/devshell"), ...args],
            options,
            (_, stdout, stderr) => {
              resolve({ status: child.exitCode ?? -1, output: stdout + stderr });
            },
          );
        });
      try {
        expect(await run("-p", "hostname", "--run", "true")).toMatchObject({ status: 0 });
        const store = join(ownHome, ".local/share/devshell/store");
        const outputs = (): string[] =>
          readdirSync(store)
            .filter((name) => !/\.(?:drv|lock)$/.test(name))
            .sort();
        const before = outputs();
        expect(before.length).toBeGreaterThan(20);
        const refused = await run("-p", "tree", "--run", "true");
        expect(refused.status).not.toBe(0);
        expect(refused.output).toMatch(/error: hash mismatch[^]*tree_[^]*does not serve the file whose hash/);
        expect(outputs()).toEqual(before);
        const verified = await run("store", "verify", "--check-contents");
        expect(verified).toMatchObject({ status: 0 });
        expect(verified.output).toMatch(/ 0 problems/);
        mirror.isHonest = true;
        expect((await run("-p", "tree", "--run", "tree --version")).output).toMatch(/^tree v\d/m);
      } finally {
        mirror.close();
        spawnSync("sh", ["-c", 'chmod -R u+w "$0"; rm -rf "$0"', ownHome]);
      }
    },
    HOUR_MS,
  );

  it("3: holds no setuid or setgid file", () => {
    expect(spawnSync("find", [storeDir, "-perm", "/6000"], { encoding: "utf8" }).stdout).toBe("");
  });

  it(
    "4: every ELF file finds its libraries in the store",
    () => {
      const loader = /program interpreter: ([^\]]*)/.exec(
        execFileSync("readelf", ["-lW", `${trixie.root}/usr/bin/bash`], { encoding: "utf8" }),
      )?.[1];
      const script = `cd ${trixie.root}; find usr -type f \\( -name '*.so*' -o -perm -0100 \\) ! -path 'usr/lib/debug/*' |
      while read -r f; do IFS= read -r -n 4 m <"$f" 2>/dev/null; [ "$m" = $'\\x7fELF' ] || continue
      readelf -d "$f" 2>/dev/null | grep -q NEEDED || continue
      env -i ${loader} --list "$f" 2>&1 | sed "s|^|$f: |"; done`;
      const lines = inside(script).output.split("\n");
      expect(lines.length).toBeGreaterThan(3000);
      expect(lines.filter((line) => /not found|cannot open/.test(line))).toEqual([]);
      const outside = lines.filter((line) => {
        const to = /=> (\S+) \(/.exec(line)?.[1];
        // The loader is itself by another name: --list does not follow it.
        return to !== undefined && !to.startsWith(storeDir) && !/\/ld-linux[^/]*$/.test(to);
      });
      expect(outside).toEqual([]);
    },
    HOUR_MS,
  );

  it("5, 6, 7: the compiler sees the environment only", () => {
    writeFileSync(
      join(work, "a.c"),
      "#include <zlib.h>\n#include <stdio.h>\nint main(){puts(zlibVersion());return 0;}\n",
    );
    writeFileSync(join(work, "b.cc"), "#include <iostream>\n#include <cstdlib>\nint main(){std::cout<<1;}\n");
    const linked = inside("gcc a.c -lz -Wl,-t -o a && ./a >/dev/null");
    expect(linked.status).toBe(0);
    expect(foreignPaths(linked.output, trixie.root)).toEqual([]);
    expect(linked.output).toContain("libz.so");
    expect(inside("strace -f -o trace -e trace=openat,open g++ b.cc -o b && ./b").output).toBe("1");
    const opened = [
      ...readFileSync(join(work, "trace"), "latin1").matchAll(/"(\/[^"]*\.(?:h|hh|o|a|so[.\d]*))".*= \d/g),
    ];
    expect(opened.length).toBeGreaterThan(10);
    expect(
      opened
        .map((match) => match[1] ?? "")
        .filter((path) => !path.startsWith(storeDir) && !path.startsWith("/tmp/")),
    ).toEqual([]);
    const places = inside("gcc -print-search-dirs").output;
    expect(foreignPaths(places, trixie.root)).toEqual([]);
  });

  it("8: pkg-config names the environment only", () => {
    const one = inside("pkg-config --cflags --libs zlib openssl").output;
    expect(one).toContain("-lz");
    const all = inside(
      'export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1; pkg-config --list-all | cut -d" " -f1 | while read -r p; do pkg-config --cflags --libs "$p" 2>/dev/null; done',
    ).output;
    expect(all.length).toBeGreaterThan(5000);
    const places = all.split(/\s+/).filter((word) => /^(?:-[IL])?\//.test(word));
    expect(places.filter((word) => !word.replace(/^-[IL]/, "").startsWith(trixie.root))).toEqual([]);
  });

  it("9: cmake does not find the machine's libraries", () => {
    mkdirSync(join(work, "find"), { recursive: true });
    writeFileSync(
      join(work, "find/CMakeLists.txt"),
      'cmake_minimum_required(VERSION 3.20)\nproject(x C)\nfind_package(ZLIB)\nfind_package(LibLZMA)\nfind_library(HOST NAMES crypt_of_the_host)\nmessage(STATUS "PATHS ${CMAKE_SYSTEM_PREFIX_PATH} ${ZLIB_LIBRARIES} ${LIBLZMA_LIBRARIES}")\n',
    );
    const { output } = inside("cd find; cmake -B b .");
    const line = output.split("\n").find((text) => text.includes("PATHS")) ?? "";
    expect(line).toContain(`${trixie.root}/usr/lib/${TRIPLET}/libz.so`);
    // /usr/local is where cmake would install to, and the user's own.
    const foreign = foreignPaths(line.replaceAll(";", " "), trixie.root);
    expect(foreign.filter((path) => path !== "/usr/local")).toEqual([]);
  });

  it(
    "9: cmake does not find a library that only the machine has",
    () => {
      const bare = enter(BARE).root;
      expect(existsSync(`${bare}/usr/include/png.h`)).toBe(false);
      mkdirSync(join(work, "png"), { recursive: true });
      writeFileSync(
        join(work, "png/CMakeLists.txt"),
        'cmake_minimum_required(VERSION 3.20)\nproject(x C)\nfind_package(PNG)\nfind_package(ZLIB REQUIRED)\nmessage(STATUS "FOUND png=${PNG_FOUND} zlib=${ZLIB_LIBRARIES}")\n',
      );
      const { output } = inside(
        "cd png; cmake -B b . 2>&1; pkg-config --exists libpng || echo no libpng",
        bare,
      );
      expect(output).toMatch(/Could NOT find PNG/);
      expect(output).toContain(`FOUND png=FALSE zlib=${bare}/usr/lib/${TRIPLET}/libz.so`);
      expect(output).toContain("no libpng");
    },
    HOUR_MS,
  );

  it("10: python keeps its prefix, builds extensions and makes venvs", () => {
    expect(inside('python3 -c "import numpy,ssl,sys; print(sys.prefix)"').output.trim()).toBe(
      `${trixie.root}/usr`,
    );
    writeFileSync(
      join(work, "ext.c"),
      '#include <Python.h>\nstatic struct PyModuleDef m={PyModuleDef_HEAD_INIT,"ext",0,-1,0};PyMODINIT_FUNC PyInit_ext(void){return PyModule_Create(&m);}\n',
    );
    expect(
      inside(
        'gcc -shared -fPIC $(python3-config --includes) ext.c -o ext.so && python3 -c "import ext; print(ext.__name__)"',
      ).output.trim(),
    ).toBe("ext");
    expect(
      inside('python3 -m venv venv && venv/bin/python -c "import sys; print(sys.prefix)"').output.trim(),
    ).toBe(`${work}/venv`);
  });

  it("11: perl with XS, node and git run; the machine's perl still does", () => {
    expect(inside("perl -MPOSIX -MXML::Parser -e1 && node -p 1 && git --version >/dev/null")).toEqual({
      status: 0,
      output: "1\n",
    });
    const clone = inside(
      "git init -q one; git -C one -c user.name=a -c user.email=b commit -q --allow-empty -m x; strace -f -o gittrace git clone -q one two",
    );
    expect(clone).toEqual({ status: 0, output: "" });
    const host = readFileSync(join(work, "gittrace"), "latin1")
      .split("\n")
      .filter((line) => line.includes('"/usr/lib/git-core') && line.endsWith("= 0"));
    expect(host).toEqual([]);
    if (existsSync("/usr/bin/perl")) expect(inside("/usr/bin/perl -MPOSIX -e1").status).toBe(0);
  });

  it(
    "12: Pan builds and runs on the store's libraries alone",
    () => {
      const source = devshell(
        "<debian>",
        "-A",
        "pan",
        "--argstr",
        "suite",
        "trixie",
        "--argstr",
        "sourceSuite",
        "sid",
        "--run",
        'echo "$src"',
      ).trim();
      const built = inside(
        `export src=${source} out=${work}/out; mkdir -p pan; cd pan
        strace -f --seccomp-bpf -qq -o ../built -e trace=execve bash -c '. ${trixie.root}/setup; genericBuild' > ../pan.log 2>&1`,
      );
      expect(built.status, readFileSync(join(work, "pan.log"), "latin1").slice(-2000)).toBe(0);
      expect(foreignPrograms("built")).toEqual([]);
      const version = spawnSync(`${work}/out/bin/pan`, ["--version"], { env: {}, encoding: "utf8" });
      expect(version.stdout + version.stderr).toMatch(/^Pan \d/);
      const libraries = inside(`strace -f -e trace=openat -o maps ${work}/out/bin/pan --version`);
      expect(libraries.status).toBe(0);
      const opened = [
        ...readFileSync(join(work, "maps"), "latin1").matchAll(/"(\/[^"]*\.so[.\d]*)".*= \d/g),
      ].map((match) => match[1] ?? "");
      expect(opened.length).toBeGreaterThan(50);
      expect(opened.filter((path) => !path.startsWith(storeDir))).toEqual([]);
    },
    HOUR_MS,
  );

  it(
    "12: Pan's window maps the store's libraries alone",
    async () => {
      const display = enter(DISPLAY).root;
      const server = spawn(
        `${display}/usr/bin/Xvfb`,
        ["-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        { env: { HOME: work, PATH: `${display}/usr/bin` }, stdio: ["ignore", "ignore", "inherit", "pipe"] },
      );
      let pan: ChildProcess | undefined;
      try {
        const [number] = (await once(server.stdio[3] as NodeJS.ReadableStream, "data")) as [Buffer];
        const env = { HOME: work, PATH: `${trixie.root}/usr/bin`, DISPLAY: `:${number.toString().trim()}` };
        const script = `. ${trixie.root}/setup; exec strace -f --seccomp-bpf -qq -o ${work}/shown -e trace=execve ${work}/out/bin/pan 2> pan.err`;
        pan = spawn(`${trixie.root}/usr/bin/bash`, ["-c", script], { cwd: work, env, stdio: "ignore" });
        let windows = "";
        for (let tries = 0; tries < 300 && !/"pan"/i.test(windows); tries++) {
          await delay(100);
          windows = spawnSync(`${display}/usr/bin/xwininfo`, ["-root", "-tree"], {
            env,
            encoding: "utf8",
          }).stdout;
        }
        expect(windows).toMatch(/"pan"/i);
        const pid = /^\d+/.exec(readFileSync(join(work, "shown"), "latin1"))?.[0] ?? "";
        // The first window is there before the modules that draw the rest: until nothing more came for a second.
        const mapped = new Set<string>();
        for (let still = 0; still < 10; await delay(100)) {
          const before = mapped.size;
          for (const match of readFileSync(`/proc/${pid}/maps`, "latin1").matchAll(/ (\/\S+)$/gm))
            mapped.add(match[1] ?? "");
          still = mapped.size === before ? still + 1 : 0;
        }
        const libraries = [...mapped].filter((path) => /\.so(?:\.|$)/.test(path));
        expect(libraries.length).toBeGreaterThan(80);
        expect(libraries.filter((path) => !path.startsWith(`${storeDir}/`))).toEqual([]);
        expect(foreignPrograms("shown")).toEqual([]);
        // Its icons are drawn through the store's own image loaders.
        expect(readFileSync(join(work, "pan.err"), "latin1")).not.toMatch(/Unable to load|CRITICAL/);
      } finally {
        pan?.kill();
        server.kill();
      }
    },
    HOUR_MS,
  );

  it("13: strip keeps run path and interpreter", () => {
    const copies = `cp -L ${trixie.root}/usr/lib/${TRIPLET}/libz.so.1 z.so; cp ${trixie.root}/usr/bin/make make; chmod u+w z.so make`;
    const { output } = inside(`${copies}; strip z.so make; readelf -dlW z.so make`);
    expect(output.match(/Library runpath: \[\$ORIGIN/g)).toHaveLength(2);
    expect(output).toMatch(new RegExp(`program interpreter: ${storeDir}/[^\\]]*-libc6-`));
  });

  it(
    "14: a second environment shares its files",
    () => {
      const second = enter(OVERLAP).root;
      // du counts a file with several names once, under the first: the last line is what the second adds to the rest.
      const script = `cd ${storeDir}; du -sk $(ls | grep -v -F ${basename(second)}) ${second} | tail -1`;
      const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
      expect(stdout).toContain(second);
      expect(Number(stdout.split("\t")[0])).toBeLessThan(60_000);
      const place = `/usr/lib/${TRIPLET}/libc.so.6`;
      expect(statSync(second + place).ino).toBe(statSync(trixie.root + place).ino);
    },
    HOUR_MS,
  );

  it(
    "15: two suites side by side",
    () => {
      const older = enter(BOOKWORM).root;
      const path = `PATH=${older}/usr/bin:${trixie.root}/usr/bin`;
      const script = `${path}; python3.11 -c 'print(311)'; python3.13 -c 'print(313)'; for v in 12 14; do ${TRIPLET}-gcc-$v a.c -fsyntax-only -I. && echo $v; done`;
      writeFileSync(join(work, "a.c"), "#include <stdio.h>\nint main(){return 0;}\n");
      expect(inside(script).output).toBe("311\n313\n12\n14\n");
      if (existsSync("/usr/bin/gcc")) {
        writeFileSync(join(work, "gtk.c"), "#include <gtk/gtk.h>\nint main(){return 0;}\n");
        expect(inside("/usr/bin/gcc -fsyntax-only gtk.c $(pkg-config --cflags gtk+-3.0)")).toEqual({
          status: 0,
          output: "",
        });
      }
    },
    HOUR_MS,
  );
});

interface TestMirror {
  /** For `DEVSHELL_DEBIAN_MIRROR`. */
  readonly urls: string;
  isHonest: boolean;
  close(): void;
}

/** A mirror on loopback that passes on what the machine's own serves, with one bit wrong in what `altered` matches. */
async function serveMirror(altered: RegExp): Promise<TestMirror> {
  const { main, security } = findMirrors({ env: process.env });
  const upstream = new Map([
    ["debian", main[0]],
    ["debian-security", security[0]],
  ]);
  const server = createServer((request, response) => {
    const [, archive = "", path = ""] = /^\/([^/]*)(\/.*)$/.exec(request.url ?? "") ?? [];
    void (async () => {
      const answer = await fetch(`${upstream.get(archive) ?? ""}${path}`).catch(() => undefined);
      const body = Buffer.from((await answer?.arrayBuffer()) ?? new ArrayBuffer(0));
      if (!mirror.isHonest && altered.test(path))
        body.writeUInt8(body.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
      response.writeHead(answer?.status ?? 502, { "content-length": body.length }).end(body);
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mirror: TestMirror = {
    urls: `${base}/debian${security.length > 0 ? ` ${base}/debian-security` : ""}`,
    isHonest: false,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return mirror;
}
