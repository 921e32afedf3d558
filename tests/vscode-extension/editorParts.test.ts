import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { describeLaunch } from "../../cli/editorLaunch.ts";
import { charactersOfBytes } from "../../vscode-extension/src/spec/byteColumns.ts";
import {
  browseConfiguration,
  fileConfiguration,
  hasCpp,
} from "../../vscode-extension/src/run/cppConfiguration.ts";
import { launchSelection, readLaunch } from "../../vscode-extension/src/environment/launch.ts";
import { ProcessEnvironment } from "../../vscode-extension/src/apply/processEnvironment.ts";
import { parseTemplates } from "../../vscode-extension/src/commands/templateList.ts";
import { sessionEnvironment, withoutVariables } from "../../vscode-extension/src/run/terminalOptions.ts";
import { prependTo, reportOf, setTo, unset } from "./reportOf.ts";

describe("cppConfiguration", () => {
  const report = reportOf({
    searchPaths: {
      programs: ["/e/bin"],
      headers: ["/e/include"],
      libraries: [],
      pkgConfig: [],
      compiler: "/e/bin/x86_64-linux-gnu-gcc-12",
    },
  });

  it("gives a file the environment's compiler and headers, after the project's own", () => {
    expect(fileConfiguration(report, "/project", "/project/sub/x.c", "x64")).toEqual({
      includePath: ["/project/sub", "/project", "/project/include", "/project/src", "/e/include"],
      defines: [],
      compilerPath: "/e/bin/x86_64-linux-gnu-gcc-12",
      intelliSenseMode: "linux-gcc-x64",
    });
    const searchPaths = { ...report.searchPaths, compiler: "/e/bin/clang-16" };
    expect(fileConfiguration({ ...report, searchPaths }, "/project", "/project/x.c", "arm64")).toMatchObject({
      intelliSenseMode: "linux-clang-arm64",
    });
    expect(browseConfiguration(report, "/project").browsePath).toEqual(["/project/**", "/e/include"]);
  });

  it("says nothing of environments without a compiler and headers", () => {
    expect([hasCpp(report), hasCpp(reportOf())]).toEqual([true, false]);
  });
});

describe("sessionEnvironment", () => {
  it("starts from the user's variables, without the extension host's own", () => {
    const base = {
      PATH: "/usr/bin",
      LANG: "de_DE.UTF-8",
      VSCODE_IPC_HOOK_CLI: "/run/x",
      VSCODE_PID: "1",
      VSCODE_NLS_CONFIG: "{}",
      ELECTRON_RUN_AS_NODE: "1",
      OLD: "x",
    };
    const settings = { OLD: null, PATH: "/opt/bin:${env:PATH}", WRONG: 3 };
    expect(sessionEnvironment(base, settings, { DEVSHELL_CACHE_DIR: "/c" }, "1.139.1")).toEqual({
      PATH: "/opt/bin:/usr/bin",
      LANG: "de_DE.UTF-8",
      VSCODE_IPC_HOOK_CLI: "/run/x",
      COLORTERM: "truecolor",
      TERM_PROGRAM: "vscode",
      TERM_PROGRAM_VERSION: "1.139.1",
      DEVSHELL_CACHE_DIR: "/c",
    });
  });
});

describe("withoutVariables", () => {
  const start = { program: "env", args: ["-0"], environment: { MINE: "x" } };

  it("starts a program without what the editor gave it, as a real shell does it", () => {
    const base = { PATH: "/usr/bin:/bin", ODD: "it's \n$x" };
    const many = Array.from({ length: 20_000 }, (_, index) => setTo(`MANY_${index}`, ""));
    const variables = [
      setTo("ADDED", "a"),
      prependTo("PATH", "/e"),
      setTo("ODD", "b"),
      setTo("a-b", "c"),
      ...many,
    ];
    const clean = withoutVariables(start, variables, base);
    const given = {
      PATH: "/e:/usr/bin:/bin",
      ADDED: "a",
      ODD: "b",
      MANY_19999: "m",
      VSCODE_ENV_REPLACE: "ADDED=a",
    };
    const { status, stdout } = spawnSync(clean.program, clean.args, {
      // The shell's PWD is in what it prints: no directory that could be called devshell.
      cwd: "/",
      env: { ...given, ...clean.environment },
      encoding: "utf8",
    });
    expect(status).toBe(0);
    expect(stdout.split("\0").toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      expect.arrayContaining(["", "MINE=x", "ODD=it's \n$x", "PATH=/usr/bin:/bin"]),
    );
    expect(stdout).not.toMatch(/ADDED|MANY|DEVSHELL|VSCODE|devshell/);
    // A secret is no word of the command line.
    expect(clean.args.join(" ")).not.toContain("it's");
  });

  it("leaves a process alone where the editor gives it nothing", () => {
    expect(withoutVariables(start, [], {})).toBe(start);
  });
});

