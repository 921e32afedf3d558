import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { indentJson } from "../../cli/compat/nix/prettyJson.ts";
import { DEVSHELL, TestCommands, type CommandResult, type RunOptions } from "./testCommands.ts";

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands();
  ({ root } = commands);
});

afterAll(() => commands[Symbol.dispose]());

function run(command: string, args: readonly string[], options: RunOptions = {}): CommandResult {
  return commands.run(command, args, options);
}

describe("nix-instantiate --eval", () => {
  it("shows what Nix has not evaluated, however cheap it was, and tells messages once", () => {
    const text =
      'builtins.trace "once" (builtins.foldl\' (a: x: a) { a = { }; f = x: x; n = [ 1 ]; } [ 1 2 ])';
    expect(run("nix-instantiate", ["--eval", "-E", text])).toEqual({
      status: 0,
      out: "{ a = <CODE>; f = <CODE>; n = <CODE>; }\n",
      err: "trace: once\n",
    });
    expect(run("nix-instantiate", ["--eval", "-"], { input: "[ { } [ ] ]" }).out).toBe("[ <CODE> [ ] ]\n");
    expect(run("nix-instantiate", ["--eval", "--strict", "-E", "{ a = { }; }"]).out).toBe("{ a = { }; }\n");
    const called = ["--eval", "--arg", "x", "1", "-E", "{ x, y ? { } }: { inherit x y; }"];
    expect(run("nix-instantiate", called).out).toBe("{ x = 1; y = <CODE>; }\n");
    expect(run("nix-instantiate", ["--eval", "--xml", "-E", "{ a = { }; }"]).out).toContain(
      "<unevaluated />",
    );
  });
});

describe("endless recursion", () => {
  // What Nix 2.34 says, whose limit is of calls and of comparisons within calls.
  it.each([
    ["let f = x: f x; in f 1", "1:12"],
    ["let f = n: [ n ] ++ f (n + 1); in f 0", "1:21"],
    ["let f = { x }: f { inherit x; }; in f { x = 1; }", "1:16"],
    ["let f = n: builtins.any f [ n ]; in f 0", "1:12"],
    ["let f = n: if n == 0 then 1 else f n; in f 1", undefined],
  ])("%s", (text, place) => {
    const { status, err } = run("nix-instantiate", ["--eval", "-E", text]);
    const last = err.slice(err.lastIndexOf("error:"));
    const shown =
      place === undefined ? "" : `\n       at «string»:${place}:\n            1| ${text}\n             |`;
    expect([status, last.split("^")[0]!.trimEnd()]).toEqual([
      1,
      `error: stack overflow; max-call-depth exceeded${shown}`,
    ]);
  });
});

describe("messages", () => {
  const said = (text: string): string =>
    run("nix-instantiate", ["--eval", "-"], { input: Buffer.from(text, "latin1"), encoding: "latin1" }).err;

  // What Nix 2.34 prints.
  it.each([
    ['builtins.warn "" 1', "\n"],
    ['builtins.warn "\\n" 1', "\n"],
    ['builtins.warn "warning" 1', "evaluation warning: warning\n"],
    ['builtins.trace "" 1', "trace: \n"],
    ['builtins.trace "a\tb\\r\x07" 1', "trace: a        b\n"],
    ['builtins.trace "\xe6\x97\xa5\tb" 1', "trace: \xe6\x97\xa5       b\n"],
    ['builtins.trace "\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\\\y" 1', "trace: red y\n"],
    ['builtins.trace "lone \xff\xe6 bytes" 1', "trace: lone \xff\xe6 bytes\n"],
    ['builtins.warn "lone \xff" 1', "evaluation warning: lone \xff\n"],
  ])("%j", (text, line) => {
    expect(said(text)).toBe(line);
  });

  it("are the same in each command", () => {
    const text = 'builtins.warn "" (builtins.trace "x" 1)';
    for (const [command, ...words] of [
      ["nix", "eval", "--expr"],
      ["nix-build", "-E"],
      [DEVSHELL, "eval", "-E"],
    ] as const)
      expect(run(command, [...words, text]).err).toMatch(/^\ntrace: x\n/);
  });

  it("have spaces for tabs where they are errors, counted from the beginning", () => {
    expect(said('throw "\ta"')).toMatch(/\n {12}1\| throw " {2}a"\n[^]*error: {9}a\n/);
  });
});

