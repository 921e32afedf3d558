// The environment view in a real editor: opened, followed through reloads, hidden, and back with the window.
import { join } from "node:path";
import type { FrameLocator } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";
import { STUB, stubProject, waitForState, type Plan, type StubProject } from "./stubProject.ts";
import { sampleClosure, SECRET } from "./viewSamples.ts";

function planOf(project: StubProject | undefined, part: Plan = {}): Plan {
  const path = join(project?.directory ?? "/", "devshell.yaml");
  return {
    id: "a",
    name: "seen",
    closure: sampleClosure(40),
    variables: [
      { name: "API_TOKEN", value: SECRET, isSecret: true },
      { name: "GREETING", value: "hello", origin: { by: "spec", position: { path, line: 2, column: 3 } } },
      { name: "LIST_PATH", action: "prepend", separator: ":", value: "/one:/two" },
      { name: "LONG", value: "z".repeat(200_000) },
      { name: "URL", value: `https://user:${SECRET}@example.org` },
    ],
    ...part,
  };
}

describeEditor("the environment view", () => {
  let project: StubProject;
  let editor: Editor;
  let workbench: Workbench;

  beforeAll(async () => {
    project = stubProject({});
    project.write("devshell.yaml", "packages: []\nvariables:\n  GREETING: hello\n");
    project.write("other.txt", "another editor\n");
    project.plan(planOf(project));
    editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: { "devshell.path": STUB, "devshell.restartExtensions": "never" },
      commands: ["devshell.showEnvironment", "workbench.action.closeActiveEditor"],
    });
    workbench = await editor.openWorkbench();
    await workbench.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await waitForState(workbench, "ready");
    await workbench.runCommand("devshell.showEnvironment");
    await view().getByRole("heading", { name: "seen" }).waitFor();
  });
  afterAll(async () => {
    await editor?.close();
    project[Symbol.dispose]();
  });

  /** Only the view that is in front has frames. */
  const view = (): FrameLocator =>
    workbench.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
  const row = (name: string) =>
    view()
      .getByRole("row")
      .filter({ has: view().getByRole("rowheader", { name, exact: true }) });
  const clipboard = (): Promise<string> => workbench.host(({ vscode }) => vscode.env.clipboard.readText());
  const openOther = (): Promise<void> =>
    workbench.host(
      async ({ vscode }, path) => {
        await vscode.window.showTextDocument(vscode.Uri.file(path), { preview: false });
      },
      join(project.directory, "other.txt"),
    );

  test("shows the variables, and no secret", async () => {
    await row("GREETING").waitFor();
    expect(await row("GREETING").textContent()).toContain("hellospec devshell.yaml:2");
    const text = await view().locator("body").innerHTML();
    expect(text).toContain("https://user:••••••••@example.org");
    expect(text).not.toContain(SECRET);
    expect(
      await workbench.page.getByRole("tab", { name: /^Devshell Environment: devshell-stub-/ }).count(),
    ).toBe(1);
    await workbench.screenshot("environment view");
  });

  test("copies the whole value, and a secret when its button says so", async () => {
    await row("LONG").click();
    await view().getByRole("complementary").getByRole("button", { name: "Copy Value" }).click();
    await expect.poll(clipboard).toBe("z".repeat(200_000));
    await workbench.page.keyboard.press("Escape");
    await row("GREETING").click();
    await workbench.page.keyboard.press("Control+c");
    await expect.poll(clipboard).toBe("hello");
    await row("API_TOKEN").hover();
    await row("API_TOKEN").getByRole("button", { name: "Copy Secret Value" }).click();
    await expect.poll(clipboard).toBe(SECRET);
    expect(await view().locator("body").innerHTML()).not.toContain(SECRET);
  });

  test("follows a reload, and says what it changed", async () => {
    await expect.poll(() => view().getByRole("tab", { name: "Changes", exact: true }).count()).toBe(1);
    project.plan(
      planOf(project, {
        id: "b",
        variables: [
          { name: "API_TOKEN", value: `${SECRET}-2`, isSecret: true },
          { name: "FRESH", value: "new" },
          { name: "GREETING", value: "good day" },
          { name: "LIST_PATH", action: "prepend", separator: ":", value: "/zero:/one" },
          { name: "URL", value: `https://user:${SECRET}@example.org` },
        ],
      }),
    );
    await view().getByRole("tab", { name: "Changes, 5" }).click();
    const texts = await view().locator("#panel-changes [aria-level]").allTextContents();
    expect(texts.filter((text) => !text.startsWith("LONG"))).toEqual([
      "Changed 3",
      "API_TOKEN••••••••••••••••",
      "GREETINGhellogood day",
      "LIST_PATH2 elements /one:/two2 elements /zero:/one",
      "+/zero",
      "−/two",
      "Added 1",
      "FRESH–new",
      "Removed 1",
    ]);
    await expect
      .poll(() => view().getByRole("status").textContent())
      .toBe("The environment has changed: 5 variables");
    // Of the environment before: a secret still.
    expect((await view().locator("body").innerHTML()).split(SECRET)).toHaveLength(1);
    await workbench.screenshot("environment view, changes");
  });

  test("reads the closure when it is looked at", async () => {
    const runs = (): number => project.runs().filter(({ args }) => args[0] === "closure").length;
    expect(runs()).toBe(0);
    await view().getByRole("tab", { name: "Closure" }).click();
    await view().getByRole("option", { name: "gcc-12-12.2.0, 230 MiB" }).waitFor();
    expect(runs()).toBe(1);
    expect(project.runs().at(-1)?.args).toEqual(["closure", "--json"]);
    await workbench.screenshot("environment view, closure");
  });

  test("is gone while it is hidden, and comes back as it was", async () => {
    await openOther();
    await expect.poll(() => workbench.page.locator("iframe.webview").count()).toBe(0);
    await workbench.runCommand("devshell.showEnvironment");
    await view().getByRole("option", { name: "gcc-12-12.2.0, 230 MiB" }).waitFor();
    expect(await view().getByRole("tab", { name: "Closure" }).getAttribute("aria-selected")).toBe("true");
    // One a folder.
    expect(await workbench.page.getByRole("tab", { name: /^Devshell Environment/ }).count()).toBe(1);
  });

  test("jumps to where a variable is set", async () => {
    project.plan(planOf(project, { id: "c" }));
    await view().getByRole("tab", { name: "Variables" }).click();
    await row("GREETING").getByText("hello").waitFor();
    await row("GREETING").click();
    await workbench.page.keyboard.press("F12");
    await expect
      .poll(() =>
        workbench.host(({ vscode }) => {
          const opened = vscode.window.activeTextEditor;
          return [
            opened?.document.fileName.split("/").at(-1),
            opened?.selection.active.line,
            opened?.selection.active.character,
          ];
        }),
      )
      .toEqual(["devshell.yaml", 1, 2]);
    await workbench.runCommand("devshell.showEnvironment");
    await row("GREETING").waitFor();
  });

  test("says that the environment cannot be loaded, and why", async () => {
    project.plan({ state: "failed", error: { message: `Cannot parse: found "${SECRET}"` } });
    await view().getByRole("group", { name: "Failed" }).waitFor();
    expect(await view().getByRole("group", { name: "Failed" }).textContent()).toContain(
      'Cannot parse: found "••••••••"',
    );
    // The last good environment is still in use.
    expect(await row("GREETING").count()).toBe(1);
    project.plan(planOf(project, { id: "d" }));
    await view().getByRole("img", { name: "State: Ready" }).waitFor();
  });

  test("comes back with the window, and breaks no rule of its page", async () => {
    await workbench.reload();
    // Which tabs were in front, the editor's and the view's, is saved when the browser is idle: that may have been a
    // while ago.
    await workbench.page.getByRole("tab", { name: /^Devshell Environment/ }).click();
    await view().getByRole("tab", { name: "Variables" }).click();
    await row("GREETING").waitFor();
    expect(await view().locator("body").innerHTML()).not.toContain(SECRET);
    expect(workbench.console()).not.toMatch(/Content Security Policy|webview\.js/);
  });
});

