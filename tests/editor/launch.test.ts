// A window of `devshell code`: its selection, and nothing twice; beside it what C/C++ IntelliSense is told.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const CPP_TOOLS = resolve(import.meta.dirname, "fixtures/cpptools");

describeEditor("a window that devshell code opened", () => {
  const samples = sampleProjects();
  let folder: string;
  let editor: Editor;
  let workbench: Workbench;
  beforeAll(async () => {
    const shell = `{ ... }@given:
      let collection = import ${samples.root}/collection.nix given;
      in { chosen = collection.mkShell { name = "chosen"; nativeBuildInputs = [ collection.tool ];
        shellHook = "export CHOSEN=yes CPATH=/headers/of/zlib"; }; other = collection.mkShell { name = "other"; }; }`;
    folder = samples.project("launch", { "shell.nix": shell, "main.c": "int main(void) { return 0; }\n" });
    const stub = join(samples.root, "editor");
    writeFileSync(stub, `#!/bin/sh\nenv -0 >"${samples.root}/launched"\n`, { mode: 0o755 });
    const launch = spawnSync(DEVSHELL, ["code", folder, "-A", "chosen", "--editor", stub], {
      cwd: samples.root,
      env: { PATH: process.env["PATH"], HOME: samples.root, SHELL: "/bin/bash", ...samples.env },
      encoding: "utf8",
    });
    expect(launch).toMatchObject({ status: 0 });
    const entries = readFileSync(join(samples.root, "launched"), "utf8").split("\0").filter(Boolean);
    const env = Object.fromEntries(
      entries.map((entry) => entry.split(/=(.*)/s).slice(0, 2) as [string, string]),
    );
    delete env["HOME"];
    // The server asks a login shell for the user's variables, and Debian's /etc/profile forgets PATH.
    env["LAUNCHED_PATH"] = env["PATH"] ?? "";
    expect(env).toMatchObject({ CHOSEN: "yes" });
    editor = await startEditor({
      folders: [folder],
      extensions: [EXTENSION, CPP_TOOLS],
      settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "ask" },
      commands: [
        "notifications.showList",
        "notifications.hideList",
        "workbench.action.terminal.new",
        "devshell.openTerminal",
        "devshell.selectEnvironment",
      ],
      env,
      homeFiles: { ".bash_profile": "export PATH=$LAUNCHED_PATH\n" },
    });
    workbench = await editor.openWorkbench();
    await workbench.waitForStatus("devshell.status", ({ ariaLabel }) => ariaLabel.includes("chosen, ready"));
  });
  afterAll(async () => {
    await editor?.close();
    samples[Symbol.dispose]();
  });
  const toolsOn = (path: string): number => path.split(":").filter((at) => at.includes("-tool-1.0")).length;

  test("has the environment's programs once: in the extension host, terminals and sessions", async () => {
    expect(toolsOn(await workbench.host(() => process.env["PATH"] ?? ""))).toBe(1);
    // What is started without an interactive shell: a shell's own files may have changed PATH, so it comes once more there.
    const task = await workbench.host(
      async ({ vscode, require }, file) => {
        const [root] = vscode.workspace.workspaceFolders ?? [];
        if (root === undefined) throw new Error("no folder");
        const execution = new vscode.ProcessExecution("/bin/sh", ["-c", 'echo "$PATH" >"$0"', file]);
        const ended = new Promise<void>((done) => vscode.tasks.onDidEndTaskProcess(() => done()));
        await vscode.tasks.executeTask(new vscode.Task({ type: "test" }, root, "path", "test", execution));
        await ended;
        const { readFileSync: read } = require("node:fs") as { readFileSync: typeof readFileSync };
        return read(file, "utf8");
      },
      join(samples.root, "path"),
    );
    expect(toolsOn(task)).toBe(1);
    await workbench.openTerminal();
    expect((await workbench.shell('echo "$CHOSEN $(tool)"')).stdout).toBe("yes devshell tool\n");
    const name = () => workbench.host(({ vscode }) => vscode.window.activeTerminal?.name);
    await workbench.opensTerminal(() => workbench.runCommand("devshell.openTerminal"));
    await expect.poll(name).toBe("devshell: launch");
    await workbench.waitForTerminal("devshell:");
    expect((await workbench.shell('echo "$name $(tool)"')).stdout).toBe("chosen devshell tool\n");
    expect(toolsOn((await workbench.shell('echo "$PATH"')).stdout)).toBe(1);
    expect(await workbench.notifications()).toEqual([]);
  });

  test("tells the C/C++ extension of headers once a C file is open, and when they change", async () => {
    await workbench.host(
      async ({ vscode }, path) => {
        await vscode.window.showTextDocument(vscode.Uri.file(path));
      },
      join(folder, "main.c"),
    );
    const told = () =>
      workbench.host(
        async ({ vscode }, path) => {
          const extension = vscode.extensions.getExtension("ms-vscode.cpptools");
          if (extension?.isActive !== true) return undefined;
          const { calls, providers } = extension.exports as {
            calls: string[];
            providers: { provideConfigurations(uris: unknown[]): Promise<{ configuration: object }[]> }[];
          };
          const [item] = (await providers[0]?.provideConfigurations([vscode.Uri.file(path)])) ?? [];
          return { calls, configuration: item?.configuration };
        },
        join(folder, "main.c"),
      );
    await expect.poll(told).toMatchObject({
      calls: ["register 5 Devshell devshell.devshell", "ready"],
      configuration: { includePath: [folder, `${folder}/include`, `${folder}/src`, "/headers/of/zlib"] },
    });
    const file = join(folder, "shell.nix");
    writeFileSync(file, readFileSync(file, "utf8").replace("/headers/of/zlib", "/headers/of/png"));
    await expect.poll(told).toMatchObject({
      calls: ["register 5 Devshell devshell.devshell", "ready", "changed"],
      configuration: { includePath: [folder, `${folder}/include`, `${folder}/src`, "/headers/of/png"] },
    });
  });

  test("another selection counts from then on, over a reload of the window", async () => {
    await workbench.runCommand("devshell.selectEnvironment");
    await expect.poll(() => workbench.quickPick()).toContain("other");
    await workbench.pick("other");
    const isOther = () =>
      workbench.waitForStatus("devshell.status", ({ ariaLabel }) => ariaLabel.includes("other, ready"));
    await isOther();
    await workbench.reload();
    await isOther();
  });
});
