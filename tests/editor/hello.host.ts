// Runs in the extension host; extensionHost.test.ts starts it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import { test, testData } from "./host/runner.ts";

test("the extension is there and active", async () => {
  const hello = vscode.extensions.getExtension<{ variables(): string[] }>("devshell-tests.hello");
  assert.ok(hello);
  const api = await hello.activate();
  assert.deepEqual(api.variables(), ["HELLO_FIXTURE"]);
});

test("a shell task and a process task see the replaced variable", async () => {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert.ok(folder);
  const { expected } = testData<{ expected: string }>();
  const executions = {
    shell: new vscode.ShellExecution('printf %s "$HELLO_FIXTURE" > shell.txt', {
      env: { HELLO_FIXTURE: "replaced" },
    }),
    process: new vscode.ProcessExecution("sh", ["-c", 'printf %s "$HELLO_FIXTURE" > process.txt; exit 3']),
  };
  const ends: (number | undefined)[] = [];
  for (const [name, execution] of Object.entries(executions)) {
    const task = new vscode.Task({ type: "hello", name }, folder, name, "hello", execution);
    ends.push(await runTask(task));
    assert.equal(await readFile(join(folder.uri.fsPath, `${name}.txt`), "utf8"), expected);
  }
  assert.deepEqual(ends, [0, 3]);
});

test("a terminal with shell integration sees the variable", async () => {
  const terminal = vscode.window.createTerminal("hello");
  const integration = await new Promise<vscode.TerminalShellIntegration>((resolve) => {
    const listener = vscode.window.onDidChangeTerminalShellIntegration((event) => {
      if (event.terminal !== terminal) return;
      listener.dispose();
      resolve(event.shellIntegration);
    });
  });
  const execution = integration.executeCommand('echo "=$HELLO_FIXTURE="');
  let output = "";
  for await (const chunk of execution.read()) output += chunk;
  terminal.dispose();
  assert.match(output, /=from the collection=/);
});

function runTask(task: vscode.Task): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const listener = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution.task.name !== task.name) return;
      listener.dispose();
      resolve(event.exitCode);
    });
    vscode.tasks.executeTask(task).then(undefined, reject);
  });
}
