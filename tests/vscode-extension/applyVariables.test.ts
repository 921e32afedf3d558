// What becomes of a report's variables: in children, in the extension host, in terminals.
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import {
  applyVariables,
  usableVariables,
  type Environment,
} from "../../vscode-extension/src/apply/applyVariables.ts";
import { mutationsOf, withoutReferences } from "../../vscode-extension/src/apply/terminalMutations.ts";
import { prepend, reportOf, set, unset } from "./reports.ts";

const BASE: Environment = { PATH: "/usr/bin:/bin", HOME: "/home/me", EMPTY: "", OLD: "1" };

function applied(variables: Parameters<typeof reportOf>[0], base = BASE): Environment {
  return applyVariables(usableVariables(reportOf(variables), base).variables, base);
}

describe("applyVariables", () => {
  test("sets, prepends, takes away", () => {
    expect(applied([set("NEW", "x"), prepend("PATH", "/store/bin"), unset("OLD"), set("OLD2", "")])).toEqual({
      PATH: "/store/bin:/usr/bin:/bin",
      HOME: "/home/me",
      EMPTY: "",
      NEW: "x",
      OLD2: "",
    });
  });

  test("prepends nothing to what is empty or absent", () => {
    const { EMPTY, MANPATH } = applied([prepend("EMPTY", "/a"), prepend("MANPATH", "/b")]);
    expect({ EMPTY, MANPATH }).toEqual({ EMPTY: "/a", MANPATH: "/b" });
  });

  test("names nothing twice in a window that was opened within the environment", () => {
    const variables = [prepend("PATH", "/store/a:/store/b"), prepend("FLAGS", "-isystem /x", " ")];
    const once = applied(variables, { ...BASE, FLAGS: "-O2" });
    expect(once["FLAGS"]).toBe("-isystem /x -O2");
    expect(applied(variables, once)).toEqual(once);
    // The editor's own directory came first meanwhile.
    expect(applied(variables, { PATH: `/editor:${once["PATH"]}` })["PATH"]).toBe(
      "/store/a:/store/b:/editor:/usr/bin:/bin",
    );
  });

  test("keeps a path's empty elements, which mean the default", () => {
    expect(applied([prepend("MANPATH", "/a")], { MANPATH: "/b:" })["MANPATH"]).toBe("/a:/b:");
  });

  test("10,000 variables, among them names that objects have", () => {
    const variables = Array.from({ length: 10_000 }, (_, index) => set(`V${index}`, `value ${index}`));
    const result = applied([...variables, set("__proto__", "p"), set("constructor", "c")], {});
    expect(Object.keys(result)).toHaveLength(10_002);
    expect(Object.entries(result)).toContainEqual(["__proto__", "p"]);
    expect(result["V9999"]).toBe("value 9999");
    const seen = execFileSync("/usr/bin/env", ["-0"], { env: result, encoding: "utf8" });
    expect(seen.split("\0").filter(Boolean)).toHaveLength(10_002);
    expect(seen).toContain("\0__proto__=p\0");
  });

  test("every character that a variable may hold reaches a child", () => {
    const ascii = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)).join("");
    const value = `${ascii}äÿ\u0080\u2028€🎈\u{10ffff}`;
    const seen = execFileSync("/usr/bin/env", ["-0"], { env: applied([set("ALL", value)], {}) });
    expect(seen.toString("utf8")).toBe(`ALL=${value}\0`);
  });
});

describe("what is left out", () => {
  test("the editor's, the session's and the user's own", () => {
    const names = [
      "VSCODE_IPC_HOOK",
      "ELECTRON_RUN_AS_NODE",
      "SHLVL",
      "PWD",
      "OLDPWD",
      "HOME",
      "_",
      "TERM",
      "SHELL",
    ];
    const report = reportOf(names.flatMap((name) => [set(name, "x")]));
    const { variables, skipped } = usableVariables(report, BASE);
    expect(variables).toEqual([]);
    expect(skipped.map(({ name, reason }) => [name, reason])).toEqual(
      names.map((name) => [name, "protected"]),
    );
    expect(usableVariables(reportOf([unset("HOME"), unset("TMPDIR")]), BASE).variables).toEqual([]);
  });

  test("a temporary directory that is gone", () => {
    const variables = [set("TMPDIR", "/tmp/nix-shell-gone-0"), set("TEMP", tmpdir()), set("TMP", "tmp")];
    const { variables: usable, skipped } = usableVariables(reportOf(variables), BASE);
    expect(usable.map(({ name }) => name)).toEqual(["TEMP"]);
    expect(skipped.map(({ reason }) => reason)).toEqual(["noDirectory", "noDirectory"]);
  });

  test("bytes that are no text, NUL, impossible names", () => {
    const variables = [
      { ...set("LATIN1", "\u{fffd}"), action: "set", value: "\u{fffd}", base64: "/w==" } as const,
      set("HALF", "\ud83c"),
      set("NUL", "a\0b"),
      set("A=B", "x"),
      set("", "x"),
    ];
    const { skipped } = usableVariables(reportOf(variables), BASE);
    expect(skipped.map(({ name, reason }) => [name, reason])).toEqual([
      ["LATIN1", "notText"],
      ["HALF", "notText"],
      ["NUL", "invalid"],
      ["A=B", "invalid"],
      ["", "invalid"],
    ]);
  });

  test("exactly what lets no process start", () => {
    const largest = "x".repeat(128 * 1024 - "BIG=".length - 1);
    const { variables, skipped } = usableVariables(
      reportOf([set("BIG", largest), set("BIGGER", `${largest}x`)]),
      BASE,
    );
    expect(skipped).toEqual([{ name: "BIGGER", reason: "tooLarge", sizeBytes: largest.length + 9 }]);
    execFileSync("/bin/true", { env: applyVariables(variables, BASE) });
    const tooLarge = { BIG: `${largest}x` };
    expect(() => execFileSync("/bin/true", { env: tooLarge })).toThrow("E2BIG");
  });

  test("the largest, where all together are too much", () => {
    const variables = Array.from({ length: 40 }, (_, index) => set(`V${index}`, "x".repeat(60_000 + index)));
    const { variables: usable, skipped } = usableVariables(reportOf([...variables, set("SMALL", "1")]), BASE);
    expect(skipped.length).toBeGreaterThan(10);
    expect(skipped[0]).toMatchObject({ name: "V39", reason: "totalTooLarge" });
    expect(usable.at(-1)?.name).toBe("SMALL");
    execFileSync("/bin/true", { env: applyVariables(usable, BASE) });
  });
});

