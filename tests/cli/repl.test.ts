import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ReplSession } from "../../cli/repl/replSession.ts";
import { runInput } from "../../cli/repl/runInput.ts";
import { autoArguments, createStoreContext, openEvaluation } from "../../env/index.ts";
import { Screen } from "../shell/screen.ts";
import { DEVSHELL, TestCommands, type CommandResult } from "./testCommands.ts";

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands({ EDITOR: "./ed.sh" });
  ({ root } = commands);
  writeFileSync(join(root, "set.nix"), "{ n ? 1 }: { loaded = n; deep.er.x = 2; }");
  writeFileSync(join(root, "broken.nix"), "{ a = ");
  writeFileSync(join(root, "pair.nix"), "{ a = 1; b.c.d = 2; }");
});

afterAll(() => commands[Symbol.dispose]());

/** What a conversation prints; after each input, and at the end, comes an empty line, which is left out. */
function repl(input: string, ...args: string[]): CommandResult {
  const result = commands.run("nix", ["repl", ...args], { input });
  return { ...result, out: `${result.out.replaceAll(/\n{2,}/g, "\n\n").trim()}\n\n` };
}

describe("nix repl", () => {
  it("evaluates line by line, with names of its own, and goes on after what fails", () => {
    const { status, out, err } = repl("1 + 2\nx = 40\nnope\ny = x + 2;\ny\nx == 40\n");
    expect([status, out]).toEqual([0, "3\n\n42\n\ntrue\n\n"]);
    expect(err).toContain("undefined variable 'nope'");
  });

  it("evaluates names when they are used, and checks what they are at once", () => {
    const { out, err } = repl('bad = throw "later"\n1\nworse = gone\nbad\n');
    expect(out).toBe("1\n\n");
    expect(err.indexOf("undefined variable 'gone'")).toBeGreaterThanOrEqual(0);
    expect(err.indexOf("later")).toBeGreaterThan(err.indexOf("undefined variable 'gone'"));
  });

  it("quotes bytes that are no text as they are", () => {
    const text = 'throw (builtins.substring 0 1 "ä")\n:p [ 1 (throw (builtins.substring 0 1 "ä")) ]\n';
    const input = Buffer.from(text).toString("latin1");
    const { out, err } = commands.run("nix", ["repl"], { input, encoding: "latin1" });
    expect(err).toContain("error: \xc3\n");
    expect(out).toContain("error: \xc3\xc2\xbb");
  });

  it("takes what goes over several lines, and only where it is the line that is unfinished", () => {
    expect(repl("{\n  a = 1;\n  b = [ 1 ];\n}\nf = x:\n  x + 1\nf 2\n").out).toBe(
      "{\n  a = 1;\n  b = [ ... ];\n}\n\n3\n\n",
    );
    const broken = repl("import ./broken.nix\n7\n");
    expect([broken.out, broken.err]).toEqual(["7\n\n", expect.stringContaining("unexpected end of file")]);
    expect(repl("{ a = 1;").err).toContain("unexpected end of file");
  });

  it("shows one level, and all of it with :p", () => {
    expect(repl("{ a.b.c = 1; }\n:p { a.b.c = 1; }\n").out).toBe(
      "{\n  a = { ... };\n}\n\n{\n  a = {\n    b = { c = 1; };\n  };\n}\n\n",
    );
  });

  it("loads files and sets, describes types, shows documentation", () => {
    const { out, err } = repl(
      ":l set.nix\nloaded\n:a { z = 9; }\nz\n:t z\n:t deep\n:doc map\n:nope\n:q\n1\n",
    );
    expect(out).toContain("1\n\n9\n\nan integer\n\na set\n\n**Synopsis:** `builtins.map`");
    expect(err).toContain("Added 2 variables.\ndeep, loaded\nAdded 1 variables.\nz\n");
    expect(out.endsWith("1\n\n")).toBe(false);
    expect(err).toContain("unknown command ':nope'");
    expect(repl("loaded\n", "--file", "set.nix", "--arg", "n", "5").out).toContain("5\n");
    expect(repl("", "--expr", "{ x }: x").err).toContain("to be merged in the global scope");
  });

  it("loads again what has changed", () => {
    writeFileSync(join(root, "changing.nix"), "{ v = 1; }");
    const session = `:l changing.nix\nv\nbuiltins.toFile "x" "y"\n:r\nv\n`;
    const { out, err } = repl(session);
    expect(out.match(/^1$/gm)?.length).toBe(2);
    expect(err).toContain('Loading "changing.nix"...\nAdded 1 variables.\nv\n');
  });

  it("takes definitions as sets do", () => {
    expect(repl("x = { p = 10; }\ninherit (x) p; q = 20\np + q\na.b = 1; a.c = 2\na.b + a.c\n").out).toBe(
      "30\n\n3\n\n",
    );
    expect(repl("x = ''\n  hello\n''\nx\n").out).toBe('"hello\\n"\n\n');
  });

  it("prints strings as they are with :p, lists what was added, and shows whole traces on demand", () => {
    expect(repl(':p "a\\tb"\n:a { b = 1; "a b" = 2; }\n:ll\n').out).toBe("a\tb\n\nb\na b\n\n");
    expect(repl(":ll\n").err).toContain("nothing has been loaded yet");
    const { out, err } = repl(":te\n:te maybe\n:te false\n");
    expect(out).toBe("showing error traces\n\nnot showing error traces\n\n");
    expect(err).toContain("unexpected argument 'maybe'");
    const traced = repl("f = x: x + 1\n:te\ng = x: x + 1\ng null\n:te\nf null\n").err;
    expect(traced).toContain("… while calling 'g'");
    expect(traced).not.toContain("… while calling 'f'");
  });

  it("says for :doc what is missing, and where functors never end", () => {
    const input =
      "s.sets.a = 1\nnamed = 1\n:doc s.set.a\n:doc name\n:doc let f = x: { __functor = self: f (x + 1); }; in f 0\n";
    const { err } = repl(input, "--max-call-depth", "30", "--option", "show-trace", "true");
    expect(err).toContain(
      "while evaluating the attribute 'set'\n         at «string»:1:1:\n            1| s.set.a\n",
    );
    expect(err).toContain("undefined variable 'name'");
    expect(err).not.toContain("did you mean 'named'");
    expect(err).toContain("(30 duplicate frames omitted)");
    expect(err).toContain("stack overflow; max-call-depth exceeded");
  });

  it("loads flakes, and again those that changed", () => {
    mkdirSync(join(root, "flake"), { recursive: true });
    writeFileSync(join(root, "flake/flake.nix"), "{ outputs = _: { foo = 1; bar.baz = 2; }; }");
    const features = ["--extra-experimental-features", "flakes"];
    expect(repl("foo + baz\n", "./flake", "./flake#bar", ...features).out).toBe("3\n\n");
    const { out, err } = repl(":lf ./none\n:lf ./flake\n:r\nfoo\n", ...features);
    expect(out).toBe("1\n\n");
    expect(err).toContain("Loading flake './flake'...");
    // What failed is tried again.
    expect(err).toContain("Loading flake './none'...");
  });

  it("takes attributes of a file, an expression or flakes from the command line", () => {
    const given = (...args: string[]): string => repl("", ...args).err.replace(/^.*\n.*\n/, "");
    expect(given("--file", "pair.nix", "b", "b.c")).toBe(
      "Loading installable 'b'...\nAdded 1 variables.\nc\nLoading installable 'b.c'...\nAdded 1 variables.\nd\n",
    );
    expect(given("--expr", "{ n.x = 1; }", "n")).toBe("Loading installable 'n'...\nAdded 1 variables.\nx\n");
    expect(given("--expr", "{ n.x = 1; }")).toBe("Loading installable ''...\nAdded 1 variables.\nn\n");
    const flake = ["./flake#bar", "--extra-experimental-features", "flakes"];
    expect(given(...flake)).toBe(
      `Loading installable 'path:${root}/flake#bar'...\nAdded 1 variables.\nbaz\n`,
    );
    const { status, err } = repl("1", "--file", "pair.nix", "a");
    expect(status).toBe(1);
    expect(err).toContain(
      "error:\n       … while evaluating an attribute set to be merged in the global scope\n\n       error: expected a set but found an integer: 1\n",
    );
  });

  it("opens an editor where a function was written, or with a copy", () => {
    writeFileSync(join(root, "edited.nix"), "{\n  f = x: x;\n}");
    writeFileSync(join(root, "ed.sh"), '#!/bin/sh\necho "edits $*"; cat "$1"\n', { mode: 0o755 });
    const { out } = repl(":l edited.nix\n:e f\n:e derivation\n:e <nix/fetchurl.nix>\n");
    expect(out).toContain(`edits ${join(root, "edited.nix")}\n{\n  f = x: x;\n}`);
    expect(out).toContain("derivationStrict");
    expect(out).toContain("builtin:fetchurl");
  });

  it("builds", () => {
    const make = `derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo hi > $out; echo built" ]; }`;
    const built = repl(`:b ${make}\n`).out;
    const path = /This derivation produced the following outputs:\n {2}out -> (\S+)\n/.exec(built)?.[1] ?? "";
    expect(readFileSync(path, "utf8")).toBe("hi\n");
    const linked = repl(`:bl ${make}\n:log ${make}\n`);
    expect(linked.out).toMatch(/^built$/m);
    expect(linked.out).toContain(`  ./repl-result-out -> ${path}\n`);
    expect(readlinkSync(join(root, "repl-result-out"))).toBe(path);
    expect(repl(":b 1\n").err).toContain("does not evaluate to a derivation");
  });
});

