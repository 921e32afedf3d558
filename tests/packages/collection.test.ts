import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  openDebianCollection,
  type DebianCollection,
  type DebianCollectionOptions,
} from "../../packages/index.ts";
import { makeFakeMirror, makeKey, sourceStanza, stanza, type FakeMirror } from "./index/fakeMirror.ts";

const PACKAGES = [
  stanza("bash", { Essential: "yes", Depends: "libc6" }),
  stanza("libc6", { Version: "2.36-9", Provides: "libc" }),
  stanza("gcc", { Version: "4:12.2.0-3", Depends: "gcc-12 (>= 12)", Source: "gcc-defaults (1.203)" }),
  stanza("gcc-12", { Version: "12.2.0-14~x", Depends: "libc6 (>= 2.36)" }),
  stanza("libc6-dev", { Depends: "libc6" }),
  stanza("build-essential", { Depends: "gcc" }),
  stanza("zlib1g-dev", { Version: "1:1.2", Depends: "libc6" }),
  stanza("foreign", { Architecture: "i386" }),
].join("");
const SOURCES = [
  sourceStanza("hello", "2.10-3", ["hello_2.10.orig.tar.gz", "hello_2.10-3.debian.tar.xz"], {
    "Build-Depends": "zlib1g-dev, nothing-like-it <!nocheck>",
  }),
  sourceStanza("gone", "1.0-1", ["gone_1.0.orig.tar.gz"]),
  sourceStanza("gcc-defaults", "1.203", ["gcc-defaults_1.203.tar.xz"]),
].join("");

let mirror: FakeMirror;
let directory: string;
let opened: DebianCollection[];
let warnings: string[];

beforeEach(async () => {
  mirror = await makeFakeMirror();
  directory = mkdtempSync(join(tmpdir(), "devshell-collection-"));
  opened = [];
  warnings = [];
  await mirror.publish({ suite: "bookworm", packages: PACKAGES, sources: SOURCES });
  for (const file of ["h/hello/hello_2.10.orig.tar.gz", "g/gcc-defaults/gcc-defaults_1.203.tar.xz"])
    mirror.write(`pool/main/${file}`, "tarball");
});
afterEach(() => {
  for (const collection of opened) collection.close();
  rmSync(directory, { recursive: true, force: true });
  mirror[Symbol.dispose]();
});

function open(
  options: Partial<DebianCollectionOptions> & { env?: Record<string, string> } = {},
): DebianCollection {
  const collection = openDebianCollection({
    cacheDir: join(directory, "cache"),
    lockPath: join(directory, "devshell.lock"),
    storeDir: "/store",
    onEvent: (event) => {
      if (event.kind === "warning") warnings.push(event.message);
    },
    ...options,
    env: {
      DEVSHELL_APT_DIR: join(directory, "no-apt"),
      DEVSHELL_DEBIAN_MIRROR: mirror.url,
      DEVSHELL_DEBIAN_KEYRING: mirror.keyring,
      ...options.env,
    },
  });
  opened.push(collection);
  return collection;
}

function ask(collection: DebianCollection, question: object): unknown {
  return JSON.parse(
    collection.call(JSON.stringify({ system: "x86_64-linux", suite: "bookworm", ...question })),
  );
}

const names = (answer: unknown): string[] => (answer as { name: string }[]).map(({ name }) => name);
const failing = (code: string): unknown => expect.objectContaining({ code });
const RESOLVE = { op: "resolve", packages: ["gcc"] };

