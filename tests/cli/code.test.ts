import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchText } from "../../cli/commands/code.ts";
import { findEditor, hasExtension, installExtension } from "../../cli/editor.ts";
import { readEditorWords } from "../../cli/editorWords.ts";
import { parseCommand } from "../../cli/parseCommand.ts";
import { findCommand } from "../../cli/commandTable.ts";
import { fakeEnvironment, fakeRecord } from "../shell/fakeRecord.ts";

const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

/** An editor that writes down how it was started; a directory of extensions, a status as asked for. */
const STUB = `#!/bin/sh
case $1 in
  --list-extensions) cat "$STUB_DIR/extensions"; exit 0 ;;
  --install-extension) echo "installed $*"; echo devshell.devshell >>"$STUB_DIR/extensions"; exit "\${STUB_INSTALL:-0}" ;;
esac
{ pwd; printf '%s\\n' "$#" "$@"; } >"$STUB_DIR/words"
env >"$STUB_DIR/env"
exit "\${STUB_STATUS:-0}"
`;

const SHELL_NIX = `
let
  project = greeting: hook: derivation {
    name = "project";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    GREETING = greeting;
    shellHook = hook;
  };
in
project "hello" "export HOOKED=$PWD; export PATH=/tool/bin:$PATH" // { other = project "other" ""; }
`;

let root: string;
let bin: string;
let project: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-"));
  bin = join(root, "bin");
  project = join(root, "a project");
  mkdirSync(bin);
  mkdirSync(project);
  mkdirSync(join(root, "stub"));
  for (const name of ["code", "my editor", "codium"]) writeFileSync(join(bin, name), STUB, { mode: 0o755 });
  writeFileSync(join(project, "shell.nix"), SHELL_NIX);
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function code(args: readonly string[], env: Record<string, string> = {}, cwd = project) {
  for (const file of ["words", "env"]) rmSync(join(root, "stub", file), { force: true });
  const result = spawnSync(DEVSHELL, ["code", ...args], {
    cwd,
    env: {
      PATH: `${bin}:/usr/bin:/bin`,
      HOME: root,
      TMPDIR: root,
      LANG: "C.UTF-8",
      DEVSHELL_CACHE_DIR: join(root, "cache"),
      NIX_STORE_DIR: join(root, "store"),
      NIX_STATE_DIR: join(root, "var"),
      NIX_LOG_DIR: join(root, "log"),
      NIX_CONF_DIR: join(root, "etc"),
      NIX_CONFIG: "sandbox = false\nsubstituters =\n",
      STUB_DIR: join(root, "stub"),
      ...env,
    },
    encoding: "utf8",
    input: "",
  });
  const read = (file: string): string[] => {
    try {
      return readFileSync(join(root, "stub", file), "utf8")
        .trimEnd()
        .split("\n");
    } catch {
      return [];
    }
  };
  const variables = Object.fromEntries(read("env").map((line) => line.split(/=(.*)/s).slice(0, 2)));
  const [directory, , ...words] = read("words");
  return {
    status: result.status,
    signal: result.signal,
    out: result.stdout,
    err: result.stderr,
    directory,
    words,
    variables: variables as Record<string, string>,
  };
}
const setExtensions = (text: string): void => writeFileSync(join(root, "stub/extensions"), text);

