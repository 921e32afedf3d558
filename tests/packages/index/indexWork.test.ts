// What is made of a process that fetched indexes for an evaluation, and of one that ended in the middle of it.
import { expect, it } from "vitest";
import {
  answersOfProcess,
  type DebianEvent,
  type WorkReply,
} from "../../../packages/debian/index/indexWork.ts";

const EVENT: DebianEvent = { kind: "warning", message: "old" };
const print = (...replies: readonly WorkReply[]): string =>
  replies.map((reply) => `${JSON.stringify(reply)}\n`).join("");
const WELL = { stderr: "", status: 0, signal: null };

it("gives events and answers, nothing where there is none", () => {
  const events: DebianEvent[] = [];
  const stdout = print(
    { kind: "alive" },
    { kind: "event", event: EVENT },
    { kind: "done", answers: [true, undefined] },
  );
  expect(answersOfProcess({ ...WELL, stdout }, (event) => events.push(event))).toEqual([true, undefined]);
  expect(events).toEqual([EVENT]);
});

it("says what it met", () => {
  const stdout = print({ kind: "failed", code: "FETCH_FAILED", message: "no network", hint: "look" });
  expect(() => answersOfProcess({ ...WELL, stdout }, () => undefined)).toThrow(
    expect.objectContaining({ code: "FETCH_FAILED", message: "no network", hint: "look" }),
  );
});

it("says how it ended without an answer, also in the middle of a line", () => {
  const stdout = print({ kind: "done", answers: [] }).slice(0, 9);
  const killed = { stdout, stderr: "warning\nout of memory\n", status: null, signal: "SIGKILL" } as const;
  expect(() => answersOfProcess(killed, () => undefined)).toThrow(
    expect.objectContaining({
      code: "DEBIAN_INDEX_TASK",
      message: "Cannot fetch the indexes of packages: the process that does so ended with SIGKILL",
      hint: "out of memory",
    }),
  );
});