describe("the collection over a made-up archive", () => {
  it("tells names, packages, closures and sources", () => {
    const collection = open();
    expect(ask(collection, { op: "platform" })).toMatchObject({
      architecture: "amd64",
      triplet: "x86_64-linux-gnu",
      defaultSuite: "bookworm",
    });
    expect(ask(collection, { op: "names", kind: "binary", sourceSuite: "bookworm" })).toEqual(
      Object.fromEntries(
        ["bash", "build-essential", "gcc", "gcc-12", "libc6", "libc6-dev", "zlib1g-dev"].map((name) => [
          name,
          null,
        ]),
      ),
    );
    expect(ask(collection, { op: "package", name: "gcc-12" })).toEqual({
      name: "gcc-12",
      version: "12.2.0-14~x",
      storeName: "gcc-12-12.2.0-14_x",
      needsShim: false,
      file: {
        name: "gcc-12_12.2.0-14_x_amd64.deb",
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        urls: [`${mirror.url}/pool/main/g/gcc-12/gcc-12_12.2.0-14~x_amd64.deb`],
      },
    });
    expect(ask(collection, { op: "describe", name: "gcc" })).toMatchObject({
      description: "the package gcc",
      source: "gcc-defaults",
    });
    expect(names(ask(collection, RESOLVE))).toEqual(["gcc", "gcc-12", "libc6"]);
    expect(names(ask(collection, { ...RESOLVE, completesCompilers: true }))).toContain("libc6-dev");
    expect(names(ask(collection, { ...RESOLVE, packages: ["zlib1g-dev"], essential: true }))).toEqual([
      "bash",
      "libc6",
      "zlib1g-dev",
    ]);
  });

  it("gives a source's files and its build environment", () => {
    const collection = open();
    const source = { suite: "bookworm", name: "hello", profiles: ["nocheck"] };
    expect(names(ask(collection, { op: "resolve", packages: [], essential: true, source })).sort()).toEqual(
      ["bash", "build-essential", "gcc", "gcc-12", "libc6", "zlib1g-dev"].sort(),
    );
    expect(() =>
      ask(collection, { op: "resolve", packages: [], source: { ...source, profiles: [] } }),
    ).toThrow('Cannot satisfy "nothing-like-it" for Build-Depends of source "hello"');
    expect(ask(collection, { op: "source", binarySuite: "bookworm", name: "hello" })).toMatchObject({
      name: "hello",
      version: "2.10-3",
      upstreamVersion: "2.10",
      storeName: "hello-2.10",
      files: [{ name: "hello_2.10.orig.tar.gz" }, { name: "hello_2.10-3.debian.tar.xz" }],
    });
    // By the name of a binary package that it makes.
    expect(ask(collection, { op: "source", binarySuite: "bookworm", name: "gcc" })).toMatchObject({
      name: "gcc-defaults",
    });
    const known = ask(collection, { op: "names", kind: "source", sourceSuite: "bookworm" });
    expect(Object.keys(known as object)).toEqual(expect.arrayContaining(["hello", "zlib1g-dev"]));
  });

  it("says when no mirror has the tarball, and what to do", () => {
    expect(() => ask(open(), { op: "source", binarySuite: "bookworm", name: "gone" })).toThrow(
      expect.objectContaining({
        code: "DEBIAN_SOURCE_MISSING",
        message: expect.stringContaining('"pool/main/g/gone/gone_1.0.orig.tar.gz"'),
        hint: expect.stringContaining("--argstr sourceSuite sid"),
      }),
    );
  });

  it("names what it does not know", () => {
    const collection = open();
    expect(() => ask(collection, { op: "package", name: "gccc" })).toThrow(failing("DEBIAN_PACKAGE_UNKNOWN"));
    expect(() => ask(collection, { op: "source", binarySuite: "bookworm", name: "x" })).toThrow(
      failing("DEBIAN_SOURCE_UNKNOWN"),
    );
    expect(() => ask(collection, { ...RESOLVE, suite: "nosuch" })).toThrow(failing("DEBIAN_SUITE_UNKNOWN"));
    expect(() => ask(collection, { ...RESOLVE, suite: "../x" })).toThrow(failing("DEBIAN_SUITE_INVALID"));
    expect(() => ask(collection, { op: "platform", system: "vax-vms" })).toThrow(
      failing("DEBIAN_SYSTEM_UNSUPPORTED"),
    );
  });

  it("merges updates and security fixes where the machine has them", async () => {
    await mirror.publish({
      suite: "bookworm-security",
      packages: stanza("gcc-12", { Version: "12.2.0-15", Depends: "libc6" }),
    });
    // The security archive has a place of its own.
    const security = `${mirror.directory}-security`;
    cpSync(mirror.directory, security, { recursive: true });
    const collection = open({ env: { DEVSHELL_DEBIAN_MIRROR: `${mirror.url} file://${security}` } });
    const answer = ask(collection, { op: "package", name: "gcc-12" }) as {
      version: string;
      file: { urls: string[] };
    };
    expect(answer.version).toBe("12.2.0-15");
    expect(answer.file.urls[0]).toContain("debian-security/pool/");
    // What an update left unchanged, and after a point release the update itself, lies in the main archive.
    expect(answer.file.urls[1]).toContain(`${mirror.url}/pool/main/`);
  });
});