describe("import from derivation", () => {
  const derivation = (name: string, script: string, system = "builtins.currentSystem"): string =>
    `builtins.readFile (derivation { name = "${name}"; system = ${system}; builder = "/bin/sh"; args = [ "-c" "${script}" ]; })`;
  const evaluate = (text: string): CommandResult =>
    run("nix-instantiate", ["--eval", "--read-write-mode", "-E", text]);

  it("tells what is built, and what builders say", () => {
    const { status, out, err } = evaluate(derivation("told", "echo hi; echo 1 > $out"));
    expect([status, out]).toEqual([0, '"1\\n"\n']);
    expect(err).toMatch(/^building '\S+-told\.drv'\.\.\.\nhi\n$/);
    const silent = run("nix", ["eval", "--impure", "--expr", derivation("silent", "echo hi; echo 1 > $out")]);
    expect(silent.err).toMatch(/^building '\S+-silent\.drv'\.\.\.\n$/);
  });

  it("quotes a log that was not shown, and names its build where logs are asked for", () => {
    const build = (name: string, ...words: string[]): string[] =>
      run("nix", ["eval", ...words, "--impure", "--expr", derivation(name, "echo hi; exit 3")]).err.split(
        "\n",
      );
    expect(build("quoted")).toContain("       > hi");
    expect(build("quoted")).not.toContain("quoted> hi");
    expect(build("named", "-L")).toContain("named> hi");
    expect(build("named", "-L")).not.toContain("       > hi");
    expect(evaluate(derivation("raw", "echo hi; exit 3")).err).not.toContain("log lines");
  });

  it("ends as a failed build does", () => {
    expect(evaluate(derivation("failing", "exit 3")).status).toBe(100);
    expect(evaluate(derivation("foreign", "exit 3", '"foo"'))).toMatchObject({
      status: 100,
      err: expect.stringContaining("Required system: 'foo'") as string,
    });
  });
});

describe("nix eval", () => {
  it("lays JSON out on demand", () => {
    const json = ["eval", "--json", "--expr", '{ a.b = [ 1 1.5 ]; c = "{,:\\"}"; d = { }; e = [ ]; }'];
    expect(run("nix", json).out).toBe('{"a":{"b":[1,1.5]},"c":"{,:\\"}","d":{},"e":[]}\n');
    expect(run("nix", [...json, "--no-pretty"]).out).toBe(run("nix", json).out);
    expect(run("nix", [...json, "--pretty"]).out).toBe(
      '{\n  "a": {\n    "b": [\n      1,\n      1.5\n    ]\n  },\n  "c": "{,:\\"}",\n  "d": {},\n  "e": []\n}\n',
    );
    expect(indentJson("[12345678901234567890]")).toBe("[\n  12345678901234567890\n]");
  });

  it("writes strings and sets of them as files", () => {
    const target = join(root, "tree");
    const expression = '{ x = "foo" + "bar"; y = { z = "ü"; }; }';
    expect(run("nix", ["eval", "--store", "dummy://", "--write-to", target, "--expr", expression]).err).toBe(
      "",
    );
    expect(readFileSync(join(target, "x"), "utf8")).toBe("foobar");
    expect(readFileSync(join(target, "y/z"), "utf8")).toBe("ü");
    expect(run("nix", ["eval", "--write-to", target, "--expr", '"a"']).err).toContain("already exists");
    const other = join(root, "other");
    const bad = run("nix", ["eval", "--write-to", other, "--expr", '{ ".." = "bla"; }']);
    expect([bad.status, bad.err]).toEqual([1, expect.stringContaining("invalid file name '..'")]);
    expect(run("nix", ["eval", "--write-to", `${other}2`, "--expr", "1"]).err).toContain("is not a string");
  });

  it("marks traces, in UTF-8", () => {
    const trace = "let x = builtins.trace { x = x; } true; in x";
    expect(run("nix-instantiate", ["--eval", "-E", trace]).err).toBe(
      "trace: { x = «potential infinite recursion»; }\n",
    );
    expect(run("nix", ["eval", "--expr", trace]).err).toBe(
      "trace: { x = «potential infinite recursion»; }\n",
    );
    const warning = 'builtins.addErrorContext "while doing it" (builtins.warn "Hello" 1)';
    const aborted = run("nix-instantiate", ["--eval", "-E", warning], { env: { NIX_ABORT_ON_WARN: "1" } });
    expect([aborted.status, aborted.err]).toEqual([1, expect.stringContaining("while doing it")]);
  });

  it("leaves colours out of reports to no terminal", () => {
    const { err } = run("nix-instantiate", ["--eval", "-E", 'throw "a \u001B[1;35mb\u001B[0m c"']);
    expect(err).toMatch(/error: a b c\n$/);
  });

  it("takes the system from eval-system before system", () => {
    const system = ["eval", "--impure", "--raw", "--expr", "builtins.currentSystem", "--system", "foo"];
    expect(run("nix", system).out).toBe("foo");
    expect(run("nix", [...system, "--eval-system", "bar"]).out).toBe("bar");
    expect(run("nix", [...system, "--eval-system", ""]).out).toBe("foo");
  });

  it("still knows the names that lints had, and says so of features", () => {
    const path = ["eval", "--expr", "test/file"];
    const NIX_CONFIG = "warn-short-path-literals = true";
    expect(run("nix", path).err).toBe("");
    expect(run("nix", path, { env: { NIX_CONFIG } }).err).toContain("should be prefixed");
    expect(run("nix", [...path, "--no-warn-short-path-literals"], { env: { NIX_CONFIG } }).err).toBe("");
    expect(run("nix", [...path, "--lint-short-path-literals", "ignore"], { env: { NIX_CONFIG } }).err).toBe(
      "",
    );
    const renamed = ["eval", "--extra-experimental-features", "no-url-literals", "--expr", "1"];
    expect(run("nix", renamed).err).toContain("use 'lint-url-literals = fatal' setting instead");
  });
});

