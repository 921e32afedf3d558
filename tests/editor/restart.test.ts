// The offer to restart other extensions: once for each real change, by a reload where nothing less works, never in a loop.
import { expect, test } from "vitest";
import { describeEditor, startEditor } from "./harness/index.ts";
import { EXTENSION } from "./sampleProject.ts";
import { STUB, hostPid, seenInHost, stubProject, waitForState } from "./stubProject.ts";

const OFFER = "Restart the extensions";

describeEditor("the offer to restart extensions", () => {
  test("comes once for each change; Restart reloads the window; no loop over three reloads", async () => {
    using project = stubProject({ id: "a", name: "first", variables: [{ name: "A", value: "1" }] });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: { "devshell.path": STUB },
      commands: ["devshell.reload", "notifications.clearAll"],
    });
    await using workbench = await editor.openWorkbench();
    const offers = async () => (await workbench.notifications()).filter((text) => text.includes(OFFER));
    await waitForState(workbench, "ready");
    await expect.poll(offers, { timeout: 20_000 }).toHaveLength(1);

    // Not answered, saved without change, loaded again: still the one.
    project.plan({ id: "a", name: "first", variables: [{ name: "A", value: "1" }] });
    await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBe(2);
    await workbench.runCommand("devshell.reload");
    await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBe(3);
    await waitForState(workbench, "ready");
    await expect.poll(offers).toEqual([expect.stringContaining("first")]);
    await workbench.runCommand("notifications.clearAll");
    await expect.poll(offers).toHaveLength(0);

    project.plan({ id: "b", name: "second", variables: [{ name: "A", value: "2" }] });
    await expect.poll(offers, { timeout: 20_000 }).toHaveLength(1);
    expect((await offers())[0]).toContain("second");
    const pid = await hostPid(workbench);
    const known = await workbench.host(({ vscode }) => vscode.commands.getCommands(true));
    expect(known).not.toContain("workbench.action.restartExtensionHost");
    await workbench.clickNotification(OFFER, "Restart");
    await expect.poll(() => hostPid(workbench).catch(() => pid), { timeout: 60_000 }).not.toBe(pid);
    for (let reload = 0; reload < 3; reload++) {
      await waitForState(workbench, "second, ready");
      expect(await seenInHost(workbench, ["A"])).toEqual({ A: "2" });
      const runs = project.runs().length;
      await workbench.runCommand("devshell.reload");
      await expect.poll(() => project.runs().length, { timeout: 20_000 }).toBeGreaterThan(runs);
      await waitForState(workbench, "second, ready");
      expect(await offers()).toEqual([]);
      await workbench.reload();
    }
  });

  test("Always restarts once for each environment, and asks when they come one after the other", async () => {
    using project = stubProject({ id: "a", name: "first", variables: [{ name: "A", value: "1" }] });
    await using editor = await startEditor({
      folders: [project.directory],
      extensions: [EXTENSION],
      settings: { "devshell.path": STUB, "devshell.restartExtensions": "always" },
    });
    await using workbench = await editor.openWorkbench();
    // Loaded, restarted, confirmed.
    await expect.poll(() => project.runs().length, { timeout: 60_000 }).toBe(2);
    await waitForState(workbench, "first, ready");
    const pid = await hostPid(workbench);
    project.plan({ id: "b", name: "second", variables: [{ name: "A", value: "2" }] });
    await expect
      .poll(async () => (await workbench.notifications()).filter((text) => text.includes(OFFER)), {
        timeout: 30_000,
      })
      .toHaveLength(1);
    expect(await hostPid(workbench)).toBe(pid);
    // The host before may still be ending, and sees the change, too.
    expect(project.runs().filter(({ ppid }) => ppid === pid)).toHaveLength(2);
  });
});
