import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Screen } from "../shell/screen.ts";

// The whole program, from the launcher to the bundle (`npm test` makes it first).
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-"));
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function environmentOf(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    TMPDIR: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "sandbox = false\nsubstituters =\n",
    ...extra,
  };
}

function devshell(
  cwd: string,
  args: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
) {
  const result = spawnSync(DEVSHELL, args, {
    cwd,
    env: environmentOf(options.env),
    input: options.input ?? "",
    encoding: "utf8",
  });
  return { status: result.status, signal: result.signal, out: result.stdout, err: result.stderr };
}

const SHELL_NIX = `
let
  tool = derivation {
    name = "tool-1.2";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\\necho tool 1.2\\n' > $out/bin/tool; chmod +x $out/bin/tool" ];
  };
in
derivation {
  name = "project";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  inherit tool;
  GREETING = "hello";
  shellHook = "export PATH=$tool/bin:$PATH";
}
`;

function project(name: string, files: Record<string, string> = { "shell.nix": SHELL_NIX }): string {
  const directory = join(root, name);
  mkdirSync(directory);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  return directory;
}

describe("entry", () => {
  it("realises, runs and passes all on, cold and then warm", () => {
    const directory = project("run");
    const script = 'tool; echo "$GREETING"; cat; exit 9';
    const cold = devshell(directory, ["run", "--", "sh", "-c", script], { input: "in\n" });
    expect(cold).toMatchObject({ out: "tool 1.2\nhello\nin\n", status: 9 });
    // Warm: no Node is needed at all.
    const env = { DEVSHELL_NODE: "/bin/false" };
    expect(devshell(directory, ["run", "--", "sh", "-c", script], { input: "in\n", env })).toEqual({
      ...cold,
      err: "",
    });
    expect(devshell(directory, ["--run", "tool; kill -TERM $$"], { env })).toMatchObject({
      out: "tool 1.2\n",
      signal: "SIGTERM",
    });
  });

  it("evaluates anew when an input changed, and only then", () => {
    const directory = project("fresh");
    expect(devshell(directory, ["--run", "echo $GREETING"]).out).toBe("hello\n");
    writeFileSync(join(directory, "shell.nix"), SHELL_NIX.replace('"hello"', '"changed"'));
    expect(
      devshell(directory, ["--run", "echo $GREETING"], { env: { DEVSHELL_NODE: "/bin/false" } }).status,
    ).toBe(1);
    expect(devshell(directory, ["--run", "echo $GREETING"]).out).toBe("changed\n");
  });

  it("says what is wrong with HOME, TMPDIR or the current directory", () => {
    const directory = project("surroundings");
    const failing = (env: Record<string, string>): string => {
      const { status, err } = devshell(directory, ["--run", "true"], { env });
      expect(status).toBe(1);
      return err;
    };
    expect(failing({ DEVSHELL_CACHE_DIR: "/proc/none/cache" })).toContain("set DEVSHELL_CACHE_DIR");
    expect(failing({ TMPDIR: join(root, "none") })).toContain("set TMPDIR to a directory of yours");
    const gone = join(root, "gone");
    const inside = `mkdir "${gone}" && cd "${gone}" && rmdir "${gone}" && exec "${DEVSHELL}" --run true`;
    const { stderr, status } = spawnSync("/bin/sh", ["-c", inside], {
      env: environmentOf(),
      encoding: "utf8",
    });
    expect(stderr).toContain("Cannot find the current directory: it was deleted");
    expect(status).toBe(1);
  });

  it("works with a store whose name is not ASCII", () => {
    const directory = project("umlaut");
    const env = { NIX_STORE_DIR: join(root, "störe"), NIX_STATE_DIR: join(root, "vär") };
    expect(devshell(directory, ["--run", "tool"], { env })).toMatchObject({ out: "tool 1.2\n", status: 0 });
    expect(devshell(directory, ["store", "verify", "--check-contents"], { env })).toMatchObject({
      status: 0,
    });
    expect(devshell(directory, ["gc"], { env })).toMatchObject({ status: 0 });
    expect(devshell(directory, ["--run", "tool"], { env })).toMatchObject({ out: "tool 1.2\n", status: 0 });
  });

  it("keeps a build's failure on the screen", () => {
    const directory = project("failing", {
      "shell.nix": SHELL_NIX.replace("mkdir -p $out/bin;", "echo compiling; echo broken >&2; exit 3;"),
    });
    const { status, out, err } = devshell(directory, ["--run", "true"]);
    expect(status).toBe(1);
    expect(out).toBe("");
    expect(err).toContain("devshell: build of tool-1.2 failed: builder failed with exit code 3");
    expect(err).toMatch(/> compiling\n.*> broken/);
  });

  it("says where an error is", () => {
    const { status, err } = devshell(project("wrong", { "shell.nix": "{ a = 1;\n  b = }\n" }), [
      "--run",
      "true",
    ]);
    expect(status).toBe(1);
    expect(err).toMatch(/error: .*\n.*at .*shell\.nix:2:7/);
  });

  it("opens a shell that reloads live, and keeps the old environment when the spec breaks", async () => {
    const directory = project("live");
    await using screen = new Screen(DEVSHELL, [], { cwd: directory, env: environmentOf() });
    await screen.waitFor("(devshell:project)");
    screen.type("tool; echo $GREETING\r");
    await screen.waitFor(/tool 1\.2\nhello/);
    const reload = async (text: string, pattern: RegExp) => {
      writeFileSync(join(directory, "shell.nix"), text);
      for (let attempt = 0; attempt < 40; attempt++) {
        await new Promise((done) => setTimeout(done, 250));
        screen.type("\r");
        if (pattern.test(screen.text())) return;
      }
      throw new Error(`never showed ${pattern.source}:\n${screen.text()}`);
    };
    await reload(SHELL_NIX.replace('"hello"', '"again"; ADDED = "yes"'), /devshell: reloaded: .*\+ADDED/);
    screen.type("echo $GREETING-$ADDED\r");
    await screen.waitFor("again-yes");
    await reload(
      SHELL_NIX.replace('"hello"', "hello"),
      /cannot reload; the environment stays[^]*undefined variable 'hello'/,
    );
    screen.type("echo still $GREETING\r");
    await screen.waitFor("still again");
    await reload(SHELL_NIX, /devshell: reloaded: .*-ADDED/);
    screen.type("exit 5\r");
    expect(await screen.exited).toBe(5);
    expect(readdirSync(root).filter((name) => name.startsWith("devshell-session-"))).toEqual([]);
  }, 90_000);

  it("ends cleanly on Ctrl-C while it builds", async () => {
    const directory = project("slow", { "shell.nix": SHELL_NIX.replace("mkdir -p $out/bin;", "sleep 60;") });
    await using screen = new Screen("/bin/bash", ["--norc", "-i"], {
      cwd: directory,
      env: environmentOf({ PS1: "outer> " }),
    });
    await screen.waitFor("outer>");
    screen.type(`stty -g >before; ${DEVSHELL}\r`);
    await screen.waitFor("tool-1.2");
    screen.type("\x03");
    await screen.waitFor(/devshell: interrupted[^]*outer>/);
    screen.type('echo "status=$?"; stty -g >after; cmp before after && echo same\r');
    await screen.waitFor("status=130");
    await screen.waitFor(/^same$/m);
  });

  it("runs scripts by their first lines", () => {
    const directory = project("script");
    const file = join(directory, "greet");
    writeFileSync(
      file,
      `#!/usr/bin/env devshell\n#! devshell -i 'sh -e' shell.nix\ntool; echo "$GREETING $1"; exit 4\n`,
      { mode: 0o755 },
    );
    const bin = resolve(DEVSHELL, "..");
    const result = spawnSync(file, ["you there"], {
      cwd: directory,
      env: environmentOf({ PATH: `${bin}:/usr/bin:/bin` }),
      encoding: "utf8",
    });
    expect(result.stdout).toBe("tool 1.2\nhello you there\n");
    expect(result.status).toBe(4);
  });

  it("enters data specs of every syntax, with scripts and variables of their own", () => {
    const collection = `{ ... }:
      let make = args: derivation ({ system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; } // args);
      in {
        tool = make { name = "tool"; args = [ "-c" "mkdir -p $out; echo data > $out/word" ]; };
        mkShell = { nativeBuildInputs, ... }@args: make (args // { WORDS = nativeBuildInputs; });
      }`;
    const specs: Record<string, string> = {
      "devshell.yaml":
        "collection: ./collection.nix\npackages: [tool]\nenv: { WHO: you }\nscripts: { hail: 'echo hail $WHO' }\n",
      "devshell.json":
        '{"collection":"./collection.nix","packages":["tool"],"env":{"WHO":"you"},"scripts":{"hail":"echo hail $WHO"}}',
      "devshell.toml":
        'collection = "./collection.nix"\npackages = ["tool"]\n[env]\nWHO = "you"\n[scripts]\nhail = "echo hail $WHO"\n',
    };
    for (const [file, text] of Object.entries(specs)) {
      const directory = project(`data-${file}`, { [file]: text, "collection.nix": collection });
      const result = devshell(directory, ["run", "--", "sh", "-c", "hail; cat $WORDS/word"]);
      expect(result).toMatchObject({ out: "hail you\ndata\n", status: 0 });
    }
    const wrong = project("data-wrong", {
      "devshell.yaml": "collection: ./collection.nix\npakages: [tool]\n",
    });
    expect(devshell(wrong, ["run", "true"]).err).toMatch(
      /unknown field "pakages"[^]*devshell\.yaml:2:1[^]*packages/,
    );
  });

  it("takes its script from standard input where there is no terminal", () => {
    const { out } = devshell(project("stdin"), [], {
      input: "read line\nfirst\ntool; echo $line; greet() { echo x; }; greet\n",
    });
    expect(out).toBe("tool 1.2\nfirst\nx\n");
  });
});

