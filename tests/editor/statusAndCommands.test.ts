// The status bar through a project's life, its actions, and the commands behind them, with the real CLI.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const SHELL_NIX = `
let project = fields: derivation ({ name = "p"; system = builtins.currentSystem; builder = "/bin/sh"; } // fields);
in { default = project { WHICH = "default"; }; first = project { WHICH = "first"; name = "first-1.0"; }; }
`;

describeEditor("status bar and commands", () => {
  const samples = sampleProjects();
  let folder: string;
  let editor: Editor;
  let workbench: Workbench;
  beforeAll(async () => {
    folder = samples.project("status", { "readme.txt": "" });
    editor = await startEditor({
      folders: [folder],
      extensions: [EXTENSION],
      settings: {
        "devshell.path": DEVSHELL,
        "devshell.restartExtensions": "never",
        "devshell.statusBar": "always",
      },
      commands: [
        "devshell.doctor",
        "devshell.disable",
        "devshell.enable",
        "devshell.initialise",
        "devshell.openSpec",
        "devshell.reload",
        "devshell.selectEnvironment",
        "devshell.showActions",
        "workbench.action.closeAllEditors",
        "workbench.action.showCommands",
      ],
      env: samples.env,
    });
    workbench = await editor.openWorkbench();
  });
  afterAll(async () => {
    await editor?.close();
    samples[Symbol.dispose]();
  });
  const waitFor = (icon: string, label: string): Promise<unknown> =>
    workbench.waitForStatus(
      "devshell.status",
      ({ icons, ariaLabel }) => icons.includes(icon) && ariaLabel.includes(label),
    );
  const activeFile = (): Promise<string | undefined> =>
    workbench.host(({ vscode }) => vscode.window.activeTextEditor?.document.uri.path);

  test("a folder without a spec can be given one", async () => {
    // The extension wakes when a command of its own is run.
    await workbench.runCommand("devshell.showActions");
    await expect.poll(() => workbench.quickPick()).toContain("Create a Spec from a Template…");
    await workbench.press("Escape");
    await waitFor("package", "no spec in this folder");
    await workbench.runCommand("devshell.initialise");
    await expect.poll(() => workbench.quickPick()).toEqual(["c", "node", "python"]);
    await workbench.press("Escape");
  });

  test("a spec is found, its error shown, opened at its place, mended", async () => {
    writeFileSync(join(folder, "devshell.yaml"), samples.spec("env: { A: b }\npackages: [toool]\n"));
    const item = await workbench.waitForStatus("devshell.status", ({ kind }) => kind === "error");
    expect(item.ariaLabel).toContain("failed");
    expect(await workbench.statusTooltip("devshell.status")).toContain("toool");
    await workbench.runCommand("devshell.openSpec");
    await expect.poll(activeFile).toBe(join(folder, "devshell.yaml"));
    const cursor = () =>
      workbench.host(({ vscode }) => {
        const position = vscode.window.activeTextEditor?.selection.start;
        return [position?.line, position?.character];
      });
    await expect.poll(cursor).toEqual([2, 11]);
    writeFileSync(join(folder, "devshell.yaml"), samples.spec("env: { A: b }\npackages: [tool]\n"));
    await waitFor("package", "ready");
    expect(await workbench.statusTooltip("devshell.status")).toContain("Packages: tool");
  });

  test("a click offers what can be done; disabling and enabling", async () => {
    await workbench.clickStatus("devshell.status");
    await expect
      .poll(() => workbench.quickPick())
      .toEqual(expect.arrayContaining(["Show Environment", "Open Terminal", "Reload", "Disable Here"]));
    await workbench.screenshot("actions");
    await workbench.pick("Disable Here");
    await waitFor("circle-slash", "disabled");
    await workbench.runCommand("devshell.enable");
    await waitFor("package", "ready");
  });

  test("an attribute is selected from the spec's, and remembered", async () => {
    writeFileSync(join(folder, "shell.nix"), SHELL_NIX);
    writeFileSync(join(folder, "devshell.yaml"), "");
    await workbench.host(async ({ vscode }) => {
      const [root] = vscode.workspace.workspaceFolders ?? [];
      if (root !== undefined)
        await vscode.workspace.fs.delete(vscode.Uri.joinPath(root.uri, "devshell.yaml"));
    });
    await workbench.runCommand("devshell.selectEnvironment");
    await expect.poll(() => workbench.quickPick()).toEqual(expect.arrayContaining(["default", "first"]));
    await workbench.screenshot("attributes");
    await workbench.pick("first");
    await waitFor("package", "first-1.0, ready");
    const which = (): Promise<string | undefined> => workbench.host(() => process.env["WHICH"]);
    await expect.poll(which).toBe("first");
    await workbench.reload();
    await waitFor("package", "first-1.0, ready");
    expect(await which()).toBe("first");
  });

  test("the doctor's findings are a document that cannot be edited", async () => {
    await workbench.runCommand("devshell.doctor");
    await expect.poll(activeFile).toBe("/devshell doctor");
    const text = await workbench.host(({ vscode }) => vscode.window.activeTextEditor?.document.getText());
    expect(text).toMatch(/version .*devshell \d/);
    expect(readFileSync(join(folder, "readme.txt"), "utf8")).toBe("");
  });
});
