// The harness itself, API layer: tests inside the extension host, against a tiny extension.
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { describeEditor, describeInHost, runApiTests } from "./harness/index.ts";

const HELLO = resolve(import.meta.dirname, "fixtures/hello-extension");
const folder = (): string => realpathSync(mkdtempSync(join(tmpdir(), "devshell-hello-")));

describeInHost("in the extension host", join(import.meta.dirname, "hello.host.ts"), async () => ({
  folders: [folder()],
  extensions: [HELLO],
  data: { expected: "from the collection" },
}));

describeEditor("a failing test in the extension host", () => {
  test("is reported by its name; the next one still runs", async () => {
    const dir = folder();
    const tests = join(dir, "failing.host.ts");
    const runner = JSON.stringify(resolve(import.meta.dirname, "host/runner.ts"));
    writeFileSync(
      tests,
      `import { test } from ${runner};
       test("throws", () => { throw new Error("on purpose"); });
       test("hangs", () => new Promise(() => undefined), 200);
       test("passes", () => undefined);`,
    );
    const run = await runApiTests({ tests, folders: [dir] });
    expect(run.exitCode).toBe(1);
    expect(run.results.map(({ name, error }) => [name, error?.split("\n")[0]])).toEqual([
      ["throws", "Error: on purpose"],
      ["hangs", "Error: Still not done after 200 ms"],
      ["passes", undefined],
    ]);
  });
});
