// What reaches terminals and tasks: every value as it is, each folder its own, nothing on a program's standard input.
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeEditor, startEditor, type Workbench } from "./harness/index.ts";
import { EXTENSION } from "./sampleProject.ts";
import { STUB, seenInHost, stubProject, waitForState, type StubProject } from "./stubProject.ts";

const SETTINGS = { "devshell.path": STUB, "devshell.restartExtensions": "never" };

const VALUES: Readonly<Record<string, string>> = {
  NEWLINE: "one\ntwo\n",
  QUOTES: `'"\`'`,
  DOLLARS: "$HOME ${HOME} $(id) $$",
  EDITORS_OWN: "${workspaceFolder} ${env:HOME} ${file} ${command:x} $${userHome}",
  BACKSLASH: "\\n\\\\x \\x41 \\",
  UNICODE: "äö€🎈\u2028",
  CONTROL: "\u0001\u001b[31m\t\u007f",
  COLONS: "a:b::c",
  SPACES: "  two  ",
  EMPTY: "",
  LONG: "x".repeat(100_000),
};

describeEditor("values", () => {
  test("arrive whole in terminals, tasks and the extension host; what is too large is left out and said", async () => {
    const variables = [
      ...Object.entries(VALUES).map(([name, value]) => ({ name, value })),
      { name: "TOO_LONG", value: "x".repeat(200_000) },
      { name: "PATH", action: "prepend", value: "/store/tools/bin", separator: ":" },
      { name: "GONE", action: "unset" },
      { name: "HOME", value: "/elsewhere" },
    ];
    using project = stubProject({ id: "a", name: "values", variables });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
      env: { GONE: "still here" },
      homeFiles: { ".bashrc": "PATH=/hostile/bin:$PATH\nCOLONS=hostile\n" },
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "ready, with warnings");
    await workbench.openTerminal();
    await workbench.shell(`env -0 > '${project.directory}/terminal'`);
    const terminal = environmentOf(project, "terminal");
    for (const [name, value] of Object.entries(VALUES))
      expect([name, terminal.get(name)]).toEqual([name, value]);
    expect(terminal.has("TOO_LONG")).toBe(false);
    expect(terminal.get("PATH")?.split(":").slice(0, 2)).toEqual(["/store/tools/bin", "/hostile/bin"]);
    expect(terminal.get("HOME")).toBe(editor.home);

    const { GONE, TOO_LONG, HOME, ...host } = await seenInHost(workbench, [
      ...Object.keys(VALUES),
      "GONE",
      "TOO_LONG",
      "HOME",
    ]);
    expect(host).toEqual(VALUES);
    expect({ GONE, TOO_LONG, HOME }).toEqual({ GONE: null, TOO_LONG: null, HOME: editor.home });

    await runTask(project, workbench, "env -0 > task");
    const task = environmentOf(project, "task");
    for (const [name, value] of Object.entries(VALUES)) expect([name, task.get(name)]).toEqual([name, value]);
    expect(await workbench.statusTooltip("devshell.status")).toMatch(/TOO_LONG is left out: 196 KiB/);
  });

  test("10,000 of them", async () => {
    const variables = Array.from({ length: 10_000 }, (_, index) => ({
      name: `VARIABLE_${index}`,
      value: `the value of variable ${index}`,
    }));
    using project = stubProject({ id: "a", name: "many", variables });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "many, ready");
    await runTask(project, workbench, "env -0 > task");
    const task = environmentOf(project, "task");
    expect([...task.keys()].filter((name) => name.startsWith("VARIABLE_"))).toHaveLength(10_000);
    await workbench.openTerminal();
    expect((await workbench.shell("env | grep -c '^VARIABLE_'")).stdout).toBe("10000\n");
    expect(await seenInHost(workbench, ["VARIABLE_9999"])).toEqual({
      VARIABLE_9999: "the value of variable 9999",
    });
  });
});

