import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BuildEnvironment } from "../../env/types.ts";
import { fakeEnvironment, fakeRecord } from "./fakeRecord.ts";
import { Screen } from "./screen.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const FIXTURE = join(import.meta.dirname, "fixtures/session.ts");

let root: string;
let home: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-"));
  home = join(root, "home");
  process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
});
afterEach(() => {
  delete process.env["DEVSHELL_CACHE_DIR"];
  rmSync(root, { recursive: true, force: true });
});

function environmentOf(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: home,
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    TMPDIR: root,
    XDG_RUNTIME_DIR: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "",
    ...extra,
  };
}

function project(variables: Record<string, string>, overrides: Partial<BuildEnvironment> = {}): string {
  return fakeRecord(home, fakeEnvironment(home, variables, overrides));
}

function open(record: string, extra: { trigger?: string; env?: Record<string, string> } = {}): Screen {
  return new Screen(
    "/bin/sh",
    [join(ROOT, "scripts/node"), FIXTURE, record, ...(extra.trigger === undefined ? [] : [extra.trigger])],
    { cwd: home, env: environmentOf(extra.env) },
  );
}

describe("session", () => {
  it("has the environment, its functions, the marker and the user's own rc before it", async () => {
    const record = project(
      { GREETER: "fake", ORDER: "environment", shellHook: 'ORDER="$ORDER hook"' },
      { shellHook: 'ORDER="$ORDER hook"' },
    );
    writeFileSync(join(home, ".bashrc"), "ORDER=rc; PS1='mine> '; alias hi='echo aliased'\n");
    await using screen = open(record);
    await screen.waitFor("(devshell:fake) mine>");
    screen.type("hi; greet; echo order=$ORDER\r");
    const text = await screen.waitFor("order=environment hook");
    expect(text).toContain("\naliased\n");
    expect(text).toContain("greetings from fake");
    screen.type("exit 7\r");
    expect(await screen.exited).toBe(7);
  });

  it("keeps a prompt that a hook wrote, and writes no marker when told so", async () => {
    const record = project({ shellHook: "PS1='hooked> '" }, { shellHook: "PS1='hooked> '" });
    await using screen = open(record);
    await screen.waitFor(/^hooked> $|^hooked>$/m);
    expect(screen.text()).not.toContain("(devshell:");
    await using plain = open(project({}), { env: { NIX_SHELL_PRESERVE_PROMPT: "1" } });
    plain.type("echo ready$((1+1))\r");
    await plain.waitFor("ready2");
    expect(plain.text()).not.toContain("(devshell:");
  });

  it("passes Ctrl-C, Ctrl-Z, Ctrl-D, Unicode and resizing on", async () => {
    await using screen = open(project({}));
    await screen.waitFor("(devshell:fake)");
    screen.type("sleep 100\r");
    await new Promise((done) => setTimeout(done, 300));
    screen.type("\x03");
    screen.type("echo status=$?\r");
    await screen.waitFor("status=130");
    screen.type("sleep 100\r");
    await new Promise((done) => setTimeout(done, 300));
    screen.type("\x1a");
    await screen.waitFor("Stopped");
    screen.type("kill %1; echo 'grüße 世界 🎉'\r");
    await screen.waitFor(/\ngrüße 世界 🎉/);
    screen.resize(71, 20);
    await new Promise((done) => setTimeout(done, 300));
    screen.type("stty size\r");
    await screen.waitFor("20 71");
    screen.type("\x04");
    expect(await screen.exited).not.toBe(255);
  });

  it("shows keys typed before the first prompt once", async () => {
    const record = project({});
    writeFileSync(join(home, ".bashrc"), "echo early >&2; sleep 1; PS1='mine> '\n");
    await using screen = open(record);
    await screen.waitFor("early");
    screen.type("echo typed\r");
    await screen.waitFor(/\ntyped\n/);
    expect(screen.text().match(/typed/g)).toHaveLength(2);
  });

  it("suspends as a whole, and comes back", async () => {
    const record = project({});
    await using screen = new Screen("/bin/bash", ["--norc", "-i"], { cwd: home, env: environmentOf() });
    screen.type(`PS1='outer> '; ${ROOT}/scripts/node ${FIXTURE} ${record}\r`);
    await screen.waitFor("(devshell:fake)");
    screen.type("suspend\r");
    await screen.waitFor(/Stopped[^]*\nouter>$/);
    screen.type("stty -a | grep -c ' icanon'\r");
    await screen.waitFor("\n1\n");
    screen.type("fg\r");
    await new Promise((done) => setTimeout(done, 500));
    screen.type("echo back$((1+1))\r");
    await screen.waitFor("back2");
  });

  it("passes bytes as they are: no carriage return is added to a raw line feed", async () => {
    await using screen = open(project({}));
    await screen.waitFor("(devshell:fake)");
    screen.type("stty -opost; printf 'A\\nB\\n'; stty opost\r");
    await screen.waitFor(/B/);
    await new Promise((done) => setTimeout(done, 200));
    expect(screen.output).toContain("A\nB\n");
    expect(screen.output).not.toContain("A\r\nB");
  });

  it("puts the terminal back when the shell is killed within a full-screen program", async () => {
    const record = project({});
    const script = `stty -a >before; ${ROOT}/scripts/node ${FIXTURE} ${record}; echo "status=$?"; stty -a >after`;
    await using screen = new Screen("/bin/sh", ["-c", script], { cwd: home, env: environmentOf() });
    await screen.waitFor("(devshell:fake)");
    screen.type("printf '\\e[?1049h\\e[?1000h\\e[?2004h\\e[?25l\\e[>1u'; kill -9 $$\r");
    await screen.waitFor("status=137");
    expect(screen.terminal.buffer.active.type).toBe("normal");
    expect(screen.terminal.modes.mouseTrackingMode).toBe("none");
    expect(screen.terminal.modes.bracketedPasteMode).toBe(false);
    expect(screen.output).toContain("\x1b[<1u");
    await screen.exited;
    expect(readFileSync(join(home, "after"), "utf8")).toBe(readFileSync(join(home, "before"), "utf8"));
  });

  it("applies a changed environment at the next prompt and says what changed", async () => {
    const first = project({ GREETER: "one", GONE: "here", PATH: "/env/one" });
    const second = project({ GREETER: "two", NEWER: "yes", PATH: "/env/two" });
    const trigger = join(root, "trigger");
    writeFileSync(trigger, "");
    await using screen = open(first, { trigger });
    await screen.waitFor("(devshell:fake)");
    screen.type("PATH=/env/one:/usr/bin:/bin:/mine\r");
    writeFileSync(trigger, `echo ${second}\n`);
    await new Promise((done) => setTimeout(done, 1200));
    screen.type("\r");
    await screen.waitFor(/devshell: reloaded: .*\+NEWER.*-GONE/);
    screen.type('echo "$GREETER/$NEWER/${GONE-unset}"; echo "$PATH"; greet\r');
    const text = await screen.waitFor("greetings from two");
    expect(text).toContain("two/yes/unset");
    expect(text).toContain("\n/env/two:/usr/bin:/bin:/mine\n");
  });

  it("keeps what the user has set otherwise, where the spec did not change it", async () => {
    const first = project({ CC: "gcc", OPT: "1", TEXT: "a" });
    const second = project({ CC: "gcc", OPT: "2", TEXT: "b" });
    const trigger = join(root, "trigger");
    writeFileSync(trigger, "");
    await using screen = open(first, { trigger });
    await screen.waitFor("(devshell:fake)");
    screen.type("CC=clang OPT=mine\r");
    writeFileSync(trigger, `echo ${second}\n`);
    await new Promise((done) => setTimeout(done, 1200));
    screen.type("\r");
    await screen.waitFor("devshell: reloaded:");
    screen.type('echo "$CC/$OPT/$TEXT"\r');
    await screen.waitFor("clang/2/b");
  });

  it("keeps the old environment when the reload fails and says why", async () => {
    const first = project({ GREETER: "one" });
    const trigger = join(root, "trigger");
    writeFileSync(trigger, "");
    await using screen = open(first, { trigger });
    await screen.waitFor("(devshell:fake)");
    writeFileSync(trigger, "echo 'error: it broke at shell.nix:3:5' >&2; exit 1\n");
    await new Promise((done) => setTimeout(done, 1200));
    screen.type("\r");
    await screen.waitFor("cannot reload");
    await screen.waitFor("it broke at shell.nix:3:5");
    screen.type("greet\r");
    await screen.waitFor("greetings from one");
  });

  it("hangs up with its terminal", async () => {
    const record = project({});
    const screen = open(record);
    await screen.waitFor("(devshell:fake)");
    screen.type("echo shell=$$=\r");
    const pid = Number(/shell=(\d+)=/.exec(await screen.waitFor(/shell=\d+=/))?.[1]);
    screen.kill("SIGHUP");
    await screen.exited;
    await new Promise((done) => setTimeout(done, 300));
    expect(() => process.kill(pid, 0)).toThrow();
    await screen[Symbol.asyncDispose]();
  });
});
