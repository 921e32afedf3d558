// Patching the environment of a process that others use, and leaving no trace.
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ProcessEnvironment,
  type MutableEnvironment,
} from "../../vscode-extension/src/apply/processEnvironment.ts";
import { prepend, reportOf, set, unset } from "./reports.ts";

const REPORT = reportOf([set("CC", "gcc"), prepend("PATH", "/store/bin"), unset("OLD"), set("SAME", "1")]);

function patched(target: MutableEnvironment = { PATH: "/usr/bin", OLD: "1", SAME: "1", CC: "cc" }) {
  const before = structuredClone(target);
  const environment = new ProcessEnvironment(target);
  const changed = environment.patch(REPORT);
  return { target, before, environment, changed };
}

/** In one order: deleted and set again, a variable comes last. */
function namesAndValues(target: Readonly<MutableEnvironment>): string[] {
  return Object.entries(target)
    .map(([name, value]) => JSON.stringify([name, value]))
    .toSorted();
}

describe("ProcessEnvironment", () => {
  test("patches, deletes, says what changed, and restores", () => {
    const { target, before, environment, changed } = patched();
    expect(target).toEqual({ PATH: "/store/bin:/usr/bin", SAME: "1", CC: "gcc" });
    expect(changed.toSorted()).toEqual(["CC", "OLD", "PATH"]);
    expect(environment.base()).toEqual(before);
    expect(environment.restore().toSorted()).toEqual(["CC", "OLD", "PATH"]);
    expect(target).toEqual(before);
    expect(environment.restore()).toEqual([]);
  });

  test("another patch replaces the first, from what was there before both", () => {
    const { target, before, environment } = patched();
    expect(environment.patch(reportOf([prepend("PATH", "/store/new")])).toSorted()).toEqual([
      "CC",
      "OLD",
      "PATH",
    ]);
    expect(target).toEqual({ ...before, PATH: "/store/new:/usr/bin" });
    environment.restore();
    expect(target).toEqual(before);
  });

  test("the same patch again changes nothing", () => {
    const { environment } = patched();
    expect(environment.patch(structuredClone(REPORT))).toEqual([]);
  });

  test("what others change meanwhile stays", () => {
    const { target, environment } = patched();
    Object.assign(target, { CC: "clang", OLD: "2", NEW: "x" });
    target["PATH"] = `/theirs:${target["PATH"]}:/also`;
    delete target["SAME"];
    expect(environment.base()).toEqual({ PATH: "/theirs:/usr/bin:/also", CC: "clang", OLD: "2", NEW: "x" });
    environment.restore();
    expect(target).toEqual({ PATH: "/theirs:/usr/bin:/also", CC: "clang", OLD: "2", NEW: "x" });
  });

  test.each([
    ["/store/man", {}],
    ["/theirs:/store/man", { MANPATH: "/theirs" }],
    ["/store/man:/theirs", { MANPATH: "/theirs" }],
    ["/theirs", { MANPATH: "/theirs" }],
  ])("a path that was not there: others made %j of ours", (theirs, after) => {
    const target: MutableEnvironment = {};
    const environment = new ProcessEnvironment(target);
    environment.patch(reportOf([prepend("MANPATH", "/store/man")]));
    target["MANPATH"] = theirs;
    environment.restore();
    expect(target).toEqual(after);
  });

  test("a window opened within the environment needs no patch, so nothing is taken away at the end", () => {
    const within = { PATH: "/store/bin:/usr/bin", CC: "gcc", SAME: "1" };
    const { target, changed, environment } = patched({ ...within });
    expect(changed).toEqual([]);
    environment.restore();
    expect(target).toEqual(within);
  });

  test("any environment is as before, whatever was patched in between", () => {
    const name = fc.oneof(
      fc.constantFrom("A", "B", "C", "PATH", "__proto__", "toString"),
      fc.stringMatching(/^[A-Z]{1,3}$/),
    );
    const value = fc.stringMatching(/^[a-c:/]{0,6}$/);
    const variable = fc.oneof(
      fc.tuple(name, value).map(([n, v]) => set(n, v)),
      fc.tuple(name, value).map(([n, v]) => prepend(n, v)),
      name.map(unset),
    );
    const variables = fc.uniqueArray(variable, { selector: (each) => each.name });
    const base = fc.array(fc.tuple(name, value)).map((entries) => Object.fromEntries(entries));
    fc.assert(
      fc.property(base, fc.array(variables, { maxLength: 4 }), (target: MutableEnvironment, reports) => {
        const before = namesAndValues(target);
        const environment = new ProcessEnvironment(target);
        for (const report of reports) {
          environment.patch(reportOf(report));
          expect(namesAndValues(environment.base())).toEqual(before);
        }
        environment.restore();
        expect(namesAndValues(target)).toEqual(before);
      }),
    );
  });

  test("process.env itself: children see it, and nothing of it afterwards", () => {
    process.env["DEVSHELL_TEST_OLD"] = "1";
    const seen = (): string[] =>
      execFileSync("/usr/bin/env", ["-0"], { encoding: "utf8" }).split("\0").toSorted();
    const before = seen();
    const environment = new ProcessEnvironment(process.env);
    environment.patch(reportOf([set("DEVSHELL_TEST_NEW", "a\nb"), unset("DEVSHELL_TEST_OLD")]));
    expect(seen()).toContain("DEVSHELL_TEST_NEW=a\nb");
    expect(seen()).not.toContain("DEVSHELL_TEST_OLD=1");
    environment.restore();
    expect(seen()).toEqual(before);
    delete process.env["DEVSHELL_TEST_OLD"];
  });
});
