// startEditor - a VS Code server of one's own: HOME, user data, extensions and port; closed whole, whatever it started.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, chromium } from "playwright-core";
import { readyEditor } from "./editorSetup.ts";
import { installExtensions } from "./installExtensions.ts";
import { type Keybinding, assignKeys } from "./keys.ts";
import { openWorkbench, type OpenOptions, type Workbench } from "./openWorkbench.ts";
import { keepLogs } from "./onFailure.ts";
import { until } from "./until.ts";

export type Settings = Readonly<Record<string, unknown>>;

export interface EditorOptions {
  /** Absolute paths. One is opened as a folder, several as a workspace; none: an empty window. */
  readonly folders?: readonly string[];
  /** A `.code-workspace` file, instead of `folders`. */
  readonly workspace?: string;
  /** Absolute paths of `.vsix` files (installed) and of folders with a package.json (linked). */
  readonly extensions?: readonly string[];
  /** User settings, over those that keep an editor steady. */
  readonly settings?: Settings;
  /** Commands that `workbench.runCommand` may be told to run: each gets a key. */
  readonly commands?: readonly string[];
  /** Further key bindings, as in keybindings.json. */
  readonly keybindings?: readonly Keybinding[];
  /** Variables of the server, so of the extension host and terminals; `undefined` removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Files of the HOME folder, by their path in it: `.bashrc`. */
  readonly homeFiles?: Readonly<Record<string, string>>;
  /** False starts in Restricted Mode: `workbench.trust()` ends it. Default: true. */
  readonly trust?: boolean;
}

export interface Editor extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Holds all that the editor writes; removed by `close`. */
  readonly dir: string;
  readonly home: string;
  readonly keybindings: readonly Keybinding[];
  /** A new window; a browser profile of its own unless `openWorkbench` is told otherwise. */
  openWorkbench(options?: OpenOptions): Promise<Workbench>;
  /** What the server, its extension hosts and the pages wrote so far. */
  logs(): string;
  /** Ends every process that the editor started, and removes its folder. */
  close(): Promise<void>;
}

const STEADY: Settings = {
  "workbench.startupEditor": "none",
  "workbench.editor.useModal": "off",
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "terminal.integrated.initialHint": false,
  "terminal.integrated.suggest.enabled": false,
  "terminal.integrated.gpuAcceleration": "off",
  "terminal.integrated.defaultProfile.linux": "bash",
  "terminal.integrated.confirmOnExit": "never",
  "security.workspace.trust.startupPrompt": "never",
  "security.workspace.trust.banner": "never",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "files.hotExit": "off",
  "window.confirmBeforeClose": "never",
};
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Leads the process group, and ends it when the server ends or the test process does, however it does. */
const WATCH = `trap : TERM
exec 3<&0
{ read -r _ <&3; kill -TERM 0; } &
"$@" 3<&- & server=$!
wait $server; echo "server ended with $?"
kill -TERM 0; n=0
while kill -0 $server 2>/dev/null && [ $((n += 1)) -lt 50 ]; do sleep 0.1; done
sleep 0.2; kill -KILL 0`;
/** Marks every process that descends from an editor. */
const MARK = "DEVSHELL_EDITOR_MARK";
const CLOSE_TIMEOUT_MS = 8_000;

/**
 * Starts an editor of one's own; `await using editor = await startEditor({ folders: [dir] })`.
 * @throws {Error} when it does not answer within a minute, with its log
 */
