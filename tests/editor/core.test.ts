// The extension's core in a real editor: warm starts, trust, edits, failures, cancelling, disabling.
import { chmodSync, existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DevshellApi } from "../../vscode-extension/src/model.ts";
import {
  describeEditor,
  startEditor,
  type Editor,
  type HostFunction,
  type Workbench,
} from "./harness/index.ts";
import { EXTENSION } from "./sampleProject.ts";
import { STUB, hostEnvironment, hostPid, seenInHost, stubProject, waitForState } from "./stubProject.ts";

const SETTINGS = { "devshell.path": STUB, "devshell.restartExtensions": "never" };
const sees = (value: string) => ({ variables: [{ name: "FROM_SPEC", value }] });

describeEditor("a second start", () => {
  test("has the last environment before the CLI says anything", async () => {
    using project = stubProject({ id: "a", ...sees("one") });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
    });
    const first = await editor.openWorkbench();
    await waitForState(first, "ready");
    const context = first.page.context();
    // From now on the CLI hangs: whatever is there is there without it.
    project.plan({ hang: true });
    await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBe(2);
    // Two windows of one folder would have storage of their own.
    await first.page.close();
    const loadsMs: number[] = [];
    for (let start = 0; start < 3; start++) {
      await using next = await editor.openWorkbench({ context });
      await waitForState(next, "ready");
      expect(await seenInHost(next, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "one" });
      loadsMs.push(...(await next.host(loadAgain, undefined)));
      if (start === 0) {
        await next.openTerminal();
        expect((await next.shell('printf %s "$FROM_SPEC"')).stdout).toBe("one");
        expect((await next.terminals()).map(({ isStale }) => isStale)).toEqual([false]);
      }
    }
    const durationsMs = (): number[] =>
      [...extensionLogs(editor).matchAll(/activated in (\d+) ms/g)].map((match) => Number(match[1]));
    // The editor writes its logs a moment later.
    await expect.poll(durationsMs).toHaveLength(4);
    // The least of them: other processes take their share of the machine.
    expect(Math.min(...durationsMs()) + Math.min(...loadsMs)).toBeLessThan(100);
  });
});

describeEditor("100 folders", () => {
  test("are loaded by one run each; a second start has them all at once", async () => {
    using root = stubProject({ state: "none" });
    const names = Array.from({ length: 100 }, (_, index) => `folder${String(index).padStart(3, "0")}`);
    for (const name of names) {
      root.write(`${name}/devshell.yaml`, "packages: []\n");
      root.write(
        `${name}/plan.json`,
        JSON.stringify({ id: name, variables: [{ name: "WHICH", value: name }] }),
      );
    }
    await using editor = await startEditor({
      workspace: root.write(
        "test.code-workspace",
        JSON.stringify({ folders: names.map((name) => ({ path: name })) }),
      ),
      extensions: [EXTENSION],
      settings: SETTINGS,
      env: { STUB_RUNS: join(root.directory, "runs.log") },
    });
    const first = await editor.openWorkbench();
    const context = first.page.context();
    await expect.poll(() => reportsOf(first), { timeout: 150_000, interval: 500 }).toEqual(names);
    expect(root.runs()).toHaveLength(100);
    expect(await seenInHost(first, ["WHICH"])).toEqual({ WHICH: "folder000" });
    await first.page.close();
    for (const name of names) root.write(`${name}/plan.json`, JSON.stringify({ hang: true }));
    await using second = await editor.openWorkbench({ context });
    await expect.poll(() => reportsOf(second), { timeout: 60_000 }).toEqual(names);
    expect(await seenInHost(second, ["WHICH"])).toEqual({ WHICH: "folder000" });
  }, 300_000);
});

describeEditor("an untrusted workspace", () => {
  test("runs nothing, least of all what it names itself; trust loads without a reload", async () => {
    using project = stubProject({ id: "a", ...sees("one") });
    const evil = project.write("evil.sh", `#!/bin/sh\ntouch ${project.directory}/evil\nexec ${STUB} "$@"\n`);
    chmodSync(evil, 0o755);
    project.write(
      ".vscode/settings.json",
      JSON.stringify({ "devshell.path": "./evil.sh", "devshell.arguments": ["--evil"] }),
    );
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: SETTINGS,
      commands: ["devshell.reload"],
      trust: false,
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "not trusted");
    await workbench.runCommand("devshell.reload");
    await waitForState(workbench, "not trusted");
    expect(project.runs()).toEqual([]);
    expect(existsSync(join(project.directory, "evil"))).toBe(false);
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: null });

    const pid = await hostPid(workbench);
    await workbench.trust();
    await waitForState(workbench, "ready");
    expect(await hostPid(workbench)).toBe(pid);
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "one" });
    // What the user trusts now counts, relative to the folder; it may come after the trust itself.
    await expect.poll(() => project.runs().at(-1)?.args[0]).toBe("--evil");
  });
});

