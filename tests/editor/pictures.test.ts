// Takes the pictures of the extension's README anew, in a real editor with templates/c; only when it is asked to (vitest.config.ts):
// `DEVSHELL_PICTURES=1 npm run test:editor -- tests/editor/pictures.test.ts`. An absolute path in place of 1 is where the
// project lies in the pictures. Needs a Debian mirror.
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { describeEditor, startEditor, type Editor, until, type Workbench } from "./harness/index.ts";
import { shrinkPicture } from "./shrinkPicture.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MEDIA = join(ROOT, "vscode-extension/media");
const SIZE = { width: 1080, height: 640 };

describeEditor("pictures of the README", () => {
  let dir: string;
  let folder: string;
  let editor: Editor;
  let workbench: Workbench;

  beforeAll(async () => {
    const asked = process.env["DEVSHELL_PICTURES"] ?? "";
    dir = isAbsolute(asked) ? asked : realpathSync(mkdtempSync(join(tmpdir(), "devshell-pictures-")));
    folder = join(dir, "hello");
    cpSync(join(ROOT, "templates/c"), folder, { recursive: true });
    rmSync(join(folder, "hello"), { force: true });
    // A store and a cache that are filled already are used.
    const kept = Object.entries(process.env).filter(([name]) => /^(?:NIX_|DEVSHELL_CACHE_DIR)/.test(name));
    editor = await startEditor({
      folders: [folder],
      extensions: [join(ROOT, "vscode-extension")],
      env: { ...Object.fromEntries(kept), PS1: "$ " },
      homeFiles: { ".bashrc": "PS1='$ '\n" },
      settings: {
        "devshell.path": join(ROOT, "cli/devshell"),
        "devshell.restartExtensions": "never",
        "workbench.colorTheme": "Default Dark Modern",
        "workbench.statusBar.visible": true,
        "workbench.layoutControl.enabled": false,
        "window.commandCenter": false,
        "editor.minimap.enabled": false,
        "breadcrumbs.enabled": false,
        "editor.stickyScroll.enabled": false,
        "remote.autoForwardPorts": false,
        "task.autoDetect": "on",
        "terminal.integrated.fontSize": 13,
        "editor.fontSize": 13,
        "terminal.integrated.tabs.enabled": false,
      },
      commands: [
        "workbench.action.showCommands",
        "workbench.action.terminal.new",
        "workbench.action.closeSidebar",
        "workbench.action.closePanel",
        "workbench.action.closeAllEditors",
        "workbench.actions.view.problems",
        "devshell.showEnvironment",
        "editor.action.quickFix",
      ],
    });
    workbench = await editor.openWorkbench();
    await workbench.page.setViewportSize(SIZE);
    await isReady();
  }, 400_000);
  afterAll(async () => {
    await editor?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const isReady = (): Promise<unknown> =>
    workbench.waitForStatus("devshell.status", ({ icons }) => icons.includes("package"), 300_000);
  const open = (name: string, line: number): Promise<void> =>
    workbench.host(
      async ({ vscode }, [path, at]) => {
        const at0 = new vscode.Position(at, 0);
        await vscode.window.showTextDocument(vscode.Uri.file(path), {
          selection: new vscode.Range(at0, at0),
        });
      },
      [join(folder, name), line] as const,
    );
  const save = async (name: string): Promise<void> => {
    writeFileSync(join(MEDIA, `${name}.png`), shrinkPicture(await workbench.page.screenshot()));
  };

  test("terminal", async () => {
    await workbench.runCommand("workbench.action.closeSidebar");
    await open("devshell.yaml", 0);
    await workbench.openTerminal();
    for (const line of ["command -v gcc", "make -s && ./hello"]) {
      await workbench.typeInTerminal(`${line}\r`);
      await workbench.waitForTerminal(
        new RegExp(`\\$ ${line.replaceAll(".", "\\.")}\\n[^]*\\n\\$\\s*$`),
        60_000,
      );
    }
    await workbench.statusTooltip("devshell.status");
    await workbench.page.locator(`.statusbar-item[id$="devshell.status"]`).hover();
    await workbench.page.locator(".monaco-hover:visible").last().waitFor();
    await save("terminal");
    await workbench.page.mouse.move(10, 10);
  });

  test("spec", async () => {
    await workbench.runCommand("workbench.action.closeAllEditors");
    const file = join(folder, "devshell.yaml");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("scripts:", "script:"));
    await open("devshell.yaml", 0);
    await workbench.waitForStatus("devshell.status", ({ kind }) => kind !== "none");
    await workbench.problems();
    await workbench.page.locator(".markers-panel .monaco-list-row").nth(1).waitFor();
    await open("devshell.yaml", text.split("\n").indexOf("scripts:"));
    await workbench.runCommand("editor.action.quickFix");
    await workbench.page.locator(".action-widget").first().waitFor();
    await save("spec");
    await workbench.press("escape");
    writeFileSync(file, text);
    await isReady();
    await workbench.runCommand("workbench.action.closePanel");
  });

  test("problems", async () => {
    const file = join(folder, "hello.c");
    const text = readFileSync(file, "utf8");
    writeFileSync(
      file,
      text.replace("uLongf packed_size = sizeof packed;", "uLongf packed_size = sizeof pakced;"),
    );
    await workbench.host(async ({ vscode }) => {
      const tasks = await vscode.tasks.fetchTasks({ type: "devshell" });
      const build = tasks.find(({ name }) => name === "build");
      if (build === undefined) throw new Error("no task");
      const ended = new Promise<void>((done) => {
        const listener = vscode.tasks.onDidEndTaskProcess(() => {
          listener.dispose();
          done();
        });
      });
      await vscode.tasks.executeTask(build);
      await ended;
    });
    await open("hello.c", 16);
    await workbench.problems();
    await workbench.page.locator(".markers-panel .monaco-list-row").nth(1).waitFor();
    await save("problems");
    writeFileSync(file, text);
  });

  test("environment", async () => {
    await workbench.runCommand("workbench.action.closePanel");
    await workbench.runCommand("workbench.action.closeAllEditors");
    await workbench.runCommand("devshell.showEnvironment");
    await until("the view shows the environment", async () => {
      for (const frame of workbench.page.frames())
        if ((await frame.getByText("CMAKE_PREFIX_PATH").count()) > 0) return true;
      return false;
    });
    await save("environment");
  });
});
