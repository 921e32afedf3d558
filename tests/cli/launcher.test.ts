import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectionOf } from "../../cli/selection.ts";
import { selectionKey } from "../../env/cache/recordPaths.ts";
import { fakeEnvironment, fakeRecord } from "../shell/fakeRecord.ts";
import { Screen } from "../shell/screen.ts";

const ROOT = resolve(import.meta.dirname, "../..");

let root: string;
let project: string;
/** A package of its own: the launcher, and a "Node" that tells what it was started with. */
let launcher: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-"));
  project = join(root, "project");
  mkdirSync(join(root, "package/cli"), { recursive: true });
  mkdirSync(join(root, "package/dist"));
  launcher = join(root, "package/cli/devshell");
  cpSync(join(ROOT, "cli/devshell"), launcher);
  for (const file of ["stdin.bash", "plain.bash", "session.bash"])
    cpSync(join(ROOT, "shell", file), join(root, "package/shell", file));
  writeFileSync(join(root, "package/dist/main.mjs"), "");
  writeFileSync(
    join(root, "node"),
    // Answers on the launcher's descriptor where there is one, as the program does.
    `#!/bin/sh
while [ "\${1#--}" != "$1" ]; do shift; done
shift
if [ -n "\${FAKE_REPLY-}" ] && [ -n "\${DEVSHELL_REPLY_FD-}" ]; then printf '%s\\n' "$FAKE_REPLY" >&3; exit 0; fi
echo "node: $*"
[ -z "\${SHOWN-}" ] || eval "echo \\$$SHOWN"
exit "\${FAKE_STATUS:-0}"
`,
    { mode: 0o755 },
  );
  process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
  const environment = fakeEnvironment(project, { GREETER: "fake", QUOTED: "a'b\n\"$c\\" });
  for (const selection of [[], ["-A", "pan", "<debian>"], ["-p", "jq", "a b"], ["--argstr", "suite", "x"]])
    fakeRecord(project, environment, selection);
  fakeRecord(
    project,
    fakeEnvironment(project, { shellHook: "HOOKED=yes; export HOOKED" }, { shellHook: "HOOKED=yes" }),
    ["-A", "hooked"],
  );
  fakeRecord(project, fakeEnvironment(project, { GREETER: "pure" }, { isPure: true }), ["--pure"]);
});
afterAll(() => {
  delete process.env["DEVSHELL_CACHE_DIR"];
  rmSync(root, { recursive: true, force: true });
});

function environmentOf(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    TERM: "xterm-256color",
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    DEVSHELL_NODE: join(root, "node"),
    ...extra,
  };
}

function run(
  args: readonly string[],
  options: { input?: string; env?: Record<string, string>; cwd?: string; file?: string } = {},
) {
  const result = spawnSync(options.file ?? launcher, args, {
    cwd: options.cwd ?? project,
    env: environmentOf(options.env),
    input: options.input ?? "",
    encoding: "utf8",
  });
  return { status: result.status, signal: result.signal, out: result.stdout, err: result.stderr };
}

