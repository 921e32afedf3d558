import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { Semaphore } from "../../../../store/realise/goals/semaphore.ts";

it("runs so many at once, first come, first served", async () => {
  const slots = new Semaphore(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const runs = gates.map((gate, index) =>
    slots.run(async () => {
      begun.push(index);
      await gate.promise;
      return index;
    }),
  );
  await Promise.resolve();
  expect(begun).toEqual([0, 1]);
  expect(slots.hasRoom).toBe(false);
  gates[1]?.resolve();
  await runs[1];
  await Promise.resolve();
  expect(begun).toEqual([0, 1, 2]);
  for (const gate of gates) gate.resolve();
  expect(await Promise.all(runs)).toEqual([0, 1, 2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(slots.hasRoom).toBe(true);
});

it("lets those go that wait by a signal that is aborted, and listens to it once", async () => {
  const slots = new Semaphore(1);
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  const running = slots.run(() => gate.promise, stop.signal);
  const waiting = Array.from({ length: 20 }, () => slots.run(() => Promise.resolve("ran"), stop.signal));
  const other = slots.run(() => Promise.resolve("ran"));
  expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
  stop.abort(new Error("enough"));
  const outcomes = await Promise.allSettled(waiting);
  expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
  await expect(waiting[3]).rejects.toThrow("enough");
  gate.resolve();
  await running;
  expect(await other).toBe("ran");
  await expect(slots.run(() => Promise.resolve(), stop.signal)).rejects.toThrow("enough");
});

it("leaves no listener behind", async () => {
  const slots = new Semaphore(1);
  const stop = new AbortController();
  const works = Array.from({ length: 10 }, () => slots.run(() => Promise.resolve(), stop.signal));
  await Promise.all(works);
  expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
});
