import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NIX_VERSION } from "../../core/index.ts";
import { Screen } from "../shell/screen.ts";
import { TestCommands, type CommandResult } from "./testCommands.ts";

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands();
  ({ root } = commands);
});

afterAll(() => commands[Symbol.dispose]());

const GREETING = `Nix ${NIX_VERSION} debugger\nType :? for help.\n`;
const GLOBALS =
  "abort baseNameOf break builtins derivation derivationStrict dirOf false fetchGit fetchMercurial fetchTarball fetchTree fromTOML import isNull map null placeholder removeAttrs scopedImport throw toString true \n";

/** What the debugger of `nix eval` prints for an expression, given these lines. */
function debug(text: string, input: string, ...flags: string[]): CommandResult {
  writeFileSync(join(root, "debugged.nix"), text);
  return commands.run("nix", ["eval", "--file", "./debugged.nix", "--debugger", ...flags], { input });
}

describe("nix eval --debugger", () => {
  it("shows traces, variables and values where something fails, and ends with the failure", () => {
    const { status, out, err } = debug(
      'let\n  x = 1;\nin\n(y: throw "oh snap") 42\n',
      ":bt\n:env\nx + y\n:q\n",
    );
    const file = join(root, "debugged.nix");
    const excerpt = '     3| in\n     4| (y: throw "oh snap") 42\n';
    expect(out).toBe(
      `\n0: error: oh snap\n${file}:4:5\n\n${excerpt}      |     ^\n     5| \n` +
        `\n1: while calling a function\n${file}:4:5\n\n${excerpt}      |     ^\n     5| \n` +
        `\n2: while calling anonymous lambda\n${file}:4:2\n\n${excerpt}      |  ^\n     5| \n` +
        `\n3: while calling a function\n${file}:4:1\n\n${excerpt}      | ^\n     5| \n` +
        "\n4: while evaluating a 'let' expression\n" +
        `\n5: while evaluating the file '${file}':\n\n` +
        `Env level 0\nstatic: y \n\nEnv level 1\nstatic: x \n\nEnv level 2\n${GLOBALS}\n\n43\n\n`,
    );
    expect(status).toBe(1);
    expect(err.startsWith(`error: oh snap\n\n${GREETING}`)).toBe(true);
    expect(err).toContain(`… while evaluating the file '${file}':`);
    expect(err.endsWith("error: oh snap\n")).toBe(true);
  });

  it("goes on after a breakpoint, and looks at any part of what is evaluated", () => {
    const text = "let\n  a = 1;\nin\nlet\n  b = break a;\nin\nb + 1\n";
    const { status, out, err } = debug(text, ":st 3\nb\n:st 2\na\n:c\n");
    expect([status, err]).toEqual([
      0,
      `info: breakpoint reached\n\n${GREETING}error: undefined variable 'b'\n       at «string»:1:1:\n            1| b\n             | ^\n`,
    ]);
    expect(out).toBe(
      `\n3: while evaluating a 'let' expression\n\nEnv level 0\nstatic: a \n\nEnv level 1\n${GLOBALS}\n\n\n` +
        `\n2: while evaluating a 'let' expression\n\nEnv level 0\nstatic: b \n\nEnv level 1\nstatic: a \n\nEnv level 2\n${GLOBALS}\n\n` +
        "1\n\n2\n",
    );
  });

  it("leaves at the end of its input, and tells of tryEval", () => {
    const { status, err } = debug('builtins.tryEval (throw "tried")', "");
    expect(status).toBe(1);
    expect(err).toContain("This exception occurred in a 'tryEval' call. Use --ignore-try to skip these.\n");
    expect(debug('builtins.tryEval (throw "tried")', "", "--ignore-try")).toMatchObject({
      status: 0,
      err: "",
      out: "{ success = false; value = false; }\n",
    });
  });

  it("stops at warnings and traces where settings say so, and leaves without failure there", () => {
    const text = 'builtins.trace "t" (builtins.warn "w" 1)';
    expect(debug(text, "")).toMatchObject({ status: 0, out: "1\n" });
    expect(debug(text, ":c\n", "--debugger-on-warn").err).toContain(`evaluation warning: w\n${GREETING}`);
    expect(debug(text, ":q\n", "--debugger-on-trace")).toMatchObject({ status: 0, out: "" });
  });

  it("builds and loads while evaluation waits, and goes on after what fails", () => {
    writeFileSync(join(root, "extra.nix"), "{ extra = 5; }");
    const drv =
      'derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo x > $out" ]; }';
    const { out, err } = debug(
      `let d = ${drv}; in break 7`,
      ":l ./extra.nix\nextra\n:b d\n:log d\n:nope\n:t d\n{\n a = 1; }\n:?\n:c\n",
      "--impure",
    );
    expect(out).toMatch(
      /^\n5\n\n\nThis derivation produced the following outputs:\n  out -> \S+-made\n\n\n\na set\n\n\{ a = 1; \}/,
    );
    expect(out).toContain(":bt, :backtrace");
    expect(out.endsWith("\n7\n")).toBe(true);
    expect(err).toContain("Cannot show a log here");
    expect(err).toContain("unknown command ':nope'");
  });

  it("is there for nix-instantiate, nix-build and nix repl, where it reads the same lines", () => {
    const { out, err, status } = commands.run(
      "nix-instantiate",
      ["--eval", "--debugger", "-E", "[ (break 3) ]", "--strict"],
      {
        input: "1 + 1\n:c\n",
      },
    );
    expect([status, out]).toEqual([0, "2\n\n[ 3 ]\n"]);
    expect(err).toContain("info: breakpoint reached");
    mkdirSync(join(root, "empty"), { recursive: true });
    const repl = commands.run("nix", ["repl", "--debugger"], {
      input: "x = 4\n(y: break y) x\ny * 10\n:c\nx\n:q\nx + 100\n",
      cwd: "empty",
    });
    expect(repl.out).toBe("\n40\n\n4\n\n4\n\n");
    expect(repl.err).toBe(`${GREETING}info: breakpoint reached\n\n`);
  });

  it("keeps nothing of what it prints", () => {
    const text = "builtins.break 9";
    expect(debug(text, ":c\n").err).toContain("breakpoint");
    expect(debug(text, ":c\n").err).toContain("breakpoint");
    expect(commands.run("nix", ["eval", "--file", "./debugged.nix"])).toMatchObject({ out: "9\n", err: "" });
  });
});

