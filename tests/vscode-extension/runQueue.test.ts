import { describe, expect, test } from "vitest";
import { RunQueue } from "../../vscode-extension/src/cli/runQueue.ts";

const { signal } = new AbortController();

describe("RunQueue", () => {
  test("runs no more than its limit, in order, and goes on after failures", async () => {
    const queue = new RunQueue(2);
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const task = async (index: number): Promise<number> => {
      most = Math.max(most, ++running);
      order.push(index);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running--;
      if (index % 3 === 0) throw new Error(`task ${index}`);
      return index;
    };
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => queue.run(() => task(index), { signal })),
    );
    expect(most).toBe(2);
    expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(34);
  });

  test("one that is cancelled while it waits never runs, and keeps nobody waiting", async () => {
    const queue = new RunQueue(1);
    let end = (): void => undefined;
    const first = queue.run(() => new Promise<void>((resolve) => (end = resolve)), { signal });
    const abort = new AbortController();
    let hasRun = false;
    const second = queue.run(async () => void (hasRun = true), { signal: abort.signal });
    const third = queue.run(async () => 3, { signal });
    abort.abort();
    await expect(second).rejects.toThrow("abort");
    end();
    await first;
    expect(await third).toBe(3);
    expect(hasRun).toBe(false);
  });
});