describeEditor("two folders", () => {
  test("differ in terminals and tasks; the extension host has the first one's", async () => {
    using a = stubProject({
      id: "a",
      name: "a",
      variables: [
        { name: "WHICH", value: "a" },
        { name: "ONLY_A", value: "1" },
      ],
    });
    using b = stubProject({ id: "b", name: "b", variables: [{ name: "WHICH", value: "b" }] });
    await using editor = await startEditor({
      folders: [a.directory, b.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
    });
    await using workbench = await editor.openWorkbench();
    const names = () =>
      workbench.host(async ({ vscode }) => {
        const api = (await vscode.extensions.getExtension("devshell.devshell")?.activate()) as {
          getReport(uri: unknown): { readonly name: string } | undefined;
        };
        return vscode.workspace.workspaceFolders?.map(({ uri }) => api.getReport(uri)?.name ?? "");
      });
    await expect.poll(names, { timeout: 60_000 }).toEqual(["a", "b"]);
    for (const [index, project] of [a, b].entries()) {
      await runTask(project, workbench, "env -0 > task", index);
      await workbench.host(({ vscode }, at) => {
        const folder = vscode.workspace.workspaceFolders?.[at];
        if (folder === undefined) throw new Error("no folder");
        const terminal = vscode.window.createTerminal({ cwd: folder.uri });
        terminal.sendText("env -0 > terminal.new && mv terminal.new terminal");
      }, index);
      await expect.poll(() => isThere(project, "terminal"), { timeout: 30_000 }).toBe(true);
    }
    const seen = [a, b].flatMap((project) =>
      ["task", "terminal"].map((file) => {
        const environment = environmentOf(project, file);
        return [environment.get("WHICH"), environment.get("ONLY_A")];
      }),
    );
    expect(seen).toEqual([
      ["a", "1"],
      ["a", "1"],
      ["b", undefined],
      ["b", undefined],
    ]);
    expect(await seenInHost(workbench, ["WHICH", "ONLY_A"])).toEqual({ WHICH: "a", ONLY_A: "1" });
    const ofUri = await workbench.host(async ({ vscode }) => {
      const api = (await vscode.extensions.getExtension("devshell.devshell")?.activate()) as {
        getEnvironment(uri: unknown): Promise<Record<string, string> | undefined>;
      };
      const folders = vscode.workspace.workspaceFolders ?? [];
      return Promise.all(
        folders.map(async ({ uri }) => (await api.getEnvironment(vscode.Uri.joinPath(uri, "x")))?.["WHICH"]),
      );
    });
    expect(ofUri).toEqual(["a", "b"]);
  });
});

describeEditor("a program in the foreground", () => {
  test("gets nothing on its standard input while environments come and go", async () => {
    using project = stubProject({ id: "a", variables: [{ name: "A", value: "1" }] });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
      commands: ["devshell.reload"],
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "ready");
    await workbench.openTerminal();
    await workbench.typeInTerminal(`cat > '${join(project.directory, "typed")}'; echo ended-$?\r`);
    await expect.poll(() => isThere(project, "typed")).toBe(true);
    for (const id of ["b", "c"]) {
      project.plan({ id, variables: [{ name: "A", value: id }] });
      await expect.poll(() => seenInHost(workbench, ["A"]), { timeout: 20_000 }).toEqual({ A: id });
    }
    project.plan({ state: "failed" });
    await waitForState(workbench, "failed");
    await workbench.runCommand("devshell.reload");
    await waitForState(workbench, "failed");
    await workbench.page.locator(".terminal-wrapper.active").click();
    await workbench.typeInTerminal("mine\r\u0004");
    await workbench.waitForTerminal("ended-0");
    expect(project.read("typed")).toBe("mine\n");
  });
});

function isThere(project: StubProject, file: string): boolean {
  try {
    project.read(file);
    return true;
  } catch {
    return false;
  }
}

function environmentOf(project: StubProject, file: string): ReadonlyMap<string, string> {
  const entries = project.read(file).split("\0");
  return new Map(
    entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

/** Runs a shell task in the folder, to its end. */
async function runTask(project: StubProject, workbench: Workbench, line: string, folder = 0): Promise<void> {
  const status = await workbench.host(
    ({ vscode }, { text, index }) => {
      const scope = vscode.workspace.workspaceFolders?.[index];
      if (scope === undefined) throw new Error("no folder");
      const task = new vscode.Task({ type: "test" }, scope, "test", "test", new vscode.ShellExecution(text));
      return new Promise<number | undefined>((resolve, reject) => {
        const listener = vscode.tasks.onDidEndTaskProcess((event) => {
          if (event.execution.task.name !== "test") return;
          listener.dispose();
          resolve(event.exitCode);
        });
        vscode.tasks.executeTask(task).then(undefined, reject);
      });
    },
    { text: line, index: folder },
  );
  expect([project.directory, status]).toEqual([project.directory, 0]);
}
