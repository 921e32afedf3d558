// Runs in the extension host; debug.test.ts starts it.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as vscode from "vscode";
import { folder, ready, textOf } from "./hostApi.ts";
import { test, testData } from "./host/runner.ts";

interface Seen {
  readonly greeting?: string;
  readonly other?: string;
  readonly text?: string;
  readonly doomed?: string;
  readonly tool: string;
}

/** Debugs the project's program. @returns what it saw */
async function debug(index: number, fields: object): Promise<Seen> {
  const { node } = testData<{ node: string }>();
  const at = folder(index);
  const file = join(at.uri.fsPath, "seen.json");
  rmSync(file, { force: true });
  const ended = new Promise<void>((resolve) => {
    const listener = vscode.debug.onDidTerminateDebugSession((session) => {
      if (session.parentSession !== undefined) return;
      listener.dispose();
      resolve();
    });
  });
  const isStarted = await vscode.debug.startDebugging(at, {
    type: "node",
    request: "launch",
    name: "seen",
    program: "${workspaceFolder}/seen.cjs",
    runtimeExecutable: node,
    ...fields,
  });
  assert.ok(isStarted);
  const text = await textOf(file);
  await ended;
  return JSON.parse(text) as Seen;
}

const TEXT = "a\nb \"quoted\" $HOME \\ 'c'";
const EXPECTED = { greeting: "hello", text: TEXT, tool: "devshell tool" };

test("internalConsole: variables whole, the environment's program first, unset ones gone", async () => {
  await ready();
  assert.deepEqual(await debug(0, { console: "internalConsole" }), EXPECTED);
});

test("integratedTerminal: the same, .bashrc or not", async () => {
  // Neither the terminal nor this debugger in one can take a variable away.
  assert.deepEqual(await debug(0, { console: "integratedTerminal" }), { ...EXPECTED, doomed: "caller's" });
});

test("the user's own values win, of env and of envFile", async () => {
  const env = { GREETING: "mine", DOOMED: "kept" };
  assert.deepEqual(await debug(0, { console: "internalConsole", env, envFile: "${workspaceFolder}/.env" }), {
    greeting: "mine",
    doomed: "kept",
    text: "of the file",
    tool: "devshell tool",
  });
});

test("a second folder has its own environment, and nothing of the first one's", async () => {
  assert.deepEqual(await debug(1, { console: "internalConsole" }), {
    greeting: "from b",
    other: "only b",
    doomed: "caller's",
    tool: "missing",
  });
});
