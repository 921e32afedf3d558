import { expect, it } from "vitest";
import { WaitCycle, WaitGraph } from "../../../../store/realise/goals/waitGraph.ts";

/** Runs one work for each key; each waits for the others that it names. @returns how each ended */
async function runAll(needs: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const graph = new WaitGraph();
  const started = new Map<string, Promise<void>>();
  const start = (key: string): Promise<void> => {
    const known = started.get(key);
    if (known !== undefined) return known;
    const others = Array.from(needs[key] ?? "");
    const work = Promise.resolve().then(() =>
      graph.run(async () => {
        await new Promise((resolve) => setTimeout(resolve, key.charCodeAt(0) % 3));
        const done = Promise.all(others.map(start));
        if (others.length > 0) await graph.wait(key, others, done);
      }),
    );
    work.catch(() => undefined);
    started.set(key, work);
    return work;
  };
  const ends: Record<string, string> = {};
  for (const key of Object.keys(needs)) void start(key);
  for (const [key, work] of started)
    ends[key] = await work.then(
      () => "done",
      (error: unknown) => (error instanceof WaitCycle ? error.keys.join("") : String(error)),
    );
  return ends;
}

it("lets work wait for work", async () => {
  const ends = await runAll({ a: "bcd", b: "cd", c: "d", d: "", e: "abcd", f: "" });
  expect(Object.values(ends)).toEqual(Array.from({ length: 6 }, () => "done"));
});

it("ends what waits for itself, and those who wait for that", async () => {
  const ends = await runAll({ a: "b", b: "c", c: "a", d: "a", e: "f", f: "" });
  const { a = "", b, c, d, e, f } = ends;
  expect(Array.from(a).sort().join("")).toBe("abc");
  expect([b, c, d]).toEqual([a, a, a]);
  expect([e, f]).toEqual(["done", "done"]);
});

it("ends several circles", async () => {
  const ends = await runAll({ a: "a", b: "cd", c: "b", d: "b", e: "" });
  expect(ends["a"]).toBe("a");
  expect([ends["b"], ends["c"], ends["d"]].every((end) => end !== "done")).toBe(true);
  expect(ends["e"]).toBe("done");
});

it("takes no time for each other one of a long chain", async () => {
  const graph = new WaitGraph();
  const length = 30_000;
  const start = (number: number): Promise<void> =>
    Promise.resolve().then(() =>
      graph.run(async () => {
        if (number < length) await graph.wait(String(number), [String(number + 1)], start(number + 1));
      }),
    );
  const before = process.cpuUsage();
  await start(0);
  const { user, system } = process.cpuUsage(before);
  // Looking through the chain at each of its steps took half a minute.
  expect((user + system) / 1e6).toBeLessThan(5);
});
