// templateHost - what templateC.test.ts has done in the extension host: each function is sent there as text.
import type * as ChildProcess from "node:child_process";
import type * as Fs from "node:fs";
import type * as Vscode from "vscode";
import type { HostScope } from "./harness/index.ts";

/** Writes down what it sees, in the console and beside itself. */
export const SEEN = `const { execFileSync } = require("node:child_process");
const { renameSync, writeFileSync } = require("node:fs");

const gcc = execFileSync("sh", ["-c", "command -v gcc"], { encoding: "utf8" }).trim();
const seen = { greeting: process.env.GREETING, gcc };
console.log(seen.greeting);
console.log(seen.gcc);
writeFileSync(__dirname + "/seen.tmp", JSON.stringify(seen));
renameSync(__dirname + "/seen.tmp", __dirname + "/seen.json");
`;

/** The part of the C/C++ extension that takes configurations; `ask` says what it was given for a file. */
export const CPP_TOOLS: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({
    name: "cpptools",
    publisher: "ms-vscode",
    version: "1.0.0",
    engines: { vscode: "^1.100.0" },
    main: "./main.cjs",
    activationEvents: [],
  }),
  "main.cjs": `exports.activate = () => {
  let ready;
  const api = {
    registerCustomConfigurationProvider() {},
    notifyReady(provider) { ready = provider; },
    didChangeCustomConfiguration() {},
    didChangeCustomBrowseConfiguration() {},
    dispose() {},
  };
  return {
    getApi: () => api,
    async ask(uri) {
      if (ready === undefined || !(await ready.canProvideConfiguration(uri))) return undefined;
      const [{ configuration }] = await ready.provideConfigurations([uri]);
      return { ...configuration, ...(await ready.provideBrowseConfiguration()) };
    },
  };
};
`,
};

export interface TaskResult {
  readonly status: number | null;
  readonly problems: readonly {
    readonly line: number;
    readonly column: number;
    readonly isError: boolean;
    readonly message: string;
  }[];
}

/** Runs a script's task to its end; the problems of a file, once they are those of this run. */
export async function runScriptTask(
  { vscode }: HostScope,
  { script, file }: { readonly script: string; readonly file: string },
): Promise<TaskResult> {
  const tasks = await vscode.tasks.fetchTasks({ type: "devshell" });
  const task = tasks.find(({ name, source }) => name === script && source === "devshell");
  if (task === undefined)
    throw new Error(`No task ${script} among ${tasks.map(({ name }) => name).join(", ")}`);
  const uri = vscode.Uri.file(file);
  const status = await new Promise<number | null>((resolve, reject) => {
    const listener = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
      if (execution.task.name !== script) return;
      listener.dispose();
      resolve(exitCode ?? null);
    });
    vscode.tasks.executeTask(task).then(undefined, reject);
  });
  const read = (): Vscode.Diagnostic[] => vscode.languages.getDiagnostics(uri);
  // They arrive after the end.
  const endMs = Date.now() + 20_000;
  while (read().length > 0 === (status === 0) && Date.now() < endMs)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const problems = read().map(({ range, severity, message }) => ({
    line: range.start.line,
    column: range.start.character,
    isError: severity === vscode.DiagnosticSeverity.Error,
    message,
  }));
  return { status, problems };
}

export interface ClangdQuestion {
  readonly clangd: string;
  readonly file: string;
  /** One that the file includes. */
  readonly header: string;
  /** In place of all variables. */
  readonly path?: string;
}