describe("the lock", () => {
  const lockPath = (): string => join(directory, "devshell.lock");

  it("answers without index and mirror, and is written only when something is new", () => {
    const first = open();
    const answers = [
      ask(first, { op: "platform" }),
      ask(first, RESOLVE),
      ask(first, { op: "package", name: "libc6" }),
      ask(first, { op: "source", binarySuite: "bookworm", name: "hello" }),
    ];
    first.flushLock();
    const written = readFileSync(lockPath(), "utf8");
    expect(JSON.parse(written)).toMatchObject({ version: 1, debian: { suite: "bookworm" } });

    rmSync(join(mirror.directory, "dists"), { recursive: true });
    rmSync(join(directory, "cache"), { recursive: true });
    writeFileSync(lockPath(), written.replace(/\n$/, "\n\n"));
    const second = open();
    expect([
      ask(second, { op: "platform" }),
      ask(second, RESOLVE),
      ask(second, { op: "package", name: "libc6" }),
      ask(second, { op: "source", binarySuite: "bookworm", name: "hello" }),
    ]).toEqual(answers);
    const known = ask(second, { op: "names", kind: "binary", sourceSuite: "bookworm" }) as object;
    expect(Object.keys(known)).toEqual(expect.arrayContaining(["gcc", "gcc-12", "libc6"]));
    expect(warnings).toEqual([expect.stringContaining("only the packages of devshell.lock are known")]);
    second.flushLock();
    expect(readFileSync(lockPath(), "utf8")).toBe(`${written}\n`);
    expect(second.inputs()).toContain(lockPath());
  });

  it("keeps old versions until an update", async () => {
    const first = open();
    ask(first, RESOLVE);
    first.flushLock();
    await mirror.publish({
      suite: "bookworm",
      packages: PACKAGES.replaceAll("12.2.0-14~x", "12.3.0-1"),
      release: { Date: new Date().toUTCString() },
    });
    const version = (collection: DebianCollection): string =>
      (ask(collection, RESOLVE) as { version: string }[])[1]?.version ?? "";
    expect(version(open())).toBe("12.2.0-14~x");
    const updated = open({ isUpdate: true });
    expect(version(updated)).toBe("12.3.0-1");
    updated.flushLock();
    expect(version(open())).toBe("12.3.0-1");
    expect(readFileSync(lockPath(), "utf8")).not.toContain("12.2.0-14~x");
  });

  it("is the same whatever the order of questions", () => {
    const questions = [RESOLVE, { op: "package", name: "zlib1g-dev" }, { op: "platform" }];
    const texts = [questions, questions.toReversed()].map((order, n) => {
      const path = join(directory, `${n}.lock`);
      const collection = open({ lockPath: path });
      for (const question of order) ask(collection, question);
      collection.flushLock();
      return readFileSync(path, "utf8");
    });
    expect(texts[0]).toBe(texts[1]);
  });

  it("leaves other parts of the file alone, and no temporary file", () => {
    writeFileSync(lockPath(), JSON.stringify({ version: 1, flakes: { a: 1 } }));
    const collection = open();
    ask(collection, RESOLVE);
    collection.flushLock();
    expect(JSON.parse(readFileSync(lockPath(), "utf8"))).toMatchObject({ flakes: { a: 1 } });
    expect(readdirSync(directory).sort()).toEqual(["cache", "devshell.lock"]);
  });

  it.each([
    ["no JSON", "{"],
    ["a newer version", '{"version":2}'],
    ["a list", "[]"],
    [
      "a file outside the archive",
      JSON.stringify({
        version: 1,
        debian: {
          suites: {
            "bookworm/amd64": {
              archives: [],
              packages: { "a=1": { filename: "../../etc/passwd", size: 1, sha256: "0".repeat(64) } },
            },
          },
        },
      }),
    ],
    [
      "no digest",
      JSON.stringify({
        version: 1,
        debian: {
          suites: { x: { archives: [], packages: { "a=1": { filename: "pool/a", size: 1, sha256: "x" } } } },
        },
      }),
    ],
  ])("is refused with %s", (_, text) => {
    writeFileSync(lockPath(), text);
    expect(() => ask(open(), RESOLVE)).toThrow(failing("LOCK_INVALID"));
    expect(readFileSync(lockPath(), "utf8")).toBe(text);
  });

  it("says where it cannot be written", () => {
    const collection = open({ lockPath: join(directory, "no-such-directory/devshell.lock") });
    ask(collection, { op: "platform" });
    expect(() => collection.flushLock()).toThrow(failing("LOCK_WRITE"));
  });
});

