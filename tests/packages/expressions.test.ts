import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InstantiateRequest, InstantiatedDerivation } from "../../lang/index.ts";
import { openDebianCollection, type DebianCollection } from "../../packages/index.ts";
import { evaluate } from "../lang/support/evaluate.ts";
import { TestHost } from "../lang/support/testHost.ts";
import { makeFakeMirror, sourceStanza, stanza, type FakeMirror } from "./index/fakeMirror.ts";

const SHELL_COMMANDS =
  "bzip2 coreutils dash debianutils diffutils findutils grep gzip hostname libc-bin mawk ncurses-base ncurses-bin patch sed tar xz-utils";
const PACKAGES = [
  ...SHELL_COMMANDS.split(" ").map((name) => stanza(name)),
  stanza("bash", { Essential: "yes", Depends: "libc6" }),
  stanza("perl-base", { Essential: "yes" }),
  stanza("libc6", { Version: "2.36-9" }),
  stanza("libc6-dev", { Depends: "libc6" }),
  stanza("gcc", { Version: "4:12.2.0-3", Depends: "libc6" }),
  stanza("build-essential", { Depends: "gcc, make, libc6-dev" }),
  stanza("make"),
  stanza("python3"),
  stanza("openssl"),
  stanza("libssl-dev"),
  stanza("zlib1g-dev", { Version: "1:1.2.13", Depends: "libc6" }),
].join("");
const SOURCES = sourceStanza(
  "hello",
  "2.10-3",
  [
    "hello_2.10-3.dsc",
    "hello_2.10.orig-extra.tar.xz",
    "hello_2.10.orig.tar.gz",
    "hello_2.10.orig.tar.gz.asc",
    "hello_2.10-3.debian.tar.xz",
  ],
  { "Build-Depends": "zlib1g-dev, python3 <!nodoc>", "Build-Depends-Indep": "openssl" },
);

/** Gives the collection's files their extra global, and remembers what was instantiated. */
class CollectionHost extends TestHost {
  readonly requests = new Map<string, InstantiateRequest>();
  readonly #collection: DebianCollection;

  constructor(collection: DebianCollection) {
    super();
    this.#collection = collection;
  }

