import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { probeHook } from "../../env/build/probeHook.ts";
import { fakeEnvironment } from "../shell/fakeRecord.ts";

describe("running a shell hook for its variables", () => {
  let root: string;
  const savedTmpdir = process.env["TMPDIR"];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-probe-"));
    process.env["TMPDIR"] = root;
  });
  afterEach(() => {
    if (savedTmpdir === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = savedTmpdir;
    rmSync(root, { recursive: true, force: true });
  });

  function request(shellHook: string, more: { isPure?: boolean; timeLimitMs?: number } = {}) {
    const { isPure = false, timeLimitMs } = more;
    const variables = { GREETER: "a'b\xff\n", shellHook };
    return {
      environment: fakeEnvironment(root, variables, { shellHook, isPure }),
      caller: { PATH: "/usr/bin:/bin", HOME: root, OTHER: "o" },
      directory: root,
      timeLimitMs,
    };
  }

  it("gives the exported variables around it to the byte, and leaves nothing behind", async () => {
    const { before, after } = await probeHook(
      request(
        "export NEW=$'x\\ny\\xfe' GREETER=other; hidden=1; unset OTHER; read -r line || export EOF=1; trap 'echo > trapped' EXIT",
      ),
    );
    expect(before.get("GREETER")).toBe("a'b\xff\n");
    expect(before.get("OTHER")).toBe("o");
    expect([after.get("NEW"), after.get("GREETER"), after.get("EOF")]).toEqual(["x\ny\xfe", "other", "1"]);
    for (const name of ["OTHER", "hidden"]) expect(after.has(name)).toBe(false);
    expect(existsSync(join(root, "trapped"))).toBe(false);
    expect(readdirSync(root)).toEqual([]);
  });

  it("sees nothing but kept variables of the caller's when pure", async () => {
    const { after } = await probeHook(request('export SEEN="${OTHER-none} $HOME"', { isPure: true }));
    expect(after.get("SEEN")).toBe(`none ${root}`);
  });

  it("ends one that runs too long, with all it started", async () => {
    const hook = `echo begun; sleep 300 & echo $! > ${root}/pid; wait`;
    await expect(probeHook(request(hook, { timeLimitMs: 500 }))).rejects.toMatchObject({
      code: "ENV_HOOK_FAILED",
      message: expect.stringMatching(/more than 0\.5 s[^]*begun/) as unknown,
    });
    const pid = readFileSync(join(root, "pid"), "utf8").trim();
    const status = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, "utf8") : "State:\tZ";
    expect(status).toMatch(/^State:\s+[ZX]/m);
  });

  it("bounds what it prints, and stops when it is told to", async () => {
    const flood = "i=0; while [ $i -lt 20000 ]; do echo 0123456789 $i; i=$((i+1)); done; exit 1";
    const error = await probeHook(request(flood)).catch((thrown: unknown) => thrown as Error);
    expect((error as Error).message.length).toBeLessThan(6000);
    const stopped = new AbortController();
    const running = probeHook(request("sleep 300"), { signal: stopped.signal });
    setTimeout(() => stopped.abort(), 200);
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(readdirSync(root)).toEqual([]);
  });
});