describe("restricted evaluation", () => {
  it("reads the search path of the command line, main files included, and nothing else", () => {
    const dir = join(root, "restricted");
    mkdirSync(dir);
    writeFileSync(join(dir, "main.nix"), "import ./other.nix");
    writeFileSync(join(dir, "other.nix"), "1 + 2");
    const main = ["--eval", "--restrict-eval", join(dir, "main.nix")];
    expect(run("nix-instantiate", main).err).toContain("forbidden in restricted mode");
    expect(run("nix-instantiate", [...main, "-I", dir]).out).toBe("3\n");
    expect(run("nix-instantiate", [...main, "-I", `src=${dir}`]).out).toBe("3\n");
    const files = ["-I", `a=${dir}/main.nix`, "-I", `b=${dir}/other.nix`];
    expect(run("nix-instantiate", [...main, ...files]).out).toBe("3\n");
  });
});

describe("what is built", () => {
  it("is a derivation's file that ends so", () => {
    const path = '${builtins.storeDir}/2chwzswhhmpxbgc981i2vcz7xj4d1in9-cachix-1.7.3-bin"';
    const fake = `{ type = "derivation"; name = "x"; outputName = "out"; drvPath = "${path}; outPath = "${path}; }`;
    const { status, err } = run("nix-instantiate", ["-E", fake]);
    expect(status).toBe(1);
    expect(err).toContain(
      "store path '2chwzswhhmpxbgc981i2vcz7xj4d1in9-cachix-1.7.3-bin' is not a valid derivation path",
    );
  });

  it("may be a string that names one store path", () => {
    const make =
      'derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo hi > $out" ]; }';
    const built = run("nix", [
      "build",
      "--impure",
      "--no-link",
      "--print-out-paths",
      "--expr",
      `"\${${make}}"`,
    ]);
    expect(readFileSync(built.out.trim(), "utf8")).toBe("hi\n");
    expect(run("nix", ["build", "--no-link", "--expr", '"text"']).err).toContain(
      "has 0 entries in its context",
    );
  });

  it("keeps the references of a store path that is copied within the store", () => {
    const make =
      'derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $out > $out" ]; }';
    const copy = `builtins.path { name = "copy"; path = "\${${make}}"; }`;
    const copied = run("nix", ["eval", "--impure", "--raw", "--expr", copy]).out;
    expect(run("nix-store", ["-q", "--references", copied]).out).toMatch(/-made\n$/);
  });
});

