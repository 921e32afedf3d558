import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { runInterruptibly } from "../../env/interruptible.ts";

const MODULE = resolve(import.meta.dirname, "../../env/interruptible.ts");

it("lets a signal end work that never returns, although somebody listens", async () => {
  const script = `
    import { runInterruptibly } from ${JSON.stringify(MODULE)};
    process.on("SIGINT", () => {});
    runInterruptibly(() => { process._rawDebug("running"); for (;;); });
  `;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: join(MODULE, ".."),
  });
  const exited = once(child, "exit");
  await once(child.stderr, "data");
  child.kill("SIGINT");
  expect(await exited).toEqual([null, "SIGINT"]);
}, 20_000);

it("gives the listeners back, in order, whatever happens", () => {
  const before = process.listeners("SIGINT");
  const listeners = [() => {}, () => {}];
  for (const listener of listeners) process.on("SIGINT", listener);
  try {
    expect(runInterruptibly(() => process.listenerCount("SIGINT"))).toBe(0);
    expect(() =>
      runInterruptibly(() => {
        throw new Error("x");
      }),
    ).toThrow("x");
    expect(process.listeners("SIGINT")).toEqual([...before, ...listeners]);
  } finally {
    for (const listener of listeners) process.off("SIGINT", listener);
  }
});