describe("parseTemplates", () => {
  it("reads what `devshell init` lists", () => {
    expect(parseTemplates("c         gcc, make\nnode  \npython    python3\n\nnot a line of it\n")).toEqual([
      { name: "c", summary: "gcc, make" },
      { name: "node", summary: "" },
      { name: "python", summary: "python3" },
    ]);
  });
});

describe("charactersOfBytes", () => {
  it.each([
    ["abc", 2, 2],
    ["äbc", 2, 1],
    ["😀x", 4, 2],
    ["ab", 9, 2],
    ["", 3, 0],
  ])("%j at %d", (line, bytes, characters) => expect(charactersOfBytes(line, bytes)).toBe(characters));
});

describe("launch", () => {
  const variables = [
    setTo("GREETING", "hello"),
    prependTo("PATH", "/e/bin"),
    unset("DOOMED"),
    setTo("CC", "x"),
  ];
  const caller = { PATH: "/usr/bin", DOOMED: "1", CC: "cc" };

  it("reads what `devshell code` wrote; the selection counts for that folder only", () => {
    const launch = readLaunch(describeLaunch("/project", ["-A", "pan"], variables, caller));
    expect(launch?.changes).toEqual([
      { name: "GREETING" },
      { name: "PATH", before: "/usr/bin", after: "/e/bin:/usr/bin" },
      { name: "DOOMED", before: "1" },
      { name: "CC", before: "cc" },
    ]);
    expect(launchSelection(launch, "/project")).toEqual(["-A", "pan"]);
    expect(launchSelection(launch, "/other")).toBeUndefined();
    expect(launchSelection(readLaunch(describeLaunch("/project", [], [], {})), "/project")).toBeUndefined();
  });

  it("lets the extension see the user's own variables through the environment", () => {
    const launch = readLaunch(describeLaunch("/project", [], variables, caller));
    // The editor's server puts a directory of its own on PATH.
    const target = { PATH: "/editor/bin:/e/bin:/usr/bin", GREETING: "hello", CC: "x", OTHER: "1" };
    const environment = new ProcessEnvironment(target, launch?.changes);
    expect(environment.base()).toEqual({ PATH: "/editor/bin:/usr/bin", DOOMED: "1", CC: "cc", OTHER: "1" });
    const kept = [...variables, setTo("MORE", "m")];
    expect(environment.patch(reportOf({ variables: kept })).toSorted()).toEqual(["MORE"]);
    expect(target).toMatchObject({ PATH: "/editor/bin:/e/bin:/usr/bin", GREETING: "hello", CC: "x" });
    environment.restore();
    expect(target).toEqual({ PATH: "/editor/bin:/usr/bin", DOOMED: "1", CC: "cc", OTHER: "1" });
  });

  it("stays below what a variable may hold", () => {
    const many = Array.from({ length: 20_000 }, (_, index) => setTo(`MANY_${index}`, "x"));
    const text = describeLaunch("/project", ["-A", "x"], many, {});
    expect(text.length).toBeLessThan(1000);
    expect(readLaunch(text)?.selection).toEqual(["-A", "x"]);
  });

  it.each([undefined, "", "{", "null", "[]", '{"directory":"/project","selection":"x"}'])(
    "refuses %s",
    (text) => expect(readLaunch(text)).toBeUndefined(),
  );
});