describe("launcher, warm", () => {
  it("runs a command without Node: words, standard input and status are its own", () => {
    const { status, out } = run(
      ["run", "--", "sh", "-c", 'printf "%s|" "$@"; cat; echo "$GREETER"; exit 7', "sh", "a b", "", "c'd"],
      { input: "in\n" },
    );
    expect(out).toBe("a b||c'd|in\nfake\n");
    expect(status).toBe(7);
  });

  it("gives values whole", () => {
    expect(run(["run", "--", "sh", "-c", 'printf %s "$QUOTED"']).out).toBe("a'b\n\"$c\\");
  });

  it("takes the first plain word of run as the command", () => {
    expect(run(["run", "echo", "--quiet", "x"]).out).toBe("--quiet x\n");
  });

  it("dies of the command's own signal", () => {
    expect(run(["run", "--", "sh", "-c", "kill -TERM $$"]).signal).toBe("SIGTERM");
  });

  it("runs a text of Bash that finds no words of ours, and says what it does not know", () => {
    expect(run(["--run", 'echo "$0 $# ${BASH_ENV-none}"; nosuch']).out).toBe("devshell 0 none\n");
    expect(run(["--run", "nosuch"])).toMatchObject({
      status: 127,
      err: "devshell: line 1: nosuch: command not found\n",
    });
    expect(run(["--pure", "--run", 'echo "$0 $# ${BASH_ENV-none}"']).out).toBe("devshell 0 none\n");
    expect(run(["run", "--", "nosuch"])).toMatchObject({
      status: 127,
      err: "devshell: nosuch: command not found in the environment\n",
    });
    expect(run(["run", "--", "./nosuch"]).status).toBe(127);
  });

  it("leaks none of its own variables", () => {
    const names = run(["run", "--", "env"])
      .out.split("\n")
      .map((line) => line.split("=")[0] ?? "");
    expect(new Set(names.filter((name) => /^(?:devshell_|DEVSHELL_)/.test(name)))).toEqual(
      new Set(["DEVSHELL_CACHE_DIR", "DEVSHELL_NODE"]),
    );
  });

  it("finds selections by their words", () => {
    expect(run(["run", "-A", "pan", "--", "echo", "x"]).out).toContain("node: run -A pan");
    expect(run(["-A", "pan", "<debian>", "--run", "echo $GREETER"]).out).toBe("fake\n");
    expect(run(["--run", "greet", "-p", "jq", "a b"]).out).toBe("greetings from fake\n");
    expect(run(["run", "--argstr", "suite", "x", "true"]).status).toBe(0);
  });

  it("runs shell hooks, for commands too", () => {
    expect(run(["run", "-A", "hooked", "--", "sh", "-c", "echo $HOOKED"]).out).toBe("yes\n");
    expect(run(["-A", "hooked", "--run", "echo $HOOKED; exit 3"])).toMatchObject({ out: "yes\n", status: 3 });
  });

  it("keeps nothing of the caller's when pure", () => {
    const { out } = run(["run", "--pure", "--", "/usr/bin/env"], { env: { FOREIGN: "1" } });
    expect(out).toContain("GREETER=pure\n");
    expect(out).not.toContain("FOREIGN");
    const text = run(["--pure", "--run", 'echo "${FOREIGN-none}"'], { env: { FOREIGN: "1" } });
    expect(text.out).toBe("none\n");
  });

  it("goes to Node for what it is not sure of", () => {
    for (const args of [
      ["run"],
      ["run", "--"],
      ["--run"],
      ["--verbose", "--run", "x"],
      ["run", "-j", "2", "true"],
      ["env"],
      ["--version"],
    ])
      expect(run(args).out).toBe(`node: ${args.join(" ")}\n`);
    expect(run(["run", "true"], { env: { DEVSHELL_NO_CACHE: "1" } }).out).toBe("node: run true\n");
  });

  it("works through symlinks and from PATH", () => {
    mkdirSync(join(root, "bin"), { recursive: true });
    symlinkSync("../bin/second", join(root, "bin/devshell"));
    symlinkSync("../package/cli/devshell", join(root, "bin/second"));
    const viaPath = run(["-c", "devshell --version"], {
      file: "/bin/sh",
      env: { PATH: `${root}/bin:/usr/bin:/bin` },
    });
    expect(viaPath.out).toBe("node: --version\n");
  });

  it("follows links of any name, and says what the limit of the stack was, whatever its caller's variables", () => {
    const strange = join(root, '12 a\n"$b\n3');
    mkdirSync(strange);
    symlinkSync(launcher, join(strange, "7\n8 c"));
    symlinkSync(join('12 a\n"$b\n3', "7\n8 c"), join(root, "devshell"));
    const env = { SHOWN: "DEVSHELL_STACK", devshell_stack: "64" };
    const script =
      'ulimit -S -s "$([ "$1" = hard ] && ulimit -H -s || echo "$1")" && ulimit -S -s && exec "$0" --version';
    for (const limit of ["4096", "hard"])
      for (const file of [launcher, join(root, "devshell")]) {
        const [set, ...told] = run(["-c", script, file, limit], { file: "/bin/sh", env }).out.split("\n");
        expect(set).toMatch(limit === "hard" ? /^[0-9a-z]+$/ : /^4096$/);
        expect(told).toEqual(["node: --version", set, ""]);
      }
  });
});