describe("mutationsOf", () => {
  const once = { applyAtProcessCreation: true, applyAtShellIntegration: false };
  const twice = { applyAtProcessCreation: true, applyAtShellIntegration: true };

  test("prepends to what is there, sets the rest, cannot take away", () => {
    const variables = [
      set("CC", "gcc"),
      prepend("MANPATH", "/m"),
      prepend("PATH", "/store/bin"),
      unset("OLD"),
    ];
    expect([...mutationsOf(reportOf(variables), BASE)]).toEqual([
      ["PATH", { kind: "prepend", value: "/store/bin:", options: twice }],
      ["CC", { kind: "replace", value: "gcc", options: twice }],
      ["MANPATH", { kind: "replace", value: "/m", options: twice }],
    ]);
  });

  test.each([
    ["lines", "two\nlines"],
    ["a backslash", "back\\slash"],
    ["a tab", "tab\t"],
    ["Unicode's line separator", "\u2028"],
    ["5,000 characters", "x".repeat(5000)],
  ])("leaves %s to the start of the process, where nothing alters it", (_, value) => {
    expect(mutationsOf(reportOf([set("A", value)]), BASE).get("A")).toEqual({
      kind: "replace",
      value,
      options: once,
    });
  });

  test("a function's name is no shell variable's", () => {
    const [mutation] = mutationsOf(reportOf([set("BASH_FUNC_f%%", "() { :; }")]), BASE).values();
    expect(mutation?.options).toEqual(once);
  });

  test("all that comes after the shell's own files stays far below the limit of one variable", () => {
    const variables = Array.from({ length: 100 }, (_, index) => set(`V${index}`, "x".repeat(4000)));
    const mutations = mutationsOf(reportOf([...variables, prepend("PATH", "/store/bin")]), BASE);
    const after = [...mutations.values()].filter(({ options }) => options.applyAtShellIntegration);
    expect(after.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(64 * 1024);
    expect(after).not.toEqual([]);
    expect(mutations.get("PATH")?.options).toEqual(twice);
    expect(mutations.size).toBe(101);
  });

  test("few come after the shell's own files: those that these are likely to change", () => {
    const afterOf = (count: number): string[] => {
      const variables = Array.from({ length: count }, (_, index) => set(`V${index}`, "x"));
      const report = reportOf([...variables, set("OLD", "2"), prepend("PATH", "/store/bin")]);
      const mutations = [...mutationsOf(report, BASE)];
      expect(mutations).toHaveLength(count + 2);
      return mutations.filter(([, { options }]) => options.applyAtShellIntegration).map(([name]) => name);
    };
    const after = afterOf(500);
    expect(after.slice(0, 3)).toEqual(["PATH", "OLD", "V0"]);
    expect(after).toHaveLength(32);
    expect(afterOf(10_000)).toEqual(["PATH"]);
  });

  test("in a window opened within the environment PATH is only put right after the shell's own files", () => {
    const base = { PATH: "/store/bin:/usr/bin" };
    expect(mutationsOf(reportOf([prepend("PATH", "/store/bin")]), base).get("PATH")?.options).toEqual({
      applyAtProcessCreation: false,
      applyAtShellIntegration: true,
    });
  });
});

test("what the editor would take for its own variables is kept from it", () => {
  expect(withoutReferences("${workspaceFolder}, $HOME, $${x}")).toBe(
    "$" + "${env:DEVSHELL_NOTHING}{workspaceFolder}, $HOME, $$" + "${env:DEVSHELL_NOTHING}{x}",
  );
  expect(mutationsOf(reportOf([set("A", "${file}")]), BASE).get("A")?.value).toBe(
    withoutReferences("${file}"),
  );
});
