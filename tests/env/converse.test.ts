import { describe, expect, it } from "vitest";
import { converse } from "../../env/host/converse.ts";

const sh = (script: string, text = ""): Generator<string> => converse("/bin/sh", ["-c", script], text);

describe("a program that is waited for", () => {
  it("gets its text, and gives its lines one by one", () => {
    expect([...sh("cat; echo é; printf rest", "a\nb\n")]).toEqual(["a", "b", "é"]);
  });

  it("gives a line of many reads whole", () => {
    const [line, ...others] = sh("head -c 3000000 /dev/zero | tr '\\0' x; echo");
    expect([line?.length, others]).toEqual([3_000_000, []]);
  });

  it("gives lines before it ends, and is told to end where nobody reads on", async () => {
    const lines = sh("echo $$; exec sleep 600");
    const pid = Number(lines.next().value);
    lines.return(undefined);
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it("fails with a line without end", () => {
    expect(() => [...sh("exec tr '\\0' x </dev/zero")]).toThrow(
      expect.objectContaining({
        code: "EVAL_TASK",
        message:
          "Cannot finish what evaluation waits for: its process wrote a line of more than 67108864 bytes",
      }),
    );
  });

  it("gives nothing where it cannot be started", () => {
    expect([...converse("/nonexistent", [], "")]).toEqual([]);
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
