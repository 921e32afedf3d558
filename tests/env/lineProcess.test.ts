import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LineProcess } from "../../env/host/lineProcess.ts";

const sh = (script: string): LineProcess => new LineProcess("/bin/sh", ["-c", script]);

const refusal = (how: string): unknown =>
  expect.objectContaining({
    code: "EVAL_TASK",
    message: `Cannot finish what evaluation waits for: its process ${how}`,
  });

describe("a program that is waited for", () => {
  it("gets lines, and gives its own one by one", () => {
    using cat = new LineProcess("cat");
    for (const line of ["a", "é"]) {
      cat.write(line);
      expect(cat.read()).toBe(line);
    }
  });

  it("gives a line of many reads whole", () => {
    using program = sh("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next");
    expect([program.read().length, program.read()]).toEqual([3_000_000, "next"]);
  });

  it("is told that it is done with by the end of its standard input", async () => {
    const program = sh("echo $$; exec cat");
    const pid = Number(program.read());
    program[Symbol.dispose]();
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it("fails with a line without end", () => {
    expect(() => sh("exec tr '\\0' x </dev/zero").read()).toThrow(
      refusal("wrote a line of more than 67108864 bytes"),
    );
  });

  it("says how it ended, and leaves no zombie behind", () => {
    const program = sh('echo $$; read -r how; eval "$how"');
    const pid = program.read();
    program.write("exit 7");
    expect(() => program.read()).toThrow(refusal("failed with exit code 7"));
    expect(program.isClosed).toBe(true);
    expect(() => readFileSync(`/proc/${pid}/stat`)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => sh("printf half; kill -9 $$").read()).not.toThrow();
    expect(() => sh("kill -9 $$").read()).toThrow(refusal("failed due to signal 9 (Killed)"));
    expect(() => sh("exit 0").read()).toThrow(refusal("ended without a reply"));
  });

  it("fails where it cannot be started", () => {
    expect(() => new LineProcess("/nonexistent").read()).toThrow(refusal("failed with exit code 127"));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