describe("devshell code", () => {
  it("starts the editor in the environment, its hook and all, with its own status", () => {
    setExtensions("ms-python.python\nDevshell.devshell\n");
    const { status, err, directory, words, variables } = code([], {
      STUB_STATUS: "7",
      MINE: "x",
      SHELL: "/bin/fish",
    });
    expect({ status, words, directory }).toEqual({ status: 7, words: [project], directory: project });
    expect(variables).toMatchObject({ GREETING: "hello", HOOKED: project, MINE: "x", SHELL: "/bin/fish" });
    expect(variables["PATH"]).toMatch(/^\/tool\/bin:.*\/bin/);
    const launch = JSON.parse(variables["DEVSHELL_EDITOR_LAUNCH"] ?? "") as { changes: string[][] };
    expect(launch).toMatchObject({ directory: project, selection: [] });
    expect(launch.changes).toEqual(
      expect.arrayContaining([
        ["GREETING", null],
        ["HOOKED", null],
        ["PATH", `${bin}:/usr/bin:/bin`, variables["PATH"]],
      ]),
    );
    expect(err).not.toContain("--install-extension");
    const ours = Object.keys(variables).filter((name) => /^devshell_|^DEVSHELL_/.test(name));
    expect(ours.toSorted()).toEqual(["DEVSHELL_CACHE_DIR", "DEVSHELL_EDITOR_LAUNCH"]);
  });

  it("opens another directory; the editor's words are relative to where they were typed", () => {
    const { directory, words, variables } = code(["a project/", "--", "--goto", "x y.c:3", "--"], {}, root);
    expect({ directory, words }).toEqual({ directory: root, words: [project, "--goto", "x y.c:3", "--"] });
    expect(variables).toMatchObject({ GREETING: "hello", HOOKED: project });
  });

  it("passes an attribute on to the environment and to the extension", () => {
    const { variables, words } = code(
      ["-A", "other", "--quiet", "--editor", "codium", "--", "-A", "theirs"],
      {
        DEVSHELL_EDITOR_LAUNCH: "of an outer editor",
      },
    );
    expect(words).toEqual([project, "-A", "theirs"]);
    expect(variables["GREETING"]).toBe("other");
    expect(JSON.parse(variables["DEVSHELL_EDITOR_LAUNCH"] ?? "")).toMatchObject({
      directory: project,
      selection: ["-A", "other"],
    });
  });

  it("keeps the window's variables and the machine's programs where the environment is pure", () => {
    const { variables } = code(["--pure"], { DBUS_SESSION_BUS_ADDRESS: "unix:x" });
    expect(variables).toMatchObject({ GREETING: "hello", DBUS_SESSION_BUS_ADDRESS: "unix:x" });
    expect(variables["PATH"]?.endsWith(`:${bin}:/usr/bin:/bin`)).toBe(true);
  });

  it("hints at the extension where it is missing, and installs it only when told to", () => {
    setExtensions("ms-python.python\n");
    expect(code([]).err).toContain("`devshell code --install-extension` installs it\n");
    expect(code(["--quiet"]).err).not.toContain("--install-extension");
    expect(readFileSync(join(root, "stub/extensions"), "utf8")).toBe("ms-python.python\n");
  });

  it("says what is wrong before anything is made", () => {
    const failing = (args: string[], env: Record<string, string> = {}): string => {
      const { status, words, err } = code(args, env);
      expect({ status, words }).toEqual({ status: 1, words: [] });
      return err;
    };
    expect(failing([], { PATH: "/usr/bin:/bin" })).toContain("name one by --editor or in DEVSHELL_EDITOR");
    expect(failing(["--editor", "nosuch"])).toContain('Cannot find the editor "nosuch"');
    expect(failing(["nosuch"])).toContain('Cannot open "nosuch": there is no such directory');
  });
});

describe("readEditorWords", () => {
  const read = (...argv: string[]) => {
    const command = findCommand("code");
    if (command === undefined) throw new Error("no command code");
    const parsed = parseCommand(command, argv);
    if (parsed === "help") throw new Error("help");
    return readEditorWords(argv, parsed.flags, root);
  };

  it("tells directory, selection and the editor's words apart", () => {
    expect(read()).toEqual({ directory: root, selecting: [], specWords: [], selection: [], editorWords: [] });
    expect(read("-A", "bin", "bin", "--editor", "x", "--", "bin", "-p")).toEqual({
      directory: bin,
      selecting: ["-A", "bin", "--editor", "x"],
      specWords: [],
      selection: ["-A", "bin"],
      editorWords: ["bin", "-p"],
    });
    expect(read("<debian>", "-A", "pan")).toMatchObject({
      directory: root,
      specWords: ["<debian>"],
      selection: ["<debian>", "-A", "pan"],
    });
    expect(read("-p", "bin", "jq")).toMatchObject({ directory: root, specWords: ["bin", "jq"] });
  });

  it("refuses what it cannot tell apart", () => {
    expect(() => read("bin", "<debian>")).toThrow("Cannot open a directory and enter something else");
    expect(() => read("bin", "stub")).toThrow("Cannot open a directory");
    expect(() => read("stub/extensions")).toThrow("it is not a Nix expression");
  });
});