describe("devshell repl", () => {
  it("loads files, evaluates expressions, and takes arguments", () => {
    const args = ["repl", "set.nix", "--arg", "n", "7"];
    const { status, stdout } = spawnSync(DEVSHELL, args, {
      cwd: root,
      env: commands.environment(),
      input: "loaded + 1\n:q\n",
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([0, "8\n\n"]);
    const given = spawnSync(DEVSHELL, ["repl", "-E", "{ a = 1; }"], {
      cwd: root,
      env: commands.environment(),
      input: "a\n",
      encoding: "utf8",
    });
    expect([given.stdout, given.stderr]).toEqual(["1\n\n\n", "Added 1 variables.\na\n"]);
  });
});

describe("completion", () => {
  it("knows names, builtins and attributes of what was given", async () => {
    using context = createStoreContext({ store: "dummy://", isReadOnly: true });
    const session = new ReplSession({
      context,
      open: () => {
        const { evaluator, host } = openEvaluation(context, { directory: "/", includes: [] });
        return { evaluator, host, autoArguments: autoArguments(evaluator, { directory: "/" }) };
      },
      directory: "/",
      print: () => undefined,
      notice: () => undefined,
    });
    await runInput(session, "mine = { alpha.beta = 1; almost = 2; }");
    expect(session.complete("1 + mi")).toEqual([["mine"], "mi"]);
    expect(session.complete("mine.al")).toEqual([["mine.almost", "mine.alpha"], "mine.al"]);
    expect(session.complete("mine.alpha.")).toEqual([["mine.alpha.beta"], "mine.alpha."]);
    expect(session.complete("builtins.fetchT")[0]).toContain("builtins.fetchTarball");
    expect(session.complete("toS")).toEqual([["toString"], "toS"]);
    expect(session.complete("gone.x")).toEqual([[], "gone.x"]);
    writeFileSync(join(root, "completed.nix"), "");
    expect(session.complete(`import ${root}/comp`)).toEqual([[`${root}/completed.nix`], `${root}/comp`]);
    mkdirSync(join(root, "completed"));
    vi.stubEnv("HOME", root);
    expect(session.complete("~/comp")).toEqual([["~/completed/", "~/completed.nix"], "~/comp"]);
    vi.unstubAllEnvs();
    expect(session.complete("import /no/such/place")).toEqual([[], "/no/such/place"]);
  });
});

describe("nix repl at a terminal", () => {
  function open(): Screen {
    return new Screen("./bin/nix", ["repl"], { cwd: root, env: commands.environment() });
  }

  it("gives up a line, what it evaluates and what it builds on Ctrl-C", async () => {
    const sleeping = (name: string): string =>
      `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo > ${root}/$name; exec sleep 1000" ]; }`;
    const begun = (name: string): Promise<void> =>
      vi.waitFor(() => expect(existsSync(join(root, name))).toBe(true), { timeout: 15_000 });
    await using screen = open();
    await screen.waitFor(/^nix-repl>$/m);
    screen.type("gone\x03");
    await screen.waitFor(/^nix-repl> gone\n\nnix-repl>$/m);
    const interrupted = /\^C\nerror: interrupted by the user\n\nnix-repl>$/;
    const endless = "startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ];";
    screen.type(`builtins.trace "begins" (builtins.genericClosure { ${endless} })\r`);
    await screen.waitFor(/^trace: begins$/m);
    screen.type("\x03");
    await screen.waitFor(interrupted);
    screen.type(`import (${sleeping("imported")})\r`);
    await begun("imported");
    screen.type("\x03");
    await screen.waitFor(interrupted);
    screen.type(`:b ${sleeping("built")}\r`);
    await begun("built");
    screen.type("\x03");
    await screen.waitFor(interrupted);
    screen.type("6 * 7\r");
    await screen.waitFor(/^42\n\nnix-repl>$/m);
  });

  it("of devshell ends well after something was interrupted, too", async () => {
    await using screen = new Screen(DEVSHELL, ["repl"], { cwd: root, env: commands.environment() });
    await screen.waitFor(/^nix-repl>$/m);
    screen.type(
      'builtins.trace "begins" (let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 100)\r',
    );
    await screen.waitFor(/^trace: begins$/m);
    screen.type("\x03");
    await screen.waitFor(/^error: interrupted by the user\n\nnix-repl>$/m);
    screen.type(":q\r");
    expect(await screen.exited).toBe(0);
  });

  it("shows colours, and documentation without Markdown's marks", async () => {
    await using screen = open();
    await screen.waitFor(/^nix-repl>$/m);
    screen.type('{ a = 1; b = "x"; }\r:doc builtins.length\rnope\r');
    await screen.waitFor(/^error: undefined variable 'nope'$/m);
    expect(screen.output).toContain('  a = \x1b[36;1m1\x1b[0m;\r\n  b = \x1b[35;1m"x"\x1b[0m;\r\n');
    expect(screen.output).toContain("\x1b[31;1merror:\x1b[0m undefined variable");
    expect(screen.text()).toContain("Synopsis: builtins.length e\n");
  });

  it("keeps what was typed for the next conversation", async () => {
    {
      await using screen = open();
      await screen.waitFor(/^nix-repl>$/m);
      screen.type('"kept"\r:q\r');
      expect(await screen.exited).toBe(0);
    }
    expect(readFileSync(join(root, ".local/share/nix/repl-history"), "utf8")).toMatch(/^"kept"\n:q\n$/m);
    await using screen = open();
    await screen.waitFor(/^nix-repl>$/m);
    screen.type("\x1b[A\x1b[A\r");
    await screen.waitFor(/^nix-repl> "kept"\n"kept"$/m);
    screen.type("1 + 1\r1 + 2\r2 + 2\r");
    await screen.waitFor(/^4\n\nnix-repl>$/m);
    screen.type("gone\x121 +");
    await screen.waitFor(/^\(reverse-i-search\)`1 \+': 1 \+ 2$/m);
    screen.type("\x12");
    await screen.waitFor(/^\(reverse-i-search\)`1 \+': 1 \+ 1$/m);
    screen.type("\r");
    await screen.waitFor(/^nix-repl> 1 \+ 1\n2\n\nnix-repl>$/m);
    screen.type("some\x12kept\x07 text\r");
    await screen.waitFor(/^nix-repl> some text\n/m);
  });
});
