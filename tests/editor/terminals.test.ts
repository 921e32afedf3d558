// Acceptance 1 and 6: terminals of the editor and sessions of the CLI, with a .bashrc that gets in the way.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const SEES = 'printf "%s|%s|%s\\n" "$GREETING" "$(tool)" "${DOOMED-unset}"';

describeEditor("terminals", () => {
  const samples = sampleProjects();
  let folder: string;
  let editor: Editor;
  let workbench: Workbench;
  const writeSpec = (greeting: string): void =>
    writeFileSync(
      join(folder, "devshell.yaml"),
      samples.spec(`packages: [tool]\nenv: { GREETING: ${greeting} }\nunset: [DOOMED]\n`),
    );
  beforeAll(async () => {
    folder = samples.project("terminals", { "other.txt": "" });
    writeSpec("hello");
    editor = await startEditor({
      folders: [folder],
      extensions: [EXTENSION],
      settings: {
        "devshell.path": DEVSHELL,
        "devshell.restartExtensions": "never",
        "terminal.integrated.tabs.hideCondition": "never",
      },
      commands: [
        "devshell.openTerminal",
        "devshell.openTerminalFor",
        "workbench.action.terminal.new",
        "workbench.action.terminal.killAll",
        "workbench.action.terminal.newWithProfile",
      ],
      env: { ...samples.env, DOOMED: "caller's" },
      homeFiles: { ".bashrc": samples.hostileBashrc },
    });
    workbench = await editor.openWorkbench();
    await workbench.waitForStatus("devshell.status", ({ text }) => text.includes("devshell"));
    await workbench.waitForStatus("devshell.status", ({ ariaLabel }) => ariaLabel.includes("ready"));
  });
  afterAll(async () => {
    await editor?.close();
    samples[Symbol.dispose]();
  });

  /** Whether each terminal's tab warns. */
  const marks = async (): Promise<boolean[]> => {
    const tabs = await workbench.page.locator(".terminal-tabs-entry").all();
    const badges = await Promise.all(
      tabs.map((tab) => tab.locator("[class*=monaco-decoration-iconBadge]").count()),
    );
    // Another row is the editor's own.
    return badges.slice(0, await terminalCount()).map((count) => count > 0);
  };
  const terminalCount = (): Promise<number> => workbench.host(({ vscode }) => vscode.window.terminals.length);
  const closeAll = async (): Promise<void> => {
    await workbench.runCommand("workbench.action.terminal.killAll");
    await expect.poll(terminalCount).toBe(0);
  };
  test("a fresh one has the variable and the environment's program before .bashrc's", async () => {
    await workbench.openTerminal();
    // A collection of variables cannot unset.
    expect((await workbench.shell(SEES)).stdout).toBe("hello|devshell tool|caller's\n");
    expect(await marks()).toEqual([false]);
  });

  test("a session is devshell itself: unset variables, functions, phases; nothing twice on PATH", async () => {
    await workbench.opensTerminal(() => workbench.runCommand("devshell.openTerminal"));
    expect((await workbench.shell(SEES)).stdout).toBe("hello|devshell tool|unset\n");
    expect((await workbench.shell("buildPhase; echo $IN_NIX_SHELL; pwd")).stdout).toBe(
      `phase of devshell\nimpure\n${folder}\n`,
    );
    const path = (await workbench.shell('echo "$PATH"')).stdout.trim().split(":");
    const tools = path.filter((directory) => directory.includes("-tool-1.0"));
    expect(tools).toHaveLength(1);
    expect(path.indexOf(tools[0] ?? "")).toBeLessThan(path.findIndex((entry) => entry.endsWith("/hostile")));
    await workbench.screenshot("session");
  });

  test("a reload marks terminals that were opened before it; a session follows by itself", async () => {
    writeSpec("changed");
    await expect.poll(marks).toEqual([true, false]);
    await workbench.screenshot("stale terminal");
    // Its next prompt has the new environment.
    await workbench.typeInTerminal("\r");
    await expect.poll(async () => (await workbench.shell('echo "$GREETING"')).stdout).toBe("changed\n");
    await workbench.openTerminal();
    expect((await workbench.shell(SEES)).stdout).toBe("changed|devshell tool|caller's\n");
    expect(await marks()).toEqual([true, false, false]);
    await closeAll();
  });

  test("one for anything: an attribute of the spec, or what is typed", async () => {
    writeFileSync(join(folder, "shell.nix"), SHELL_NIX);
    await workbench.runCommand("devshell.openTerminalFor");
    const input = workbench.page.locator(".quick-input-widget input.input");
    await input.fill("shell.nix -A other");
    await expect.poll(() => workbench.quickPick()).toContain("devshell shell.nix -A other");
    await workbench.screenshot("terminal for");
    await workbench.opensTerminal(() => workbench.pick("devshell shell.nix -A other"));
    await workbench.waitForTerminal(/\$|❯|#/);
    // Of the folder's own environment nothing is left in it.
    expect((await workbench.shell('echo "$OTHER|${GREETING-none}|${DOOMED-unset}|$(tool)"')).stdout).toBe(
      "yes|none|caller's|hostile tool\n",
    );
  });

  test("the profile opens a session", async () => {
    // Beside the one that is open: where there is none, looking for it would have the editor open its default one.
    expect(await terminalCount()).toBe(1);
    await workbench.runCommand("workbench.action.terminal.newWithProfile");
    await workbench.pick("Devshell");
    // The editor may leave the one that was there in front.
    const tab = workbench.page.locator(".terminal-tabs-entry", { hasText: "devshell:" });
    await tab.click();
    const active = (): Promise<string | undefined> =>
      workbench.host(({ vscode }) => vscode.window.activeTerminal?.name);
    await expect.poll(active).toBe("devshell: terminals");
    await expect.poll(async () => (await workbench.terminalText()).trim()).toMatch(/[$#❯]$/);
    expect((await workbench.shell(SEES)).stdout).toBe("changed|devshell tool|unset\n");
  });
});

const SHELL_NIX = `
let project = fields: derivation ({ name = "p"; system = builtins.currentSystem; builder = "/bin/sh"; } // fields);
in { other = project { OTHER = "yes"; }; }
`;