  extraGlobals(file: string): ReadonlyMap<string, (argument: string) => string> | undefined {
    const { nixDir } = this.#collection;
    if (!file.startsWith(`${nixDir}/`)) return undefined;
    return new Map([["__debian", (argument) => this.#collection.call(argument)]]);
  }

  override instantiate(request: InstantiateRequest): InstantiatedDerivation {
    this.requests.set(request.name, request);
    return super.instantiate(request);
  }
}

let mirror: FakeMirror;
let directory: string;
let collection: DebianCollection;

beforeAll(async () => {
  mirror = await makeFakeMirror();
  directory = mkdtempSync(join(tmpdir(), "devshell-expressions-"));
  for (const suite of ["bookworm", "trixie"])
    await mirror.publish({ suite, packages: PACKAGES, sources: SOURCES });
  mirror.write("pool/main/h/hello/hello_2.10.orig.tar.gz", "tarball");
  collection = openDebianCollection({
    cacheDir: join(directory, "cache"),
    storeDir: "/nix/store",
    env: {
      DEVSHELL_APT_DIR: join(directory, "no-apt"),
      DEVSHELL_DEBIAN_MIRROR: mirror.url,
      DEVSHELL_DEBIAN_KEYRING: mirror.keyring,
    },
  });
});
afterAll(() => {
  collection.close();
  rmSync(directory, { recursive: true });
  mirror[Symbol.dispose]();
});

/** The printed value of an expression over `debian`, and the derivations it made. */
function run(text: string, imports = "{ }"): { value: unknown; made: CollectionHost["requests"] } {
  const host = new CollectionHost(collection);
  const code = `builtins.toJSON (let debian = import ${collection.nixDir} ${imports}; in ${text})`;
  const value: unknown = JSON.parse(JSON.parse(evaluate(code, {}, host)) as string);
  return { value, made: host.requests };
}
const wordsOf = (request: InstantiateRequest | undefined, name: string): string[] =>
  (request?.env.get(name) ?? "").split(" ").filter((word) => word !== "");
const nameOf = (storePath: string): string => storePath.replace(/^.*\/[a-z0-9]{32}-/, "");

describe("<debian>", () => {
  it("refuses what is no package, and says where it stands", () => {
    const file = join(directory, "shell.nix");
    const shellOf = (packages: string) => (): unknown => {
      writeFileSync(file, `debian: debian.mkShell {\n  packages = ${packages};\n}`);
      return run(`(import ${file} debian).drvPath`);
    };
    expect(shellOf('[ "gcc" ]')).toThrow(
      `"gcc" is a string where a package is expected (packages at ${file}:2:3): name the collection's attribute gcc, without quotes`,
    );
    expect(shellOf("[ 12 ]")).toThrow(
      `a value of type int is where a package is expected (packages at ${file}:2:3)`,
    );
    expect(shellOf('[ "/a/tree" ./. null ]')).not.toThrow();
  });

  it("has Debian's packages under Debian's names", () => {
    const { value, made } = run(
      "[ debian.gcc.name debian.gcc.version debian.gcc.meta.description debian.gcc.outPath ]",
    );
    expect(value).toEqual([
      "gcc-12.2.0-3",
      "4:12.2.0-3",
      "the package gcc",
      expect.stringMatching(/-gcc-12\.2\.0-3$/),
    ]);
    expect(made.get("gcc-12.2.0-3")).toMatchObject({
      builder: "builtin:debian-unpack",
      system: "x86_64-linux",
    });
    expect(made.get("gcc-12.2.0-3")?.env.get("loader")).toMatch(
      /^\/nix\/store\/[a-z0-9]{32}-libc6-2\.36-9\/usr\/lib\/x86_64-linux-gnu\/ld-linux-x86-64\.so\.2$/,
    );
    expect(made.get("libc6-2.36-9")?.env.get("loader")).toBe("self");
    const download = made.get("gcc_4_12.2.0-3_amd64.deb");
    expect(download).toMatchObject({ builder: "builtin:fetchurl", kind: { kind: "fixed", method: "flat" } });
    expect(download?.env.get("urls")).toMatch(/^file:\/\/\S+\.deb$/);
  });

  it("knows the names that developers expect", () => {
    const { value } = run("[ debian.zlib.pname debian.gnumake.pname debian.openssl.debianPackage.wishes ]");
    expect(value).toEqual(["zlib1g-dev", "make", ["openssl", "libssl-dev"]]);
  });

  it("suggests a name for one that it does not have", () => {
    expect(() => run("debian.pyton3")).toThrow(
      expect.objectContaining({ suggestions: expect.arrayContaining(["python3"]) }),
    );
  });

  it("makes a shell of what is named", () => {
    const { made } = run(
      '(debian.mkShell { packages = [ debian.gcc debian.zlib ]; env.A = "1"; B = "2"; shellHook = "echo"; }).drvPath',
    );
    const shell = made.get("devshell");
    expect(shell?.builder).toMatch(/-devshell-env\/usr\/bin\/bash$/);
    expect([...(shell?.env ?? [])].filter(([name]) => /^(A|B|shellHook)$/.test(name))).toEqual([
      ["A", "1"],
      ["B", "2"],
      ["shellHook", "echo"],
    ]);
    const environment = made.get("devshell-env");
    expect(environment).toMatchObject({ builder: "builtin:debian-environment" });
    const names = wordsOf(environment, "packages").map(nameOf);
    expect(names).toEqual(
      expect.arrayContaining(["gcc-12.2.0-3", "zlib1g-dev-1.2.13", "libc6-dev-1.0-1", "bash-1.0-1"]),
    );
    expect(names.some((name) => /^(perl-base|make|build-essential)-/.test(name))).toBe(false);
    // Nothing in it has paths compiled in, so nothing needs the shim.
    expect(environment?.env.get("shim")).toBe("");
    expect(shell?.env.get("stdenv")).toBe(shell?.builder.replace("/usr/bin/bash", ""));
  });

  it("adds Essential only where asked, and takes inputs from other derivations", () => {
    const { made } = run(`(debian.mkShell {
      name = "s"; essential = true;
      inputsFrom = [ (debian.stdenv.mkDerivation { name = "x-1"; buildInputs = [ debian.zlib ]; }) ];
    }).drvPath`);
    const names = wordsOf(made.get("s-env"), "packages").map(nameOf);
    expect(names).toEqual(
      expect.arrayContaining(["perl-base-1.0-1", "zlib1g-dev-1.2.13", "build-essential-1.0-1"]),
    );
    // perl has paths compiled in.
    expect(made.get("s-env")?.env.get("shim")).toMatch(/-devshell-root$/);
    // So that an edit of setup.sh makes neither the compiler nor the shim anew.
    expect(made.get("compiler-env")?.env.get("setup")).toBe("");
    expect(made.get("compiler-env")?.env.get("defaultBuilder")).toBe("");
    expect(made.get("s-env")?.env.get("setup")).toMatch(/-setup\.sh$/);
  });

  it("builds on the toolchain, with packages in the environment and other inputs beside it", () => {
    const { value, made } = run(`let
      library = debian.stdenv.mkDerivation { pname = "library"; version = "1"; propagatedBuildInputs = [ debian.zlib ]; };
      program = (debian.stdenv.mkDerivation (final: {
        name = "program-\${final.version}"; version = "2"; outputs = [ "out" "dev" ];
        buildInputs = [ library debian.python3 null ]; passthru.extra = 1;
      })).overrideAttrs (old: { shout = "\${old.name}!"; });
    in [ program.drvPath program.extra program.dev.outputName program.version ]`);
    expect(value).toEqual([expect.stringMatching(/program-2\.drv$/), 1, "dev", "2"]);
    const program = made.get("program-2");
    expect(wordsOf(program, "buildInputs").map(nameOf)).toEqual(["library-1"]);
    expect(program?.env.get("shout")).toBe("program-2!");
    expect(program?.args[0]).toBe("-e");
    expect(wordsOf(made.get("program-2-env"), "packages").map(nameOf)).toEqual(
      expect.arrayContaining(["python3-1.0-1", "zlib1g-dev-1.2.13", "gcc-12.2.0-3"]),
    );
  });

  it("calls files with what they ask for", () => {
    const { value } = run(`let
      called = debian.callPackage ({ python3, flag ? 1 }: { inherit (python3) pname; inherit flag; }) { };
      pick = { pname, flag, ... }: [ pname flag ];
    in [ (pick called) (pick (called.override { flag = 2; })) ]`);
    expect(value).toEqual([
      ["python3", 1],
      ["python3", 2],
    ]);
  });

  it("keeps suites apart", () => {
    const text = "(debian.mkShell { packages = [ (import <other> { }).python3 ]; }).drvPath";
    expect(() =>
      run(
        text.replace("<other> { }", `${collection.nixDir} { suite = "trixie"; }`),
        '{ suite = "bookworm"; }',
      ),
    ).toThrow('the package "python3" is of suite "trixie", the environment of "bookworm"');
  });
});

describe("<debian> in a shell", () => {
  it("has the build environment of a source package", () => {
    const { value, made } = run(
      "[ debian.hello.drvPath debian.hello.version debian.hello.src.name debian.hello.dsc.name debian.hello.components.extra.name debian.hello.debianChanges.name ]",
      "{ inNixShell = true; }",
    );
    expect(value).toEqual([
      expect.stringMatching(/-hello-2\.10\.drv$/),
      "2.10",
      "hello_2.10.orig.tar.gz",
      "hello_2.10-3.dsc",
      "hello_2.10.orig-extra.tar.xz",
      "hello_2.10-3.debian.tar.xz",
    ]);
    const packages = wordsOf(made.get("hello-2.10-env"), "packages").map(nameOf);
    expect(packages).toEqual(
      expect.arrayContaining([
        "perl-base-1.0-1",
        "build-essential-1.0-1",
        "zlib1g-dev-1.2.13",
        "python3-1.0-1",
      ]),
    );
    expect(packages).not.toContain("openssl-1.0-1");
    expect(made.get("hello-2.10")?.env.get("src")).toMatch(/-hello_2\.10\.orig\.tar\.gz$/);
  });

  it("takes build profiles and Build-Depends-Indep as arguments, sources from another suite", () => {
    const { made } = run(
      "debian.hello.drvPath",
      '{ inNixShell = true; profiles = "nodoc nocheck"; indep = true; sourceSuite = "trixie"; }',
    );
    const packages = wordsOf(made.get("hello-2.10-env"), "packages").map(nameOf);
    expect(packages).not.toContain("python3-1.0-1");
    expect(packages).toContain("openssl-1.0-1");
  });
});
