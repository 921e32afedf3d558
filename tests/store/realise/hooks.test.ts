import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sandboxObstacle } from "../../../store/realise/index.ts";
import { TestStore } from "../realiseFixture.ts";

const obstacle = await sandboxObstacle();

function program(t: TestStore, script: string): string {
  const path = join(t.dir, "hook");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe("diff-hook", () => {
  it("is shown both outputs, the derivation and the build directory of what differs", async () => {
    const raw = new Map([["run-diff-hook", "true"]]);
    await using t = TestStore.create({ raw });
    raw.set(
      "diff-hook",
      program(t, 'read a < $1; read b < $2; echo "$a and $b of $3"; [ -d "$4" ] && echo directory'),
    );
    const drv = t.derivation({
      name: "differs",
      script: `[ -e ${t.dir}/ran ] && echo second > $out || echo first > $out; : > ${t.dir}/ran`,
    });
    await t.build(drv);
    const report = await t.build(drv, { mode: "check" });
    expect(report.exitStatus).toBe(104);
    expect(report.failures[0]?.message).toBe(
      `derivation '${drv}' may not be deterministic: output '${t.output(drv)}' differs from '${t.output(drv)}.check'`,
    );
    expect(t.logLines()).toEqual(expect.arrayContaining([`first and second of ${drv}`, "directory"]));
  });

  it("is not run unless that is switched on, and its failure changes nothing", async () => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ raw });
    raw.set("diff-hook", program(t, `: > ${t.dir}/hooked; exit 3`));
    const drv = t.derivation({
      name: "differs",
      script: `echo x >> ${t.dir}/n; while read -r x; do echo $x; done < ${t.dir}/n > $out`,
    });
    await t.build(drv);
    expect((await t.build(drv, { mode: "check" })).failures[0]?.message).toMatch(/differs$/);
    expect(existsSync(join(t.dir, "hooked"))).toBe(false);
    raw.set("run-diff-hook", "true");
    expect((await t.build(drv, { mode: "check" })).exitStatus).toBe(104);
    expect(t.logLines().at(-1)).toMatch(
      /^diff hook execution failed: program '.*hook' failed with exit code 3$/,
    );
  });
});

describe("pre-build-hook", () => {
  it.skipIf(obstacle !== undefined)("adds paths to the sandbox", async () => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ sandbox: "on", raw });
    writeFileSync(join(t.dir, "shown"), "shown\n");
    raw.set(
      "pre-build-hook",
      program(
        t,
        `echo "$1 $2" > ${t.dir}/told; printf 'extra-sandbox-paths\\n/in/shown=${t.dir}/shown\\n\\n'`,
      ),
    );
    const drv = t.derivation({ name: "x", script: "read x < /in/shown; echo $x > $out" });
    expect((await t.build(drv)).failures).toEqual([]);
    expect(readFileSync(t.output(drv), "utf8")).toBe("shown\n");
    expect(readFileSync(join(t.dir, "told"), "utf8")).toBe(`${drv} ${drv}.chroot\n`);
  });

  it.each([
    ["exit 2", /failed with exit code 2$/],
    ["echo unheard-of", /^unknown pre-build hook command 'unheard-of'$/],
  ])("stops the build when it fails or is not understood: %s", async (script, message) => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ raw });
    raw.set("pre-build-hook", program(t, script));
    const report = await t.build(t.derivation({ name: "x", script: "echo > $out" }));
    expect(report.exitStatus).toBe(100);
    expect(report.failures[0]?.message).toMatch(message);
  });
});

it("builders begin one after the other, by name, and run side by side", async () => {
  const raw = new Map<string, string>();
  await using t = TestStore.create({ maxJobs: 3, raw });
  const log = join(t.dir, "hooked");
  // Before a builder runs.
  raw.set("pre-build-hook", program(t, `echo "{ $1" >> ${log}; sleep 0.05; echo "} $1" >> ${log}`));
  const pipe = join(t.dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  const names = ["a", "b", "c"];
  const drvs = names.map((name) => {
    const meets = { a: `read x < ${pipe}`, b: `echo x > ${pipe}`, c: ":" }[name] ?? "";
    return t.derivation({ name, script: `${meets}; echo > $out` });
  });
  expect((await t.build(drvs.toReversed())).failures).toEqual([]);
  expect(readFileSync(log, "utf8")).toBe(drvs.map((drv) => `{ ${drv}\n} ${drv}\n`).join(""));
});

it("a builder whose turn comes after a failure is not begun", async () => {
  const raw = new Map<string, string>();
  await using t = TestStore.create({ maxJobs: 3, raw });
  raw.set("pre-build-hook", program(t, `echo "$1" >> ${t.dir}/hooked; exit 1`));
  const drvs = ["a", "b", "c"].map((name) => t.derivation({ name, script: "echo > $out" }));
  const { results } = await t.build(drvs);
  expect(results.map(({ status }) => status)).toEqual(["failed", "cancelled", "cancelled"]);
  expect(readFileSync(join(t.dir, "hooked"), "utf8")).toBe(`${drvs[0]}\n`);
  const begun = t.events.filter((event) => event.kind === "start");
  expect(begun).toHaveLength(1);
});

describe.skipIf(obstacle !== undefined)("sandbox paths", () => {
  it.each([
    ["/../escape", /escapes the chroot/],
    ["/foo/../../escape", /escapes the chroot/],
    ["///.//./../escape//", /escapes the chroot/],
    ["/foo/../", /escapes the chroot/],
    ["/foo/..", /invalid filename/],
    ["/.", /invalid filename/],
    ["relative", /escapes the chroot/],
  ])("must lie below the root: %s", async (target, message) => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ sandbox: "on", raw });
    raw.set("extra-sandbox-paths", `${target}=${t.dir}`);
    const report = await t.build(t.derivation({ name: "x", script: "echo > $out" }));
    expect(report.failures[0]?.message).toMatch(message);
  });

  it("that are links are shown as links", async () => {
    const raw = new Map<string, string>();
    await using t = TestStore.create({ sandbox: "on", raw });
    writeFileSync(join(t.dir, "file"), "content\n");
    symlinkSync("/real/file", join(t.dir, "link"));
    raw.set("extra-sandbox-paths", `/link=${t.dir}/link? /real/file=${t.dir}/file`);
    const drv = t.derivation({ name: "x", script: "[ -L /link ] && read x < /link; echo $x > $out" });
    const report = await t.build(drv);
    expect(report.failures).toEqual([]);
    expect(readFileSync(t.output(drv), "utf8")).toBe("content\n");
  });
});