describeEditor("the environment views of two folders", () => {
  test("are two, each with its own variables and changes", async () => {
    using a = stubProject({ id: "a", name: "first", variables: [{ name: "ONLY_A", value: "1" }] });
    using b = stubProject({ id: "b", name: "second", variables: [{ name: "ONLY_B", value: "1" }] });
    await using editor = await startEditor({
      folders: [a.directory, b.directory],
      extensions: [EXTENSION],
      settings: { "devshell.path": STUB, "devshell.restartExtensions": "never" },
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "ready");
    const show = async (project: StubProject): Promise<FrameLocator> => {
      await workbench.host(async ({ vscode }, path) => {
        await vscode.commands.executeCommand("devshell.showEnvironment", vscode.Uri.file(path));
      }, project.directory);
      return workbench.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
    };
    await (await show(a)).getByRole("rowheader", { name: "ONLY_A" }).waitFor();
    // Another folder than the one that the status bar shows: a run has read its first plan.
    await expect.poll(() => b.runs().length).toBe(1);
    b.plan({ id: "b2", name: "second", variables: [{ name: "ONLY_B", value: "2" }] });
    const second = await show(b);
    await second.getByRole("rowheader", { name: "ONLY_B" }).waitFor();
    await second.getByRole("tab", { name: "Changes, 1" }).waitFor();
    const first = await show(a);
    await first.getByRole("rowheader", { name: "ONLY_A" }).waitFor();
    expect(await first.getByRole("tab", { name: "Changes", exact: true }).count()).toBe(1);
    expect(await workbench.page.getByRole("tab", { name: /^Devshell Environment/ }).count()).toBe(2);
  });
});

describeEditor("the environment view of the real devshell", () => {
  test("has what the CLI says: variables, who set them, the closure", async () => {
    using samples = sampleProjects();
    const folder = samples.project("real", {
      "devshell.yaml": samples.spec("packages: [tool]\nenv:\n  GREETING: hello\n"),
    });
    await using editor = await startEditor({
      folders: [folder],
      extensions: [EXTENSION],
      env: samples.env,
      settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "never" },
      commands: ["devshell.showEnvironment"],
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "ready");
    await workbench.runCommand("devshell.showEnvironment");
    const view = workbench.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
    await view.getByRole("heading", { name: "devshell", exact: true }).waitFor();
    const greeting = view.getByRole("row").filter({ has: view.getByRole("rowheader", { name: "GREETING" }) });
    expect(await greeting.textContent()).toContain("hellospec devshell.yaml:");
    await view.getByRole("tab", { name: "Closure" }).click();
    await view.getByRole("option", { name: /^tool-1\.0, / }).click();
    expect(await view.getByRole("complementary").locator(".chain li").first().textContent()).toBe(
      "the environment itself",
    );
    await workbench.screenshot("environment view, real");
  });
});
