// Runs in the extension host; tasks.test.ts starts it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as vscode from "vscode";
import { folder, ready, runTask, until } from "./hostApi.ts";
import { test } from "./host/runner.ts";

const out = (name: string): string => join(folder().uri.fsPath, name);
/** Shell text that writes down what a process sees. */
const SEES = 'printf "%s|%s|%s" "$GREETING" "$(tool)" "${DOOMED-unset}"';

async function scriptTask(name: string): Promise<vscode.Task> {
  const found = (await vscode.tasks.fetchTasks({ type: "devshell" })).find((task) => task.name === name);
  assert.ok(found, `there is a task ${name}`);
  return found;
}

test("a shell task and a process task see the variable, and find the environment's program first", async () => {
  await ready();
  const executions = {
    shell: new vscode.ShellExecution(`${SEES} > shell.txt`),
    process: new vscode.ProcessExecution("bash", ["-c", `${SEES} > process.txt`]),
  };
  for (const [name, execution] of Object.entries(executions)) {
    const task = new vscode.Task({ type: "test", name }, folder(), name, "test", execution);
    assert.equal(await runTask(task), 0);
    // A collection of variables cannot unset: DOOMED stays here, and is gone in tasks of ours.
    assert.equal(readFileSync(out(`${name}.txt`), "utf8"), "hello|devshell tool|caller's", name);
  }
});

test("the spec's scripts are tasks with groups, run by the CLI, unset variables gone", async () => {
  const tasks = (await vscode.tasks.fetchTasks({ type: "devshell" })).filter(
    ({ source }) => source === "devshell",
  );
  assert.deepEqual(Object.fromEntries(tasks.map(({ name, group }) => [name, group?.id])), {
    build: "build",
    check: "test",
    sees: undefined,
  });
  assert.equal(await runTask(await scriptTask("sees")), 0);
  assert.equal(readFileSync(out("script.txt"), "utf8"), "hello|devshell tool|unset");
});

test("a script's compile error is a problem at its line, and its status the task's", async () => {
  assert.equal(await runTask(await scriptTask("build")), 3);
  const problems = await until("a problem is reported", () => {
    const found = vscode.languages.getDiagnostics(vscode.Uri.file(out("src/main.c")));
    return found.length > 0 ? found : undefined;
  });
  assert.deepEqual(
    problems.map(({ message, severity, range }) => [
      message,
      severity,
      range.start.line,
      range.start.character,
    ]),
    [["unknown type name 'itn'", vscode.DiagnosticSeverity.Error, 1, 2]],
  );
});

test("tasks of tasks.json run a script, a program with arguments, a command line", async () => {
  const all = await vscode.tasks.fetchTasks();
  const named = (name: string): vscode.Task => {
    const found = all.find((task) => task.name === name);
    assert.ok(found, `${name} is among ${all.map((task) => task.name).join(", ")}`);
    return found;
  };
  for (const [name, expected] of [
    ["my script", "hello|devshell tool|unset"],
    ["my line", "hello devshell tool"],
    ["my program", "hello 'quoted' $x"],
  ] as const) {
    assert.equal(await runTask(named(name)), 0, name);
    assert.equal(readFileSync(out(`${name}.txt`), "utf8"), expected);
  }
});