export async function startEditor(options: EditorOptions = {}): Promise<Editor> {
  const setup = readyEditor();
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "devshell-editor-")));
  const home = join(dir, "home");
  const userData = join(dir, "user-data");
  const extensionsDir = join(dir, "extensions");
  const probes = join(dir, "probes");
  for (const folder of [home, join(userData, "User"), extensionsDir, probes])
    mkdirSync(folder, { recursive: true });
  for (const [path, text] of Object.entries(options.homeFiles ?? {})) writeFile(join(home, path), text);
  writeFile(join(dir, "config.yaml"), "auth: none\n");

  const mark = randomUUID();
  const env = serverEnv(home, { ...options.env, [MARK]: mark, DEVSHELL_EDITOR_PROBES: probes });
  const command = [setup.codeServer, "--config", join(dir, "config.yaml"), "--user-data-dir", userData];
  command.push("--extensions-dir", extensionsDir);
  const keybindings = assignKeys(options.commands ?? [], options.keybindings ?? []);
  writeFile(join(userData, "User/keybindings.json"), JSON.stringify(keybindings));
  const settings = JSON.stringify(
    {
      ...STEADY,
      "terminal.integrated.commandsToSkipShell": keybindings.map((binding) => binding.command),
      ...options.settings,
    },
    null,
    2,
  );
  writeFile(join(userData, "User/settings.json"), settings);
  // Settings of machine scope count here only: to this window the server is a remote machine.
  writeFile(join(userData, "Machine/settings.json"), settings);

  let output = "";
  let server: ChildProcess | undefined;
  let browser: Promise<Browser> | undefined;
  const workbenches = new Set<Workbench>();
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    for (const workbench of workbenches) await workbench.close();
    await (await browser?.catch(() => undefined))?.close();
    if (server !== undefined) await endGroup(server);
    const strays = await endMarked(mark);
    if (strays.length > 0) output += `[harness] outlived the server, killed: ${strays.join(", ")}\n`;
    kept.close();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  const logs = (): string =>
    `${output}${readLogs(userData)}${[...workbenches].map((workbench) => workbench.console()).join("")}`;
  const kept = keepLogs(logs);

  try {
    output += await installExtensions(options.extensions ?? [], {
      extensionsDir,
      node: setup.node,
      command,
      env,
    });
    const flags = [
      "--auth",
      "none",
      "--bind-addr",
      "127.0.0.1:0",
      "--disable-telemetry",
      "--disable-update-check",
    ];
    flags.push(
      "--disable-getting-started-override",
      "--disable-proxy",
      "--vscode-option",
      "enable-smoke-test-driver",
    );
    if (options.trust !== false) flags.push("--disable-workspace-trust");
    server = spawn("sh", ["-c", WATCH, "sh", setup.node, ...command, ...flags], {
      env,
      cwd: home,
      detached: true,
      // A pipe that nobody writes to: it closes when this process ends.
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [server.stdout, server.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
    const url = await until(
      "code-server answers",
      async () => {
        const port = /HTTP server listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (port === undefined) return undefined;
        const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
        return answer.ok && `http://127.0.0.1:${port}`;
      },
      { timeoutMs: 60_000, seen: logs },
    );
    const launch = (): Promise<Browser> => (browser ??= launchChromium(setup.chromium, home));
    const editor: Editor = {
      url,
      dir,
      home,
      keybindings,
      async openWorkbench(open = {}) {
        const workbench = await openWorkbench(editor, await launch(), {
          ...(options.folders === undefined ? {} : { folders: options.folders }),
          ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
          ...open,
        });
        workbenches.add(workbench);
        kept.addWindow(workbench);
        return workbench;
      },
      logs,
      close: () => (closing ??= close()),
      [Symbol.asyncDispose]: () => editor.close(),
    };
    return editor;
  } catch (error) {
    await close();
    throw error;
  }
}

function launchChromium(executablePath: string, home: string): Promise<Browser> {
  const env = {
    ...definedEnv(),
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_CACHE_HOME: join(home, ".cache"),
  };
  return chromium.launch({ executablePath, args: CHROMIUM_FLAGS, env });
}

/** The test runner's own variables would reach every terminal: only what a login has. */
function serverEnv(
  home: string,
  extra: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const login = { PATH: process.env["PATH"], USER: process.env["USER"] ?? "devshell", SHELL: "/bin/bash" };
  const all = { ...login, HOME: home, LANG: "C.UTF-8", TMPDIR: process.env["TMPDIR"], ...extra };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function definedEnv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

async function endGroup(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise<void>((done) => server.once("close", () => done()));
  server.stdin?.end();
  const killed = await Promise.race([ended.then(() => false), sleep(CLOSE_TIMEOUT_MS, true, { ref: false })]);
  if (!killed || server.pid === undefined) return;
  process.kill(-server.pid, "SIGKILL");
  await Promise.race([ended, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
}

/** Kills what left the process group (terminals lead their own), until none runs; returns their command lines. */
async function endMarked(mark: string): Promise<readonly string[]> {
  const start = Date.now();
  const strays = new Map<number, string>();
  for (;;) {
    const pids = markedProcesses(mark);
    if (pids.length === 0 || Date.now() - start > CLOSE_TIMEOUT_MS) return [...strays.values()];
    // Most are ending already.
    if (Date.now() - start > 1_000) {
      for (const pid of pids) {
        if (!strays.has(pid)) strays.set(pid, readProc(pid, "cmdline").replaceAll("\0", " ").trim());
        killProcess(pid);
      }
    }
    await sleep(50);
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function markedProcesses(mark: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => readProc(pid, "environ").includes(`${MARK}=${mark}`));
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

/** The ends of the server's log files: extension host, terminals, output channels. */
function readLogs(userData: string): string {
  const folder = join(userData, "logs");
  let files: string[];
  try {
    files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(isTelling);
  } catch {
    return "";
  }
  return files
    .map((name) => [name, readFileSync(join(folder, name), "utf8").trimEnd()] as const)
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `--- ${name}\n${text.split("\n").slice(-60).join("\n")}\n`)
    .join("");
}

/** What the server's own output says already is left out. */
function isTelling(name: string): boolean {
  return name.endsWith(".log") && !/(remoteagent|mcpGateway|ptyhost)\.log$/.test(name);
}

function writeFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