describe("commands", () => {
  it("evaluate, instantiate, build and look into the store", () => {
    const directory = project("commands");
    expect(devshell(directory, ["eval", "-E", '{ a = 1 + 1; b = "x"; }']).out).toBe('{ a = 2; b = "x"; }\n');
    expect(devshell(directory, ["eval", "-E", "x: x"]).out).toContain("«lambda");
    expect(devshell(directory, ["eval", "--json", "-E", '[ 1 "é" null ]']).out).toBe('[1,"é",null]\n');
    expect(devshell(directory, ["eval", "--raw", "-E", '"a\\nb"']).out).toBe("a\nb");
    expect(devshell(directory, ["instantiate", "shell.nix"]).out).toMatch(/^\/.*-project\.drv\n$/);
    const [built] = devshell(directory, ["build", "-E", "(import ./shell.nix).tool"]).out.split("\n");
    expect(built).toMatch(/-tool-1\.2$/);
    expect(existsSync(join(directory, "result/bin/tool"))).toBe(true);
    expect(devshell(directory, ["store", "path-info", "./result"]).out).toContain(`${built}\n`);
    expect(devshell(directory, ["store", "ls", "-r", "./result"]).out).toMatch(/-r-xr-xr-x +\d+ bin\/tool\n/);
    expect(devshell(directory, ["store", "cat", "./result/bin/tool"]).out).toBe("#!/bin/sh\necho tool 1.2\n");
    expect(devshell(directory, ["store", "roots"]).out).toContain(`result -> ${built}`);
    expect(devshell(directory, ["store", "verify", "--check-contents"])).toMatchObject({ status: 0 });
    const added = devshell(directory, ["store", "add", "shell.nix"]).out.trim();
    expect(readFileSync(added, "utf8")).toBe(SHELL_NIX);
    expect(devshell(directory, ["gc"]).out).toMatch(/^\d+ paths deleted/);
    expect(existsSync(added)).toBe(false);
    expect(existsSync(String(built))).toBe(true);
  });

  it("dump and restore trees byte for byte", () => {
    const directory = project("nar", { a: "one" });
    const dumped = spawnSync(DEVSHELL, ["store", "dump", "."], { cwd: directory, env: environmentOf() });
    const restored = spawnSync(DEVSHELL, ["store", "restore", "../nar-copy"], {
      cwd: directory,
      env: environmentOf(),
      input: dumped.stdout,
    });
    expect(restored.status).toBe(0);
    expect(readFileSync(join(root, "nar-copy/a"), "utf8")).toBe("one");
  });

  it("print the environment for shells and editors", () => {
    const directory = project("print");
    const { out } = devshell(directory, ["env", "--sh"]);
    expect(spawnSync("/bin/sh", ["-c", `${out}\necho $GREETING`], { encoding: "utf8" }).stdout).toBe(
      "hello\n",
    );
    expect(JSON.parse(devshell(directory, ["env", "--json"]).out)).toMatchObject({
      protocol: 1,
      state: "ready",
      name: "project",
    });
    expect(devshell(directory, ["explain", "GREETING"]).out).toContain(
      "GREETING is set by an attribute of the derivation",
    );
    expect(devshell(directory, ["diff"]).out).toContain("+ GREETING=hello\n");
    const missing = devshell(directory, ["explain", "GREETIN"]);
    expect(missing.err).toMatch(/does not set it[^]*GREETING/);
  });

  it("start from templates and refuse to write over files", () => {
    const directory = project("start", {});
    expect(devshell(directory, ["init"]).out).toMatch(/^c +gcc/);
    expect(devshell(directory, ["init", "c", "new"]).status).toBe(0);
    expect(existsSync(join(directory, "new/devshell.yaml"))).toBe(true);
    expect(devshell(directory, ["init", "c", "new"])).toMatchObject({ status: 1 });
    expect(devshell(directory, ["init", "cobol"]).err).toContain(
      'no template named "cobol"'.replace("no", "a"),
    );
  });

  it("guess what was meant, and end with 1", () => {
    expect(devshell(root, ["buidl"])).toMatchObject({ status: 1, out: "" });
    expect(devshell(root, ["buidl"]).err).toMatch(/did you mean '?build/i);
    expect(devshell(root, ["env", "--jsno"]).err).toMatch(/did you mean '?--json/i);
    const { err, status } = devshell(root, ["--json", "-E", "1 +", "--run", "true"]);
    const events = err
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly kind: string });
    expect(status).toBe(1);
    expect(events.at(-1)?.kind).toBe("error");
    expect(devshell(root, ["allow"])).toMatchObject({ status: 1 });
    expect(devshell(root, ["allow"]).err).toContain("not built yet");
  });

  it("link the drop-in commands", () => {
    const directory = project("compat", {});
    expect(devshell(directory, ["compat", "bin"]).status).toBe(0);
    expect(readdirSync(join(directory, "bin"))).toContain("nix-shell");
    expect(devshell(directory, ["compat", "bin"]).status).toBe(0);
  });

  it("end quietly when their reader is gone", () => {
    const result = spawnSync(
      "/bin/sh",
      ["-c", `${DEVSHELL} help build | head -n 1; ${DEVSHELL} completion fish | true`],
      { env: environmentOf(), encoding: "utf8" },
    );
    expect(result.stderr).toBe("");
  });

  it.each([
    ["bash", ["-n"]],
    ["zsh", ["-n"]],
    ["fish", ["-n"]],
  ])("complete in %s", (shell, check) => {
    const text = devshell(root, ["completion", shell]).out;
    expect(text).toContain("path-info");
    // The shells that are here must be able to read it.
    if (spawnSync(shell, ["-c", "true"]).status === 0) {
      const file = join(root, `completion.${shell}`);
      writeFileSync(file, text);
      expect(spawnSync(shell, [...check, file], { encoding: "utf8" })).toMatchObject({
        status: 0,
        stderr: "",
      });
    }
  });

  it("complete words in Bash", () => {
    const text = devshell(root, ["completion", "bash"]).out;
    const complete = (...words: string[]) =>
      spawnSync(
        "bash",
        [
          "-c",
          `${text}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _devshell; printf '%s\\n' "\${COMPREPLY[@]}"`,
          "bash",
          ...words,
        ],
        { encoding: "utf8", cwd: join(root, "completing"), env: environmentOf() },
      )
        .stdout.trim()
        .split("\n");
    mkdirSync(join(root, "completing"));
    expect(complete("devshell", "do")).toEqual(["doctor"]);
    expect(complete("devshell", "store", "p")).toEqual(["path-info"]);
    expect(complete("devshell", "--argst")).toEqual(["--argstr"]);
  });

  it("say what the machine allows", () => {
    const { out } = devshell(root, ["doctor"]);
    expect(out).toContain("as the variables say");
    expect(JSON.parse(devshell(root, ["doctor", "--json"]).out)).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "store", state: "good" })]),
    );
  });
});