/** Starts clangd as a language client does; its diagnostics of a file, and the address of a header. */
export function askClangd(
  { require }: HostScope,
  { clangd, file, header, path }: ClangdQuestion,
): Promise<{ readonly errors: readonly string[]; readonly header: string | null }> {
  const { spawn } = require("node:child_process") as typeof ChildProcess;
  const { readFileSync } = require("node:fs") as typeof Fs;
  const options = path === undefined ? {} : { env: { PATH: path, HOME: "/nonexistent" } };
  const server = spawn(clangd, ["--background-index=false"], { ...options, stdio: ["pipe", "pipe", "pipe"] });
  const text = readFileSync(file, "utf8");
  const uri = `file://${file}`;
  const send = (message: object): void => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
  return new Promise<{ errors: string[]; header: string | null }>((resolve, reject) => {
    let errors: string[] | undefined;
    let said = "";
    let buffer = Buffer.alloc(0);
    const timer = setTimeout(() => reject(new Error(`clangd does not answer: ${said}`)), 60_000);
    server.on("error", reject);
    server.on("exit", (status) => reject(new Error(`clangd ended with ${status}: ${said}`)));
    server.stderr.on("data", (data: Buffer) => (said += data.toString()));
    const take = (message: {
      id?: number;
      method?: string;
      params?: { diagnostics: { message: string }[] };
      result?: { uri: string }[];
    }): void => {
      if (message.method === "textDocument/publishDiagnostics" && errors === undefined) {
        errors = message.params?.diagnostics.map((diagnostic) => diagnostic.message) ?? [];
        const lines = text.split("\n");
        const line = lines.findIndex((row) => row.includes(`<${header}>`));
        const position = { line, character: lines[line]?.indexOf(header) };
        send({ id: 2, method: "textDocument/definition", params: { textDocument: { uri }, position } });
      } else if (message.id === 2) {
        clearTimeout(timer);
        resolve({ errors: errors ?? [], header: message.result?.[0]?.uri ?? null });
      }
    };
    server.stdout.on("data", (data: Buffer) => {
      buffer = Buffer.concat([buffer, data]);
      for (;;) {
        const head = /^Content-Length: (\d+)\r\n\r\n/.exec(buffer.toString("latin1"));
        if (head === null) return;
        const end = head[0].length + Number(head[1]);
        if (buffer.length < end) return;
        const body = buffer.subarray(head[0].length, end).toString();
        buffer = buffer.subarray(end);
        take(JSON.parse(body));
      }
    });
    send({ id: 1, method: "initialize", params: { processId: null, rootUri: null, capabilities: {} } });
    send({ method: "initialized", params: {} });
    const textDocument = { uri, languageId: "c", version: 1, text };
    send({ method: "textDocument/didOpen", params: { textDocument } });
  }).finally(() => server.kill());
}

/** What the C/C++ extension was given for a file. */
export async function askCppTools(
  { vscode }: HostScope,
  file: string,
): Promise<{
  readonly compilerPath: string;
  readonly includePath: readonly string[];
  readonly browsePath: readonly string[];
}> {
  const uri = vscode.Uri.file(file);
  await vscode.workspace.openTextDocument(uri);
  const endMs = Date.now() + 20_000;
  for (;;) {
    const given: unknown = await vscode.extensions.getExtension("ms-vscode.cpptools")?.exports?.ask(uri);
    if (given !== undefined) return given as Awaited<ReturnType<typeof askCppTools>>;
    if (Date.now() > endMs) throw new Error("The C/C++ extension is given nothing");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Debugs the folder's seen.js in the internal console, with the built-in debugger. */
export async function debugScript(
  { vscode, require }: HostScope,
  { folder, node }: { readonly folder: string; readonly node: string },
): Promise<{ readonly greeting?: string; readonly gcc: string }> {
  const { readFileSync } = require("node:fs") as typeof Fs;
  const ended = new Promise<void>((resolve) => {
    const listener = vscode.debug.onDidTerminateDebugSession((session) => {
      if (session.parentSession !== undefined) return;
      listener.dispose();
      resolve();
    });
  });
  const isStarted = await vscode.debug.startDebugging(vscode.workspace.workspaceFolders?.[0], {
    type: "node",
    request: "launch",
    name: "seen",
    program: `${folder}/seen.js`,
    runtimeExecutable: node,
    console: "internalConsole",
    outputCapture: "std",
  });
  if (!isStarted) throw new Error("The debug session does not start");
  await ended;
  return JSON.parse(readFileSync(`${folder}/seen.json`, "utf8")) as { greeting?: string; gcc: string };
}