describeEditor("edits, failures and commands", () => {
  test("follow each other without a restart", async () => {
    using project = stubProject({ id: "a", ...sees("one"), show: ["FROM_SPEC", "FROM_SETTING", "PATH"] });
    const settings = { ...SETTINGS, "devshell.environment": { FROM_SETTING: "yes" } };
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: { ...settings, "devshell.enabled": false },
      commands: ["devshell.cancel", "devshell.disable", "devshell.enable", "devshell.reload"],
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "disabled");
    const before = await hostEnvironment(workbench);
    const pid = await hostPid(workbench);
    expect(project.runs()).toEqual([]);

    // Enabled by the setting.
    await workbench.setSetting("devshell.enabled", true);
    await waitForState(workbench, "ready");
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "one" });
    await workbench.openTerminal();
    expect((await workbench.shell('printf %s "$FROM_SPEC"')).stdout).toBe("one");

    // A save that changes nothing: a run, and nothing else.
    project.plan({ id: "a", ...sees("one") });
    await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBe(2);
    await waitForState(workbench, "ready");
    expect((await workbench.terminals()).map(({ isStale }) => isStale)).toEqual([false]);

    // A change: the old terminal is marked, a new one has it. The CLI itself never sees what was patched in.
    project.plan({ id: "b", ...sees("two"), show: ["FROM_SPEC", "FROM_SETTING"] });
    await expect
      .poll(() => seenInHost(workbench, ["FROM_SPEC"]), { timeout: 20_000 })
      .toEqual({ FROM_SPEC: "two" });
    await expect
      .poll(async () => (await workbench.terminals()).map(({ isStale }) => isStale))
      .toEqual([true]);
    await workbench.openTerminal();
    expect((await workbench.shell('printf %s "$FROM_SPEC"')).stdout).toBe("two");
    expect(project.runs().at(-1)?.environment).toEqual({ FROM_SPEC: null, FROM_SETTING: "yes" });

    // A broken spec keeps it; the mend recovers.
    project.plan({ state: "failed" });
    await waitForState(workbench, "failed, the last environment is in use");
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "two" });
    project.plan({ id: "c", ...sees("three") });
    await waitForState(workbench, "ready");
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "three" });

    // A deaf CLI that hangs is cancelled, and gone.
    const { length } = project.runs();
    project.plan({ hang: true, ignoreTerm: true });
    await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBe(length + 1);
    await waitForState(workbench, "newer environment");
    await workbench.runCommand("devshell.cancel");
    await waitForState(workbench, "cancelled");
    const hung = project.runs().at(-1)?.pid ?? 0;
    expect(existsSync(`/proc/${hung}`)).toBe(false);
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "three" });

    // Disabled: nothing is left of it.
    project.plan({ id: "c", ...sees("three") });
    await waitForState(workbench, "ready");
    await workbench.runCommand("devshell.disable");
    await waitForState(workbench, "disabled");
    expect(await hostEnvironment(workbench)).toEqual(before);
    await workbench.openTerminal();
    expect((await workbench.shell('printf %s "${FROM_SPEC-unset}"')).stdout).toBe("unset");
    expect(await hostPid(workbench)).toBe(pid);
    await workbench.runCommand("devshell.enable");
    await waitForState(workbench, "ready");
    expect(await seenInHost(workbench, ["FROM_SPEC"])).toEqual({ FROM_SPEC: "three" });
  });

  test("a program that is not there: said once, with the setting that names it", async () => {
    using project = stubProject({ id: "a" });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: { ...SETTINGS, "devshell.path": "devshell-of-nowhere" },
      commands: ["devshell.reload"],
    });
    await using workbench = await editor.openWorkbench();
    await waitForState(workbench, "failed");
    await workbench.runCommand("devshell.reload");
    await waitForState(workbench, "failed");
    const said = async () =>
      (await workbench.notifications()).filter((text) => text.includes("devshell.path"));
    await expect.poll(said).toEqual([expect.stringContaining('"devshell-of-nowhere"')]);
    await workbench.clickNotification("devshell-of-nowhere", "Open Setting");
    await workbench.page.locator(".settings-editor").getByText("Devshell: Path").first().waitFor();
    // The right name is enough.
    await workbench.setSetting("devshell.path", SETTINGS["devshell.path"]);
    await waitForState(workbench, "ready");
  });
});

/** What the extension wrote to its output channel, in all windows. */
/** How long an extension host takes to load the extension's code, some times: runs there. */
const loadAgain: HostFunction<undefined, number[]> = ({ vscode, require }) => {
  const path = vscode.extensions.getExtension("devshell.devshell")?.extensionPath ?? "";
  const file = require.resolve(`${path}/dist/extension.cjs`);
  const loaded = require.cache[file];
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    delete require.cache[file];
    const startMs = performance.now();
    require(file);
    times.push(performance.now() - startMs);
  }
  if (loaded === undefined) delete require.cache[file];
  else require.cache[file] = loaded;
  return times;
};

function extensionLogs(editor: Editor): string {
  const files = globSync("user-data/logs/**/Devshell.log", { cwd: editor.dir });
  return files.map((file) => readFileSync(join(editor.dir, file), "utf8")).join("");
}

/** The id of each folder's environment. */
function reportsOf(workbench: Workbench): Promise<(string | undefined)[]> {
  return workbench.host(async ({ vscode }) => {
    const api = (await vscode.extensions
      .getExtension<DevshellApi>("devshell.devshell")
      ?.activate()) as DevshellApi;
    return (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => api.getReport(uri)?.id);
  });
}