describe("nix derivation", () => {
  interface Shown {
    readonly name: string;
    readonly outputs: Record<string, { readonly path?: string }>;
    readonly inputs: { readonly drvs: Record<string, unknown>; readonly srcs: readonly string[] };
  }

  const show = (...words: string[]) =>
    JSON.parse(run("nix", ["derivation", "show", ...words]).out) as {
      readonly derivations: Record<string, Shown>;
      readonly version: number;
    };
  const add = (json: unknown) => run("nix", ["derivation", "add"], { input: JSON.stringify(json) });
  const make = 'let d = name: more: derivation ({ inherit name; system = "s"; builder = "/b"; } // more); in';

  it("shows derivations as JSON, and adds what it showed", () => {
    const user = `${make} d "user" { input = d "input" { }; args = [ "a" ]; outputs = [ "out" "dev" ]; }`;
    const drvPath = run("nix-instantiate", ["-E", user]).out.trim();
    const { derivations, version } = show(drvPath);
    const [shown] = Object.values(derivations);
    if (shown === undefined) throw new Error("nothing shown");
    expect([version, Object.keys(derivations)]).toEqual([4, [drvPath.split("/").at(-1)]]);
    expect(shown).toMatchObject({ name: "user", args: ["a"], inputs: { srcs: [] } });
    expect(Object.keys(shown.inputs.drvs)).toEqual([expect.stringMatching(/^[a-z0-9]{32}-input\.drv$/)]);
    expect(add(shown)).toMatchObject({ status: 0, out: `${drvPath}\n` });
    expect(add({ ...shown, outputs: { dev: {}, out: {} } }).out).toBe(`${drvPath}\n`);
    expect(add({ ...shown, name: "other" }).err).toContain("has incorrect output");
    expect(add({ ...shown, version: 3 }).err).toContain("version 3");
    expect(add({ ...shown, args: [1] }).err).toContain("'args' is not a string");
  });

  it("keeps fixed outputs and structured attributes on the way", () => {
    const fixed = `${make} d "fixed" { outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "nar"; __structuredAttrs = true; list = [ 1 { b = 2; a = "ü"; } ]; }`;
    const drvPath = run("nix-instantiate", ["-E", fixed]).out.trim();
    const [shown] = Object.values(show("-r", drvPath).derivations);
    expect(shown).toMatchObject({ outputs: { out: { method: "nar" } }, structuredAttrs: { name: "fixed" } });
    expect(add(shown).out).toBe(`${drvPath}\n`);
  });
});

describe("nix copy", () => {
  it("copies closures to another store of this machine, signed or on the user's word", () => {
    const make =
      'let d = name: script: derivation { inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ]; }; in d "user" "echo ${d "input" "echo hi > $out"} > $out"';
    const built = run("nix-build", ["--no-out-link", "-E", make]).out.trim();
    const other = join(root, "other-store");
    const url = `${other}?store=${join(root, "store")}`;
    const unsigned = run("nix", ["copy", "--to", url, built]);
    expect([unsigned.status, unsigned.err]).toEqual([1, expect.stringContaining("lacks a signature")]);
    expect(run("nix", ["copy", "--to", url, "--no-check-sigs", built]).status).toBe(0);
    const copied = join(other, "nix/store", built.split("/").at(-1) ?? "");
    expect(readFileSync(copied, "utf8")).toMatch(/-input\n$/);
    const references = run("nix-store", ["--store", url, "-q", "--references", built]).out;
    expect(references).toMatch(/-input\n$/);
    expect(run("nix-store", ["--store", url, "--verify", "--check-contents"]).status).toBe(0);
    expect(run("nix", ["copy", built]).err).toContain("'--from' and/or '--to'");
    const foreign = `${join(root, "elsewhere")}?store=/elsewhere/store`;
    expect(run("nix", ["copy", "--to", foreign, built]).err).toContain(
      'it is one of "/elsewhere/store", not of',
    );
  });
});

describe("nix search", () => {
  const packages = `let p = name: meta: derivation { inherit name; system = "s"; builder = "b"; } // { inherit meta; }; in
    { hello = p "hello-0.1" { description = "Empty\\nfile"; }; foo = p "foo-5" { }; bar = p "bar-3" { description = "broken bar"; }; }`;
  const search = (...words: string[]) => run("nix", ["search", "--expr", packages, ...words]);

  it("finds what matches all expressions, in attribute, name and description", () => {
    expect(search("", "hello", "empty").out).toBe(
      "* \u001B[0;1m\u001B[32;1mhello\u001B[0;1m\u001B[0m (0.1)\n  \u001B[32;1mEmpty\u001B[0m file\n",
    );
    expect(search("", "broken b", "en bar").out).toContain("\u001B[32;1mbroken bar\u001B[0m");
    const none = search("", "hello", "broken");
    expect([none.status, none.out, none.err]).toEqual([1, "", expect.stringContaining("no results")]);
    expect(search("").err).toContain("Must provide at least one regex");
    expect(search("", "(").err).toContain("no regular expression");
  });

  it("leaves out what is excluded, and prints JSON", () => {
    const { out } = search("", "^", "-e", "bar", "--json");
    expect(JSON.parse(out)).toEqual({
      foo: { description: "", pname: "foo", version: "5" },
      hello: { description: "Empty file", pname: "hello", version: "0.1" },
    });
    expect(search("foo", "^", "--exclude", "foo|bar").out).toBe("");
  });
});