describe("findEditor", () => {
  it("takes --editor, then DEVSHELL_EDITOR, then the first that is known", () => {
    const environment = { PATH: bin, DEVSHELL_EDITOR: "codium --wait -n" };
    expect(findEditor("my editor", environment, root)).toEqual([join(bin, "my editor")]);
    expect(findEditor("./bin/code", environment, root)).toEqual([join(bin, "code")]);
    expect(findEditor(undefined, environment, root)).toEqual([join(bin, "codium"), "--wait", "-n"]);
    expect(findEditor(undefined, { PATH: `/none:${bin}`, DEVSHELL_EDITOR: "" }, root)).toEqual([
      join(bin, "code"),
    ]);
    expect(() => findEditor(undefined, { DEVSHELL_EDITOR: "x" }, root)).toThrow('Cannot find the editor "x"');
  });
});

describe("the editor's extensions", () => {
  it("are asked for without waiting long, and of editors only that understand the question", async () => {
    setExtensions("devshell.devshell\n");
    process.env["STUB_DIR"] = join(root, "stub");
    try {
      using known = hasExtension([join(bin, "code")]);
      expect(await known.within(10_000)).toBe(true);
      using other = hasExtension([join(bin, "my editor")]);
      expect(await other.within(10_000)).toBeUndefined();
      const slow = join(root, "slow");
      mkdirSync(slow);
      writeFileSync(join(slow, "code"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
      using stuck = hasExtension([join(slow, "code")]);
      expect(await stuck.within(50)).toBeUndefined();
    } finally {
      delete process.env["STUB_DIR"];
    }
  });

  it("are joined by the packaged one", async () => {
    const dist = join(root, "dist");
    mkdirSync(dist);
    process.env["STUB_DIR"] = join(root, "stub");
    try {
      await expect(installExtension([join(bin, "code")], dist)).rejects.toMatchObject({
        code: "CLI_NO_EXTENSION",
      });
      writeFileSync(join(dist, "devshell-0.1.0.vsix"), "");
      setExtensions("");
      await installExtension([join(bin, "code")], dist);
      expect(readFileSync(join(root, "stub/extensions"), "utf8")).toBe("devshell.devshell\n");
      process.env["STUB_INSTALL"] = "3";
      await expect(installExtension([join(bin, "code")], dist)).rejects.toMatchObject({
        code: "CLI_EXTENSION_NOT_INSTALLED",
      });
    } finally {
      delete process.env["STUB_DIR"];
      delete process.env["STUB_INSTALL"];
    }
  });
});

describe("launchText", () => {
  it("is shell source that survives hostile names", () => {
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
    const odd = join(root, "it's $(x) `y`\n\"z");
    mkdirSync(odd);
    symlinkSync(join(bin, "code"), join(odd, "code"));
    try {
      const record = fakeRecord(odd, fakeEnvironment(odd, { GREETER: "fake" }));
      const text = launchText({
        record,
        directory: odd,
        caller: root,
        shell: "/bin/o'd",
        launch: "$x'y",
        words: [join(odd, "code"), odd, "a\nb", ""],
      });
      const env = { PATH: "/usr/bin:/bin", STUB_DIR: join(root, "stub") };
      const { status, stderr } = spawnSync("/bin/sh", ["-c", text], { cwd: root, env, encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(readFileSync(join(root, "stub/words"), "utf8")).toBe(`${root}\n3\n${odd}\na\nb\n\n`);
      expect(readFileSync(join(root, "stub/env"), "utf8")).toMatch(
        /^GREETER=fake$[^]*^SHELL=\/bin\/o'd$|^SHELL=\/bin\/o'd$[^]*^GREETER=fake$/m,
      );
    } finally {
      delete process.env["DEVSHELL_CACHE_DIR"];
    }
  });
});
