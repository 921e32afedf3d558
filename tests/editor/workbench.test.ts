// The harness itself, user-interface layer: each helper once, against a tiny extension.
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEditor, type Editor, startEditor, type Workbench } from "./harness/index.ts";

const HELLO = resolve(import.meta.dirname, "fixtures/hello-extension");

describeEditor("a workbench", () => {
  let folder: string;
  let editor: Editor;
  let workbench: Workbench;

  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "devshell-hello-")));
    writeFileSync(join(folder, "hello.txt"), "one\ntwo\nhello hello\n");
    editor = await startEditor({
      folders: [folder],
      extensions: [HELLO],
      commands: ["hello.ask"],
      homeFiles: { ".bashrc": "PS1='ready> '\n" },
    });
    workbench = await editor.openWorkbench();
    // A terminal that opens before an extension is active has none of its variables.
    await workbench.waitForStatus("hello.state", () => true);
  });
  afterAll(async () => {
    await editor?.close();
    rmSync(folder, { recursive: true });
  });

  test("a terminal echoes, and has the extension's variable", async () => {
    await workbench.openTerminal();
    await workbench.typeInTerminal('echo "shown: $HELLO_FIXTURE"\r');
    await workbench.waitForTerminal("\nshown: from the collection");
    expect(await workbench.shell('printf "%s\\n" "$HELLO_FIXTURE" "$PWD"; false')).toEqual({
      status: 1,
      stdout: `from the collection\n${folder}\n`,
    });
  });

  test("an old terminal is marked when a variable changes, a new one is not", async () => {
    // Its name is for a moment that of the program which ended last.
    await expect.poll(() => workbench.terminals()).toEqual([{ name: "bash", isStale: false }]);
    await workbench.host(({ vscode }) => vscode.commands.executeCommand("hello.change"));
    await expect.poll(() => workbench.terminals()).toEqual([{ name: "bash", isStale: true }]);
    await workbench.openTerminal();
    expect((await workbench.shell('echo "$HELLO_FIXTURE"')).stdout).toBe("changed\n");
    await expect
      .poll(async () => (await workbench.terminals()).map(({ isStale }) => isStale))
      .toEqual([true, false]);
  });

  test("the status bar's item has text, icon, label and tooltip", async () => {
    const item = await workbench.waitForStatus("hello.state", ({ text }) => text === "hello trusted");
    expect(item).toMatchObject({ icons: ["check"], ariaLabel: "Hello, ready", kind: "none" });
    expect(await workbench.statusTooltip("hello.state")).toContain("Hello tooltip");
  });

  test("a command asks, a button answers, a problem shows", async () => {
    await workbench.runFromPalette("Hello: Ask");
    await workbench.clickNotification("go on", "Yes");
    await workbench.waitForStatus("hello.state", ({ text }) => text === "hello answered Yes");
    await expect.poll(() => workbench.notifications()).toEqual([]);
    await expect.poll(() => workbench.problems()).toEqual(["hello.txt 1", "A hello too many [Ln 3, Col 1]"]);

    await workbench.runCommand("hello.ask");
    await expect.poll(() => workbench.notifications()).toEqual(["Hello, go on?"]);
    await workbench.clickNotification("go on", "No");
    await workbench.waitForStatus("hello.state", ({ text }) => text === "hello answered No");
  });

  test("a function runs in the extension host, before and after a reload", async () => {
    const names = (): Promise<readonly string[]> =>
      workbench.host(
        async ({ vscode }, id) => (await vscode.extensions.getExtension(id)?.activate())?.variables(),
        "devshell-tests.hello",
      );
    expect(await names()).toEqual(["HELLO_FIXTURE"]);
    const pid = await workbench.host(() => process.pid);
    await workbench.reload();
    expect(await names()).toEqual(["HELLO_FIXTURE"]);
    expect(await workbench.host(() => process.pid)).not.toBe(pid);
    await expect(workbench.host(() => Promise.reject(new Error("no such thing")))).rejects.toThrow(
      "no such thing",
    );
  });

  test("what an extension logs reaches the log files, so the Output view", async () => {
    await expect.poll(() => editor.logs()).toMatch(/Hello\.log\n.*\[info\] hello, log/);
  });

  test("a picture is saved", async () => {
    const path = await workbench.screenshot("hello");
    expect(statSync(path).size).toBeGreaterThan(10_000);
  });
});

describeEditor("Restricted Mode", () => {
  test("ends by trust(), without a reload", async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "devshell-hello-")));
    let dir: string;
    {
      await using editor = await startEditor({ folders: [folder], extensions: [HELLO], trust: false });
      dir = editor.dir;
      await using workbench = await editor.openWorkbench();
      await workbench.waitForStatus("hello.state", ({ text }) => text === "hello untrusted");
      await workbench.trust();
      await workbench.waitForStatus("hello.state", ({ text }) => text === "hello trusted");
    }
    expect(existsSync(dir)).toBe(false);
    rmSync(folder, { recursive: true });
  });
});
