// The harness itself: a .vsix beside a linked extension, a workspace of two folders, two windows, and a close that is one.
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createVSIX } from "@vscode/vsce";
import { expect, test } from "vitest";
import { describeEditor, startEditor } from "./harness/index.ts";

const HELLO = resolve(import.meta.dirname, "fixtures/hello-extension");

describeEditor("an editor with a .vsix", () => {
  test("opens two windows with several folders, and leaves no process behind", async () => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), "devshell-vsix-")));
    const [a, b] = [mkdtempSync(join(dir, "a-")), mkdtempSync(join(dir, "b-"))];
    const vsix = join(dir, "hello.vsix");
    await createVSIX({
      cwd: HELLO,
      packagePath: vsix,
      dependencies: false,
      allowMissingRepository: true,
      skipLicense: true,
    });
    let marker: string;
    {
      await using editor = await startEditor({
        folders: [a, b],
        extensions: [vsix],
        env: { FROM_TEST: "yes" },
      });
      marker = `DEVSHELL_EDITOR_PROBES=${editor.dir}`;
      await using both = await editor.openWorkbench();
      await using single = await editor.openWorkbench({ folders: [b] });
      await both.waitForStatus("hello.state", () => true);
      const roots = (window: typeof both): Promise<readonly string[] | undefined> =>
        window.host(({ vscode }) => vscode.workspace.workspaceFolders?.map(({ uri }) => uri.path));
      expect(await roots(both)).toEqual([a, b]);
      expect(await roots(single)).toEqual([b]);
      const isInstalled = await both.host(({ vscode }) =>
        vscode.extensions.all.filter(({ id }) => id.startsWith("devshell-tests.")).map(({ id }) => id),
      );
      expect(isInstalled.sort()).toEqual(["devshell-tests.editor-test-probe", "devshell-tests.hello"]);

      await single.openTerminal();
      expect((await single.shell('echo "$FROM_TEST" "$HOME"')).stdout).toBe(`yes ${editor.home}\n`);
      // In a session of its own, and deaf to a terminal's end.
      await single.typeInTerminal("setsid sh -c 'trap \"\" HUP TERM; while :; do sleep 1; done' &\r");
      await expect.poll(() => running(marker).some((line) => line.startsWith("sh -c trap"))).toBe(true);
    }
    expect(running(marker)).toEqual([]);
    rmSync(dir, { recursive: true });
  });
});

/** Command lines of the processes whose environment holds the text. */
function running(text: string): string[] {
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "latin1");
    } catch {
      return "";
    }
  };
  const pids = readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && read(name, "environ").includes(text),
  );
  return pids.map((pid) => read(pid, "cmdline").replaceAll("\0", " "));
}
