// The .vsix as a user installs it: it activates, its commands are there and run, its page has pictures, its log no values.
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
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageExtension } from "../../scripts/package.ts";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";

const ID = "devshell.devshell";
const STUB = resolve(import.meta.dirname, "../vscode-extension/fixtures/stub-devshell.mjs");
const MANIFEST = JSON.parse(
  readFileSync(resolve(import.meta.dirname, "../../vscode-extension/package.json"), "utf8"),
) as { readonly contributes: { readonly commands: readonly { readonly command: string }[] } };
const COMMANDS = MANIFEST.contributes.commands.map(({ command }) => command);
const SECRET = "s3cr3t-of-the-package-test";
const VALUE = "v4lue-of-the-package-test";

describeEditor("the .vsix", () => {
  let dir: string;
  let editor: Editor;
  let workbench: Workbench;
  beforeAll(async () => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), "devshell-package-")));
    const folder = join(dir, "project");
    mkdirSync(folder);
    writeFileSync(join(folder, "devshell.yaml"), "packages: []\n");
    const plan = {
      name: "packaged",
      variables: [
        { name: "API_TOKEN", value: SECRET, isSecret: true },
        { name: "PLAIN", value: VALUE },
      ],
    };
    writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
    editor = await startEditor({
      folders: [folder],
      extensions: [await packageExtension(dir)],
      settings: { "devshell.path": STUB, "devshell.restartExtensions": "never" },
      commands: ["workbench.action.showCommands"],
    });
    workbench = await editor.openWorkbench();
    await workbench.waitForStatus("devshell.status", ({ text }) => text.includes("packaged"));
  });
  afterAll(async () => {
    await editor?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test("is installed from its file, not linked, and active with its API", async () => {
    const state = await workbench.host(async ({ vscode }, id) => {
      const extension = vscode.extensions.getExtension(id);
      const api = (await extension?.activate()) as
        | { getEnvironment(): Promise<Record<string, string | undefined> | undefined> }
        | undefined;
      return {
        path: extension?.extensionPath,
        isActive: extension?.isActive,
        plain: (await api?.getEnvironment())?.["PLAIN"],
      };
    }, ID);
    expect(state.path?.startsWith(join(editor.dir, "extensions"))).toBe(true);
    expect(state).toMatchObject({ isActive: true, plain: VALUE });
  });

  test("has registered each command that it contributes", async () => {
    const all = await workbench.host(async ({ vscode }) => [...(await vscode.commands.getCommands(true))]);
    expect(COMMANDS.filter((command) => !all.includes(command))).toEqual([]);
  });

  test.each(COMMANDS.filter((command) => command !== "devshell.restartExtensions"))(
    "%s runs",
    async (command) => {
      const failure = await workbench.host(async ({ vscode }, id) => {
        // Some end only when the user has chosen something.
        const waited = new Promise<undefined>((done) => setTimeout(() => done(undefined), 1_500));
        const run = vscode.commands.executeCommand(id).then(
          () => undefined,
          (error: unknown) => String(error),
        );
        return (await Promise.race([run, waited])) ?? "none";
      }, command);
      expect(failure).toBe("none");
      await workbench.press("escape");
    },
  );

  test("its log says what was run, and no value of a variable", async () => {
    await workbench.reload();
    await workbench.waitForStatus("devshell.status", ({ text }) => text.includes("packaged"));
    const files = readdirSync(editor.dir, { recursive: true, encoding: "utf8" }).filter((name) =>
      /Devshell.*\.log$/.test(name),
    );
    const log = files.map((name) => readFileSync(join(editor.dir, name), "utf8")).join("\n");
    expect(log).toMatch(/\[info\].*packaged/);
    expect(log).not.toContain(SECRET);
    expect(log).not.toContain(VALUE);
    expect(editor.logs()).not.toContain(SECRET);
    expect(workbench.console()).not.toContain(SECRET);
  });

  test("its page in the editor shows the README with its pictures", async () => {
    const { page } = workbench;
    // What opens it by its id asks the gallery first.
    await workbench.host(async ({ vscode }) => {
      await vscode.commands.executeCommand("workbench.extensions.search", "@installed devshell");
    });
    await page.locator(".extensions-list .monaco-list-row", { hasText: "Devshell" }).first().click();
    await expect
      .poll(
        async () => {
          for (const frame of page.frames()) {
            const pictures = await frame
              .locator("img[src^='data:image/png']")
              .all()
              .catch(() => []);
            const widths = await Promise.all(
              pictures.map((picture) =>
                picture.evaluate((image) => (image as { naturalWidth?: number }).naturalWidth),
              ),
            );
            if (widths.length > 0) return widths.every((width) => (width ?? 0) > 100);
          }
          return "no pictures";
        },
        { timeout: 30_000 },
      )
      .toBe(true);
    await workbench.screenshot("extension-page");
  });

  test("restarting the extensions brings it back", async () => {
    const { page } = workbench;
    await page.evaluate(() => void Object.assign(globalThis, { isOldPage: true }));
    await workbench.host(({ vscode }) => {
      // The answer must leave before the extension host ends.
      setTimeout(() => void vscode.commands.executeCommand("devshell.restartExtensions"), 200);
    });
    await expect
      .poll(() => page.evaluate(() => "isOldPage" in globalThis).catch(() => "loading"), { timeout: 30_000 })
      .toBe(false);
    await workbench.waitForStatus("devshell.status", ({ text }) => text.includes("packaged"), 60_000);
  });
});
