import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplSession } from "../../cli/repl/replSession.ts";
import { autoArguments, createStoreContext, openEvaluation } from "../../env/index.ts";

// `nix repl` through the launcher and the bundle (`npm test` makes it first); completion by itself.
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-repl-"));
  spawnSync(DEVSHELL, ["compat", join(root, "bin")], { env: environment() });
  writeFileSync(join(root, "set.nix"), "{ n ? 1 }: { loaded = n; deep.er.x = 2; }");
  writeFileSync(join(root, "broken.nix"), "{ a = ");
});

afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function environment(): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "sandbox = false\nsubstituters =\n",
  };
}

/** What a conversation prints. */
function repl(
  input: string,
  ...args: string[]
): { readonly status: number | null; out: string; err: string } {
  const result = spawnSync(join(root, "bin/nix"), ["repl", ...args], {
    cwd: root,
    env: environment(),
    input,
    encoding: "utf8",
  });
  return { status: result.status, out: result.stdout, err: result.stderr };
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
    expect(out).toContain(
      "Added 2 variables.\n1\n\nAdded 1 variables.\n9\n\nan integer\n\na set\n\n**Synopsis:** `builtins.map`",
    );
    expect(out.endsWith("1\n\n")).toBe(false);
    expect(err).toContain("unknown command ':nope'");
    expect(repl("loaded\n", "--file", "set.nix", "--arg", "n", "5").out).toContain("5\n");
    expect(repl("", "--expr", "{ x }: x").err).toContain("to be merged in the global scope");
  });

  it("loads again what has changed", () => {
    writeFileSync(join(root, "changing.nix"), "{ v = 1; }");
    const session = `:l changing.nix\nv\nbuiltins.toFile "x" "y"\n:r\nv\n`;
    expect(repl(session).out.match(/Added 1 variables\.\n1\n/g)?.length).toBe(2);
  });

  it("builds", () => {
    const make = `derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo hi > $out" ]; }`;
    const built = repl(`:b ${make}\n`).out;
    const path = /This derivation produced the following outputs:\n {2}out -> (\S+)\n/.exec(built)?.[1] ?? "";
    expect(readFileSync(path, "utf8")).toBe("hi\n");
    expect(repl(":b 1\n").err).toContain("does not evaluate to a derivation");
  });
});

describe("devshell repl", () => {
  it("loads files, evaluates expressions, and takes arguments", () => {
    const args = ["repl", "set.nix", "--arg", "n", "7"];
    const { status, stdout } = spawnSync(DEVSHELL, args, {
      cwd: root,
      env: environment(),
      input: "loaded + 1\n:q\n",
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([0, "Added 2 variables.\n8\n\n"]);
    const given = spawnSync(DEVSHELL, ["repl", "-E", "{ a = 1; }"], {
      cwd: root,
      env: environment(),
      input: "a\n",
      encoding: "utf8",
    });
    expect(given.stdout).toBe("Added 1 variables.\n1\n\n");
  });
});

describe("completion", () => {
  it("knows names, builtins and attributes of what was given", async () => {
    using context = createStoreContext({ store: "dummy://", isReadOnly: true });
    const { evaluator, host } = openEvaluation(context, { directory: "/", includes: [] });
    const session = new ReplSession({
      context,
      evaluator,
      host,
      autoArguments: autoArguments(evaluator, { directory: "/" }),
      directory: "/",
      print: () => undefined,
    });
    await session.run("mine = { alpha.beta = 1; almost = 2; }");
    expect(session.complete("1 + mi")).toEqual([["mine"], "mi"]);
    expect(session.complete("mine.al")).toEqual([["mine.almost", "mine.alpha"], "mine.al"]);
    expect(session.complete("mine.alpha.")).toEqual([["mine.alpha.beta"], "mine.alpha."]);
    expect(session.complete("builtins.fetchT")[0]).toContain("builtins.fetchTarball");
    expect(session.complete("toS")).toEqual([["toString"], "toS"]);
    expect(session.complete("gone.x")).toEqual([[], "gone.x"]);
  });
});
