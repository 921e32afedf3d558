import { describe, expect, it } from "vitest";
import { planDefinition, planScripts, taskArguments } from "../../vscode-extension/src/run/taskPlans.ts";
import { reportOf } from "./reportOf.ts";

const script = (name: string, text: string) => ({ name, text });

describe("planScripts", () => {
  it("makes a task of each script, with its group and problem matchers", () => {
    const report = reportOf({
      scripts: [
        script("build", "# all of it\nmake -j4"),
        script("check", "make check\npytest -q"),
        script("lint:types", "tsc --noEmit && eslint ."),
        script("go-test", "go test ./..."),
        script("clean", "rm -rf out"),
        script("serve", "python3 -m http.server"),
      ],
    });
    expect(planScripts(report)).toEqual([
      {
        script: "build",
        name: "build",
        detail: "make -j4",
        kind: "build",
        problemMatchers: ["$devshell-gcc"],
      },
      {
        script: "check",
        name: "check",
        detail: "make check",
        kind: "test",
        problemMatchers: ["$devshell-python", "$devshell-gcc"],
      },
      {
        script: "lint:types",
        name: "lint:types",
        detail: "tsc --noEmit && eslint .",
        problemMatchers: ["$tsc", "$eslint-stylish"],
      },
      { script: "go-test", name: "go-test", detail: "go test ./...", problemMatchers: ["$go"] },
      { script: "clean", name: "clean", detail: "rm -rf out", kind: "clean", problemMatchers: [] },
      {
        script: "serve",
        name: "serve",
        detail: "python3 -m http.server",
        problemMatchers: ["$devshell-python"],
      },
    ]);
  });

  it("shortens a long first line, and finds no group in the middle of a name", () => {
    const [plan] = planScripts(reportOf({ scripts: [script("rebuild-docs", "x".repeat(300))] }));
    expect(plan?.detail).toHaveLength(100);
    expect(plan?.kind).toBeUndefined();
  });
});

describe("tasks that users write", () => {
  it("run a script, a program with arguments, or a command line of Bash", () => {
    expect(taskArguments({ type: "devshell", script: "build" }, [])).toEqual(["run", "--", "build"]);
    expect(taskArguments({ type: "devshell", script: "build", args: ["-v"] }, ["-A", "x"])).toEqual(
      ["run", "-A", "x", "--", "build", "-v"], // prettier-ignore
    );
    expect(taskArguments({ type: "devshell", command: "make && ./test" }, ["-A", "x"])).toEqual(
      ["-A", "x", "--run", "make && ./test"], // prettier-ignore
    );
    expect(taskArguments({ type: "devshell", command: "make", args: ["a b"] }, [])).toEqual(
      ["run", "--", "make", "a b"], // prettier-ignore
    );
    expect(taskArguments({ type: "devshell", script: "build", attribute: "pan" }, ["-A", "x"])).toEqual(
      ["run", "-A", "pan", "--", "build"], // prettier-ignore
    );
  });

  it("are refused where they say nothing to run", () => {
    expect(taskArguments({ type: "devshell" }, [])).toBeUndefined();
    expect(planDefinition({ type: "devshell" }, [])).toBeUndefined();
    expect(planDefinition({ type: "devshell", command: "" }, [])).toBeUndefined();
  });

  it("take matchers from the spec's script of that name", () => {
    expect(planDefinition({ type: "devshell", script: "all" }, [script("all", "tsc -b")])).toMatchObject({
      kind: "build",
      problemMatchers: ["$tsc"],
    });
    expect(planDefinition({ type: "devshell", command: "g++ x.cc" }, [])).toMatchObject({
      name: "g++ x.cc",
      problemMatchers: ["$devshell-gcc"],
    });
  });
});
