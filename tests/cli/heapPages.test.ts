import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const LIBRARY = join(ROOT, "dist/heapPages.so");
const root = mkdtempSync(join(tmpdir(), "devshell-heap-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What a program prints that may collect garbage. */
function node(program: string, env: Record<string, string> = {}): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", "-e", program], {
    env: { PATH: "/usr/bin:/bin", ...env },
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

const FILL = `
  const fill = (salt) => Array.from({ length: 3e5 }, (_, at) => ({ at, text: "a" + at * salt }));
  const sum = (list) => list.reduce((all, { at, text }) => (all * 31 + at + text.length) % 1e9, 7);`;

describe("heapPages", () => {
  it("keeps what the heap holds while V8 takes pages, gives them back and takes them again, in several threads", () => {
    const program = `${FILL}
      const { Worker, isMainThread, parentPort } = require("node:worker_threads");
      let all = 0;
      for (let round = 1; round < 7; round++) {
        const kept = fill(round);
        all = (all + sum(kept)) % 1e9;
        if (round % 2 === 0) gc();
      }
      if (isMainThread) new Worker(process.argv[1] ?? "", { eval: true });
      console.log(all);`;
    const threads = program.replace('process.argv[1] ?? ""', JSON.stringify(program));
    const plain = node(threads);
    expect(plain).toMatch(/^(\d+)\n\1\n$/);
    expect(node(threads, { LD_PRELOAD: LIBRARY })).toBe(plain);
  });

  it("has V8's pages side by side, and is not in the environment", () => {
    const program = `${FILL}
      const kept = fill(1);
      const maps = require("node:fs").readFileSync("/proc/self/maps", "utf8").trim().split("\\n");
      console.log(maps.length, process.env.LD_PRELOAD, sum(kept) > 0);`;
    const [before, , filled] = node(program).split(" ");
    const [after, variable] = node(program, { LD_PRELOAD: LIBRARY }).split(" ");
    expect(filled).toBe("true\n");
    expect(variable).toBe("undefined");
    expect(Number(after)).toBeLessThan(Number(before) - 50);
  });

  it("does without where the address space has no room", () => {
    const words = ["-c", `ulimit -v 40000000 && exec "$@"`, "sh", join(ROOT, "cli/devshell"), "eval", "-E"];
    const program = "builtins.length (builtins.genList (x: { a = x; }) 100000)";
    const { stdout, stderr } = spawnSync("/bin/sh", [...words, program], {
      env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off" },
      encoding: "utf8",
    });
    expect([stdout, stderr]).toEqual(["100000\n", ""]);
  });

  it("is preloaded by the launcher for what evaluates, unless the caller preloads something", () => {
    const traced = (words: readonly string[], env: Record<string, string> = {}): string =>
      spawnSync("/bin/sh", ["-x", join(ROOT, "cli/devshell"), ...words], {
        env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off", ...env },
        encoding: "utf8",
      }).stderr;
    const [own = ""] = (process.report.getReport() as { sharedObjects: string[] }).sharedObjects.filter(
      (name) => /\/libm\.so/.test(name),
    );
    expect(traced(["eval", "-E", "1"])).toContain("LD_PRELOAD=");
    expect(traced(["eval", "-E", "1"], { LD_PRELOAD: own })).not.toContain("LD_PRELOAD=");
    expect(traced(["daemon", "--help"])).not.toContain("LD_PRELOAD=");
    const ask = ["eval", "--json", "-E", 'builtins.getEnv "LD_PRELOAD"'];
    const answer = (env: Record<string, string>): string =>
      spawnSync(join(ROOT, "cli/devshell"), ask, {
        env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off", ...env },
        encoding: "utf8",
      }).stdout;
    expect([answer({}), answer({ LD_PRELOAD: own })]).toEqual(['""\n', `"${own}"\n`]);
  });
});