describe("the debugger at a terminal", () => {
  /** The debugger at a breakpoint; then its status, and `same` where the terminal is as it was. */
  async function stopped(name: string): Promise<Screen> {
    writeFileSync(join(root, "stopped.nix"), "let alpha = 20; in builtins.break alpha + 1");
    const nix = `sh -c 'echo $$ >${name}; exec ./bin/nix eval --file ./stopped.nix --debugger'`;
    const script = `trap : INT; stty -g >${name}-before; ${nix}; echo "status=$?"; stty -g | cmp - ${name}-before && echo same`;
    const screen = new Screen("/bin/sh", ["-c", script], { cwd: root, env: commands.environment() });
    await screen.waitFor("nix-repl>");
    return screen;
  }

  it("edits lines, with history and completion, and gives them up on Ctrl-C", async () => {
    await using screen = await stopped("edited");
    screen.type("alpha * 3\x1b[D\x7f\x7f");
    await screen.waitFor(/^nix-repl> alpha 3$/m);
    screen.type("+ ");
    await screen.waitFor(/^nix-repl> alpha \+ 3$/m);
    screen.type("\r");
    await screen.waitFor(/^nix-repl> alpha \+ 3\n23$/m);
    screen.type("\x1b[A");
    await screen.waitFor(/^23\n\nnix-repl> alpha \+ 3$/m);
    screen.type("3\r");
    await screen.waitFor(/^53$/m);
    screen.type("(1 +\rgone\x031 + 1\r");
    await screen.waitFor(/^nix-repl> \(1 \+\n {8}> gone\n\nnix-repl> 1 \+ 1\n2$/m);
    screen.type("al\t");
    await screen.waitFor(/^nix-repl> alpha$/m);
    screen.type(" + 7\r");
    await screen.waitFor(/^27$/m);
    screen.type(":c\r");
    await screen.waitFor(/^21\nstatus=0\nsame$/m);
  });

  it("interrupts an evaluation on Ctrl-C, and what it was within goes on", async () => {
    await using screen = await stopped("interrupted");
    const fibonacci = "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f (alpha * 5)";
    screen.type(`slow = builtins.trace "begun" (${fibonacci})\rslow\r`);
    await screen.waitFor(/^trace: begun$/m);
    screen.type("\x03");
    await screen.waitFor(/^trace: begun\n\^C\nerror: interrupted by the user\n\nnix-repl>$/m);
    // It is evaluated anew, and not found to be under evaluation.
    screen.type("[ slow ]\r");
    await screen.waitFor(/^nix-repl> \[ slow \]\ntrace: begun$/m);
    screen.type("\x03");
    await screen.waitFor(/^trace: begun\n\^C\nerror: interrupted by the user\n\nnix-repl>$/m);
    screen.type(":c\r");
    await screen.waitFor(/^21\nstatus=0\nsame$/m);
  });

  it("interrupts the evaluation that it is within, where this goes on", async () => {
    writeFileSync(
      join(root, "stopped.nix"),
      'let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in builtins.seq (break 1) (builtins.trace "on" (f 100))',
    );
    const script = "trap : INT; ./bin/nix eval --file ./stopped.nix --debugger; echo status=$?";
    await using screen = new Screen("/bin/sh", ["-c", script], { cwd: root, env: commands.environment() });
    await screen.waitFor("nix-repl>");
    screen.type(":c\r");
    await screen.waitFor(/^trace: on$/m);
    screen.type("\x03");
    await screen.waitFor(/^\^Cdevshell: interrupted\nstatus=130$/m);
  });

  it("leaves the terminal as it was when it is left or killed", async () => {
    await using left = await stopped("left");
    await using killed = await stopped("killed");
    left.type("\x04");
    process.kill(Number(readFileSync(join(root, "killed"), "utf8")), "SIGTERM");
    await left.waitFor(/status=1\nsame$/);
    await killed.waitFor(/status=143\nsame$/);
  });
});