describe("mirrors that fail or lie", () => {
  const nothingCached = (): void => expect(existsSync(join(directory, "cache/indexes"))).toBe(false);

  it("tries several in turn, and says what was wrong with each", async () => {
    using other = await makeFakeMirror();
    const good = open({ env: { DEVSHELL_DEBIAN_MIRROR: `http://127.0.0.1:1/debian ${mirror.url}` } });
    expect(names(ask(good, RESOLVE))).toContain("gcc");
    const cacheDir = join(directory, "cache2");
    const bad = open({ cacheDir, env: { DEVSHELL_DEBIAN_MIRROR: `http://127.0.0.1:1/debian ${other.url}` } });
    expect(() => ask(bad, { ...RESOLVE, suite: "trixie" })).toThrow(
      expect.objectContaining({
        code: "DEBIAN_FETCH_FAILED",
        message: expect.stringMatching(/127\.0\.0\.1:1.*ECONNREFUSED.*trixie\/InRelease.*no such file/),
        hint: expect.stringContaining("DEVSHELL_DEBIAN_MIRROR"),
      }),
    );
  });

  it("refuses a foreign signature", async () => {
    await mirror.publish({ suite: "bookworm", packages: PACKAGES, signedBy: await makeKey("Stranger") });
    expect(() => ask(open(), RESOLVE)).toThrow(failing("DEBIAN_SIGNATURE_INVALID"));
    nothingCached();
  });

  it("refuses an altered InRelease", () => {
    const path = "dists/bookworm/InRelease";
    mirror.write(
      path,
      readFileSync(join(mirror.directory, path), "utf8").replace("Suite: bookworm", "Suite: sid"),
    );
    expect(() => ask(open(), RESOLVE)).toThrow(failing("DEBIAN_SIGNATURE_INVALID"));
    nothingCached();
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ["altered", (bytes) => Buffer.from(bytes.map((byte, n) => (n === 40 ? byte ^ 1 : byte)))],
    ["cut short", (bytes) => bytes.subarray(0, bytes.length - 20)],
    ["longer", (bytes) => Buffer.concat([bytes, Buffer.from("more")])],
    ["empty", () => Buffer.alloc(0)],
  ])("refuses an index that is %s", (_, change) => {
    const path = "dists/bookworm/main/binary-amd64/Packages.gz";
    mirror.write(path, change(readFileSync(join(mirror.directory, path))));
    expect(() => ask(open(), RESOLVE)).toThrow(failing("DEBIAN_INDEX_MISMATCH"));
    nothingCached();
  });

  it("refuses another suite's index", async () => {
    await mirror.publish({ suite: "trixie", packages: "" });
    mirror.write("dists/bookworm/InRelease", readFileSync(join(mirror.directory, "dists/trixie/InRelease")));
    expect(() => ask(open(), RESOLVE)).toThrow(failing("DEBIAN_RELEASE_INVALID"));
  });

  it("refuses an expired index for programs, not for sources, and never silently", async () => {
    const release = { "Valid-Until": "Mon, 01 Jan 2024 00:00:00 UTC" };
    await mirror.publish({ suite: "bookworm", packages: PACKAGES, sources: SOURCES, release });
    const collection = open();
    expect(ask(collection, { op: "source", binarySuite: "bookworm", name: "hello" })).toMatchObject({
      name: "hello",
    });
    expect(warnings).toEqual([expect.stringMatching(/expired \d+ days ago/)]);
    expect(() => ask(collection, RESOLVE)).toThrow(failing("DEBIAN_RELEASE_EXPIRED"));
    const ignoring = open({ env: { DEVSHELL_DEBIAN_VALID_UNTIL: "ignore" } });
    expect(names(ask(ignoring, RESOLVE))).toContain("gcc");
  });

  it("refuses an update to an older index", async () => {
    ask(open(), RESOLVE);
    await mirror.publish({
      suite: "bookworm",
      packages: PACKAGES,
      release: { Date: "Mon, 01 Jan 2024 00:00:00 UTC" },
    });
    expect(() => ask(open({ isUpdate: true }), RESOLVE)).toThrow(failing("DEBIAN_RELEASE_OLDER"));
  });

  it.each([
    ["a path out of the archive", stanza("gcc", { Filename: "pool/../../../etc/passwd" })],
    ["an absolute path", stanza("gcc", { Filename: "/etc/passwd" })],
    ["no digest", stanza("gcc", { SHA256: "none" })],
    ["no size", stanza("gcc", { Size: "-5" })],
    ["a version that is none", stanza("gcc", { Version: "1 2" })],
  ])("refuses a package with %s", async (_, packages) => {
    await mirror.publish({ suite: "bookworm", packages });
    expect(() => ask(open(), RESOLVE)).toThrow(failing("DEBIAN_INDEX_INVALID"));
  });

  it("leaves out packages whose names are none", async () => {
    await mirror.publish({
      suite: "bookworm",
      packages: stanza('x":null,"y') + stanza("../z") + stanza("gcc"),
    });
    expect(ask(open(), { op: "names", kind: "binary", sourceSuite: "bookworm" })).toEqual({ gcc: null });
  });

  it("uses last week's index while no mirror answers", () => {
    const lockPath = join(directory, "none.lock");
    ask(open({ lockPath }), RESOLVE);
    const state = join(directory, "cache/suites/bookworm-amd64.json");
    writeFileSync(state, readFileSync(state, "utf8").replace(/"fetchedSeconds":\d+/, '"fetchedSeconds":1'));
    rmSync(join(mirror.directory, "dists"), { recursive: true });
    expect(names(ask(open({ lockPath }), RESOLVE))).toContain("gcc");
    expect(warnings).toEqual([expect.stringContaining("the index of last time is used")]);
  });
});