describe("launcher, cold", () => {
  it("enters what the program replies, with the caller's own words", () => {
    const record = fakeRecord(join(root, "cold"), fakeEnvironment(root, { GREETER: "cold" }), ["other"]);
    const cwd = join(root, "cold");
    const reply = `devshell_record='${record}' devshell_take=4`;
    expect(
      run(["run", "--", "sh", "-c", 'echo "$GREETER $0"', "a  b"], { cwd, env: { FAKE_REPLY: reply } }).out,
    ).toBe("cold a  b\n");
    const text = `devshell_enter '${record}' text 'greet; exit 4'`;
    expect(run(["--run", "x"], { cwd, env: { FAKE_REPLY: text } })).toMatchObject({
      status: 4,
      out: "greetings from cold\n",
    });
    const stdin = `devshell_enter '${record}' stdin`;
    expect(
      run([], { cwd, env: { FAKE_REPLY: stdin }, input: "read x\nline\necho got $x; greet\n" }).out,
    ).toBe("got line\ngreetings from cold\n");
  });

  it("ends with the program's status when there is nothing to enter", () => {
    const cwd = root;
    expect(run(["run", "true"], { cwd, env: { FAKE_STATUS: "1" } }).status).toBe(1);
    expect(run(["--run", "true"], { cwd, env: { FAKE_STATUS: "130" } }).status).toBe(130);
  });

  it("says so when no Node is found", () => {
    const { status, err } = run(["--version"], { env: { DEVSHELL_NODE: "", PATH: "/nonexistent" } });
    expect(status).toBe(1);
    expect(err).toContain("no Node 24 or newer");
  });
});

describe("selection", () => {
  const cases: [boolean, string[]][] = [
    [false, []],
    [false, ["."]],
    [false, ["<debian>", "-A", "pan", "--run", "x -A y"]],
    [false, ["--quiet", "--pure", "--keep", "A", "-I", "x=y"]],
    [false, ["--arg", "a", "{ }", "--argstr", "b", "c", "-E", "x: x"]],
    [true, ["--", "make", "-A", "x"]],
    [true, ["-f", "x.nix", "make", "-A", "x"]],
    [true, ["--option", "a", "b", "--pure", "--", "true"]],
  ];

  it.each(cases)("of the program and of the launcher are the same (%s %j)", (isRun, words) => {
    const key = selectionKey(selectionOf(words, isRun));
    // The launcher's own reading, stopped where it has the key.
    const script = `set -- ${[...(isRun ? ["run"] : []), ...words].map((word) => `'${word}'`).join(" ")}
eval "$(sed -n '/^devshell_warm() {/,/^}/p' '${launcher}')"
devshell_name=devshell DEVSHELL_CACHE_DIR='${root}/keys'
devshell_warm "$@"
printf %s "$devshell_key"`;
    const result = spawnSync("/bin/sh", ["-c", script], {
      cwd: project,
      env: environmentOf(),
      encoding: "utf8",
    });
    expect(result.stdout).toBe(key);
  });
});

describe("guard", () => {
  it("holds the echo back while the environment is made", async () => {
    const node = join(root, "slow-node");
    writeFileSync(node, "#!/bin/sh\nprintf 'making\\n' >&2\nread line\nexit 3\n", { mode: 0o755 });
    const script = `stty -g >before; ${launcher}; echo "status=$?"; stty -g >after; cmp before after && echo same`;
    await using screen = new Screen("/bin/sh", ["-c", script], {
      cwd: root,
      env: environmentOf({ DEVSHELL_NODE: node }),
    });
    await screen.waitFor("making");
    screen.type("typed\r");
    await screen.waitFor("same");
    expect(screen.text()).toContain("status=3");
    expect(screen.text()).not.toContain("typed");
  });

  it("ends with what it guards on Ctrl-C, and puts the echo back", async () => {
    const node = join(root, "stuck-node");
    writeFileSync(node, "#!/bin/sh\nprintf 'making\\n' >&2\nexec sleep 60\n", { mode: 0o755 });
    const script = `trap : INT; stty -g >before; ${launcher}; echo "status=$?"; stty -g >after; cmp before after && echo same`;
    await using screen = new Screen("/bin/sh", ["-c", script], {
      cwd: root,
      env: environmentOf({ DEVSHELL_NODE: node }),
    });
    await screen.waitFor("making");
    screen.type("\x03");
    await screen.waitFor("same");
    expect(screen.text()).toContain("status=130");
  });

  it("puts the terminal back when everything behind it is killed", async () => {
    writeFileSync(
      join(root, "wild-node"),
      `#!/bin/sh\nstty raw -echo\nprintf '\\033[?1049h\\033[?1000h\\033[?2004h'\nkill -9 $$\n`,
      { mode: 0o755 },
    );
    const script = `stty -g >before; ${launcher}; echo "status=$?"; stty -g >after; cmp before after && echo same`;
    await using screen = new Screen("/bin/sh", ["-c", script], {
      cwd: root,
      env: environmentOf({ DEVSHELL_NODE: join(root, "wild-node") }),
    });
    await screen.waitFor("status=137");
    await screen.waitFor("same");
    expect(screen.terminal.buffer.active.type).toBe("normal");
    expect(screen.terminal.modes.mouseTrackingMode).toBe("none");
    expect(screen.terminal.modes.bracketedPasteMode).toBe(false);
  });
});
