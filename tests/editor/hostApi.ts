// hostApi - what tests in the extension host share: the extension's API, tasks run to their end, output through files.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as vscode from "vscode";
import type { DevshellApi } from "../../vscode-extension/src/model.ts";

export async function api(): Promise<DevshellApi> {
  const extension = vscode.extensions.getExtension<DevshellApi>("devshell.devshell");
  assert.ok(extension, "the extension is installed");
  return extension.activate();
}

export function folder(index = 0): vscode.WorkspaceFolder {
  const found = vscode.workspace.workspaceFolders?.[index];
  assert.ok(found, `folder ${index} is open`);
  return found;
}

/** Polls until a value is there. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 40_000,
): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > endMs) throw new Error(`Waited in vain until ${what}`);
    await sleep(50);
  }
}

/** Waits for the environments of all folders. */
export async function ready(): Promise<DevshellApi> {
  const devshell = await api();
  for (const { uri, name } of vscode.workspace.workspaceFolders ?? [])
    await until(`${name} has its environment`, () => devshell.getReport(uri));
  return devshell;
}

/** Runs a task to its end. @returns its status; `undefined`: its program could not be started */
export async function runTask(task: vscode.Task): Promise<number | undefined> {
  const listeners: vscode.Disposable[] = [];
  try {
    return await new Promise((resolve, reject) => {
      const isIt = ({ task: { name } }: vscode.TaskExecution): boolean => name === task.name;
      vscode.tasks.onDidEndTaskProcess(
        ({ execution, exitCode }) => isIt(execution) && resolve(exitCode),
        undefined,
        listeners,
      );
      // It comes also where no process was started, else after the other.
      vscode.tasks.onDidEndTask(
        ({ execution }) => isIt(execution) && setTimeout(() => resolve(undefined), 1000),
        undefined,
        listeners,
      );
      vscode.tasks.executeTask(task).then(undefined, reject);
    });
  } finally {
    for (const listener of listeners) listener.dispose();
  }
}

/** The text of a file that something writes by rename, or whole. */
export function textOf(path: string): Promise<string> {
  return until(`${path} is written`, () => {
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text === "" ? undefined : text;
  });
}
