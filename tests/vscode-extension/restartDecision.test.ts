// When other extensions are restarted, or a restart is offered: once for each environment, and never in a loop.
import { describe, expect, test } from "vitest";
import {
  decideRestart,
  type RestartMemory,
  type RestartSetting,
} from "../../vscode-extension/src/apply/restartDecision.ts";

const QUESTION = {
  id: "b",
  isFromCache: false,
  isChanged: true,
  setting: "ask",
  memory: {},
  nowMs: 1e12,
} as const;

describe("decideRestart", () => {
  test.each([
    ["a new environment", {}, "ask"],
    ["another than was offered", { memory: { id: "a" } }, "ask"],
    ["one that was offered already", { memory: { id: "b" } }, "nothing"],
    ["one that was restarted for", { memory: { id: "b" }, setting: "always" }, "nothing"],
    ["nothing differs for others", { isChanged: false }, "nothing"],
    ["the last window's, from the start", { isFromCache: true }, "nothing"],
    ["the user wants none", { setting: "never" }, "nothing"],
    ["the user wants it always", { setting: "always" }, "restart"],
    [
      "again a minute later",
      { setting: "always", memory: { id: "a", automaticMs: 1e12 - 61_000 } },
      "restart",
    ],
    ["again at once", { setting: "always", memory: { id: "a", automaticMs: 1e12 - 5_000 } }, "ask"],
    ["a clock that was set back", { setting: "always", memory: { automaticMs: 2e12 } }, "restart"],
  ] as const)("%s: %s -> %s", (_, change, decision) => {
    expect(decideRestart({ ...QUESTION, ...change })).toBe(decision);
  });

  /** Windows one after the other, each with the cached environment first and a confirmed one then. */
  function restarts(setting: RestartSetting, idOf: (window: number) => string): string[] {
    let memory: RestartMemory = {};
    let cached: string | undefined;
    const decisions: string[] = [];
    for (let window = 0; window < 4; window++) {
      const id = idOf(window);
      const decision = decideRestart({
        id,
        isFromCache: false,
        isChanged: id !== cached,
        setting,
        memory,
        nowMs: 1e12 + window * 8_000,
      });
      decisions.push(decision);
      if (decision !== "nothing")
        memory = { id, automaticMs: decision === "restart" ? 1e12 + window * 8_000 : memory.automaticMs };
      cached = id;
      if (decision !== "restart") break;
    }
    return decisions;
  }

  test("restarting always is once, for an environment that stays the same", () => {
    expect(restarts("always", () => "a")).toEqual(["restart", "nothing"]);
  });

  test("restarting always is no loop, for an environment that differs each time", () => {
    expect(restarts("always", (window) => `id-${window}`)).toEqual(["restart", "ask"]);
  });
});
