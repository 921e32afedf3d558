// How programs are run: without a shell, bounded, and gone when they are stopped.
import { getEventListeners } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runProcess, type ProcessRun } from "../../vscode-extension/src/cli/cliProcess.ts";

const directory = mkdtempSync(join(tmpdir(), "devshell-cli-"));

function sh(script: string, change: Partial<ProcessRun> = {}): ProcessRun {
  return {
    program: "/bin/sh",
    args: ["-c", script],
    directory,
    environment: { PATH: "/usr/bin:/bin" },
    ...change,
  };
}

async function until(isDone: () => boolean): Promise<void> {
  const endMs = Date.now() + 5_000;
  while (!isDone()) {
    if (Date.now() > endMs) throw new Error("still not done");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("runProcess", () => {
  test("hands on arguments, directory and environment as they are; nothing else", async () => {
    const script =
      'printf "%s|" "$@"; pwd; env | grep -v "^\\(PWD\\|_\\|SHLVL\\|OLDPWD\\)=" | sort; readlink /proc/self/fd/0';
    const run = sh(script, {
      args: ["-c", script, "sh", "$HOME; a'b", "ä\n"],
      environment: { PATH: "/usr/bin:/bin", A: "x" },
    });
    const { status, stdout, stderr } = await runProcess(run);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(`$HOME; a'b|ä\n|${directory}\nA=x\nPATH=/usr/bin:/bin\n/dev/null\n`);
  });

  test("any status is a result", async () => {
    expect(await runProcess(sh("echo out; echo err >&2; exit 3"))).toEqual({
      status: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("lines come whole, however they were written", async () => {
    const lines: string[] = [];
    const script = "printf 'a\\n\\303'; sleep 0.1; printf '\\244b\\nc\\n\\nd'; sleep 0.1; printf e";
    const { stdout } = await runProcess(sh(script, { onLine: (line) => lines.push(line) }));
    expect(lines).toEqual(["a", "äb", "c", "de"]);
    expect(stdout).toBe("");
  });

  test("a line of 30 MiB takes no longer for being in many pieces", async () => {
    let length = 0;
    const script = "head -c 31457280 /dev/zero | tr '\\0' x; echo";
    await runProcess(sh(script, { onLine: (line) => (length = line.length) }));
    expect(length).toBe(30 * 1024 * 1024);
  });

  test("stops a program that prints without end", async () => {
    const run = sh("yes", { stdoutLimitBytes: 100_000 });
    await expect(runProcess(run)).rejects.toMatchObject({ code: "CLI_OUTPUT_TOO_LARGE" });
  });

  test("keeps the end of a long standard error", async () => {
    const { stderr } = await runProcess(sh("seq 1 200000 >&2"));
    expect(stderr.length).toBe(256 * 1024);
    expect(stderr.endsWith("\n200000\n")).toBe(true);
  });

  test.each([
    ["/nowhere/devshell", directory, "CLI_NOT_FOUND"],
    ["devshell-that-is-not-there", directory, "CLI_NOT_FOUND"],
    ["/bin/sh", "/nowhere", "CLI_NO_DIRECTORY"],
    [directory, directory, "CLI_START"],
    ["/bin/sh\0", directory, "CLI_START"],
  ])("%j in %s: %s", async (program, cwd, code) => {
    await expect(runProcess(sh("", { program, directory: cwd }))).rejects.toMatchObject({ code });
  });

  test("a cancelled program ends with all that it started", async () => {
    const pids = join(directory, "pids");
    writeFileSync(pids, "");
    const abort = new AbortController();
    const run = runProcess(sh(`sleep 100 & echo $$ $! > ${pids}; wait`, { signal: abort.signal }));
    await until(() => readFileSync(pids, "utf8") !== "");
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: "CLI_CANCELLED" });
    expect(readFileSync(pids, "utf8").trim().split(" ").map(Number).filter(isAlive)).toEqual([]);
  });

  test("a program that ignores SIGTERM is killed after two seconds; so is a deaf child of one that does not", async () => {
    const pids = join(directory, "deaf");
    writeFileSync(pids, "");
    const deaf = `sh -c 'trap "" TERM; echo $$ >> ${pids}; while :; do sleep 1; done'`;
    await expect(runProcess(sh(`${deaf} & exec ${deaf}`, { timeoutMs: 300 }))).rejects.toMatchObject({
      code: "CLI_TIMEOUT",
    });
    const started = readFileSync(pids, "utf8").trim().split("\n").map(Number);
    expect(started).toHaveLength(2);
    await until(() => !started.some(isAlive));
  });

  test("is not started at all when it is cancelled already", async () => {
    const signal = AbortSignal.abort();
    const touched = join(directory, "touched");
    await expect(runProcess(sh(`touch ${touched}`, { signal }))).rejects.toMatchObject({
      code: "CLI_CANCELLED",
    });
    expect(() => readFileSync(touched)).toThrow("ENOENT");
  });

  test("does not wait for a daemon that keeps the output open", async () => {
    const pidFile = join(directory, "daemon");
    writeFileSync(pidFile, "");
    const daemon = `setsid sh -c 'echo $$ > ${pidFile}; exec sleep 1000' &`;
    const { stdout } = await runProcess(sh(`echo done; ${daemon}`));
    expect(stdout).toBe("done\n");
    await until(() => readFileSync(pidFile, "utf8") !== "");
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  test("leaves no listener on the signal", async () => {
    const abort = new AbortController();
    const count = (): number => getEventListeners(abort.signal, "abort").length;
    await runProcess(sh("true", { signal: abort.signal }));
    await expect(runProcess(sh("", { program: "/nowhere", signal: abort.signal }))).rejects.toThrow();
    expect(count()).toBe(0);
  });
});
