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
    workbench = await editor.openWorkbench({ payload: [["logLevel", `${ID}:trace`]] });
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

  test("its log says what was run, and no value of a variable, however much it says", async () => {
    const read = (): string =>
      readdirSync(editor.dir, { recursive: true, encoding: "utf8" })
        .filter((name) => /Devshell.*\.log$/.test(name))
        .map((name) => readFileSync(join(editor.dir, name), "utf8"))
        .join("\n");
    await expect.poll(read).toMatch(/\[debug\].*watch --json --once.*: status 0/);
    const log = read();
    expect(log).toMatch(/\[info\].*packaged/);
    expect(log).not.toContain(SECRET);
    expect(log).not.toContain(VALUE);
    expect(editor.logs()).not.toContain(SECRET);
    expect(workbench.console()).not.toContain(SECRET);
  });

  test("its page in the editor shows the README", async () => {
    const { page } = workbench;
    // What opens it by its id asks the gallery first.
    await workbench.host(async ({ vscode }) => {
      await vscode.commands.executeCommand("workbench.extensions.search", "@installed devshell");
    });
    await page.locator(".extensions-list .monaco-list-row", { hasText: "Devshell" }).first().click();
    await expect
      .poll(() => widths(/^Devshell for VS Code$/, "h1"), { timeout: 30_000 })
      .toEqual([expect.any(Number)]);
    await workbench.screenshot("extension-page");
  });

  test("its walkthrough shows the pictures", async () => {
    await workbench.host(async ({ vscode }, category) => {
      await vscode.commands.executeCommand("workbench.action.openWalkthrough", category);
    }, `${ID}#devshell.start`);
    // A step chosen while the first one's page still loads would get that page.
    await expect
      .poll(async () => (await widths(/devshell doctor/, "body")).length, { timeout: 30_000 })
      .toBe(1);
    await workbench.page.getByText("See it at work", { exact: true }).click();
    await expect
      .poll(async () => (await widths(/./, "img")).filter((width) => width > 500).length, { timeout: 30_000 })
      .toBeGreaterThan(3);
    await workbench.screenshot("walkthrough");
  });

  /** Of pictures, their own; of elements that have the text, as they are shown. */
  async function widths(text: RegExp, selector: string): Promise<readonly number[]> {
    for (const frame of workbench.page.frames()) {
      const found = frame.locator(selector, selector === "img" ? {} : { hasText: text });
      const all = await found
        .evaluateAll((elements) =>
          elements.map((element) => {
            const { naturalWidth, clientWidth } = element as { naturalWidth?: number; clientWidth?: number };
            return naturalWidth ?? clientWidth ?? 0;
          }),
        )
        .catch(() => []);
      if (frame !== workbench.page.mainFrame() && all.length > 0) return all;
    }
    return [];
  }

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
