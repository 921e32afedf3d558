import { afterEach, describe, expect, it } from "vitest";
import { Interrupted, listenForInterrupts } from "../../core/index.ts";
import {
  calls,
  createEvaluator,
  resumeCalls,
  stopCalls,
  stopClaims,
  type Evaluator,
  type Value,
} from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

/** `builtins.trace "stop" …` is where Ctrl-C is pressed: the first time, or each time. */
class Interruptible extends TestHost {
  isPressed = false;
  presses = Infinity;

  override warn(message: string): void {
    super.warn(message);
    if (!message.includes("stop") || this.presses-- <= 0) return;
    this.isPressed = true;
    stopCalls();
    stopClaims();
  }
}

function open(): { readonly host: Interruptible; readonly evaluator: Evaluator } {
  const host = new Interruptible();
  listenForInterrupts(() => host.isPressed);
  return { host, evaluator: createEvaluator(host) };
}

function evaluate(evaluator: Evaluator, text: string): Value {
  return evaluator.evalText(text, "/", { kind: "string", text });
}

/** What the prompt does before it evaluates again. */
function release(host: Interruptible): void {
  host.isPressed = false;
  resumeCalls();
}

afterEach(() => {
  listenForInterrupts(undefined);
  resumeCalls();
});

const LONG = "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 20";
const STOP = `builtins.warn "stop"`;

describe("an evaluation that is interrupted", () => {
  it.each([
    ["calls of functions", LONG],
    [
      "calls of functions with sets",
      "let f = { n }: if n < 2 then n else f { n = n - 1; } + f { n = n - 2; }; in f { n = 20; }",
    ],
    [
      "elements of lists",
      "let xs = builtins.genList (x: x) 50; sum = xs: builtins.foldl' (a: b: a + b) 0 xs; in sum (map (x: sum (map (y: sum (map (z: z) xs)) xs)) xs)",
    ],
    [
      "what builtins visit",
      "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: if x.key == 9999 then [ ] else [ { key = x.key + 1; } ]; }",
    ],
    ["what is tried", `builtins.tryEval (${LONG})`],
    ["what has a context", `builtins.addErrorContext (${LONG}) (${LONG})`],
    ["computed names", `{ a = ${LONG}; }.\${if ${LONG} == 1 then "a" else "b"}`],
    ["defaults", `{ }.\${${STOP} "a"} or (${LONG})`],
  ])("ends within %s", (_, text) => {
    const { evaluator } = open();
    expect(() => evaluate(evaluator, `${STOP} (${text})`)).toThrow(Interrupted);
    expect(calls.depth).toBe(0);
  });

  it("leaves thunks to be evaluated again", () => {
    const { host, evaluator } = open();
    host.presses = 1;
    const text = `let deep = n: if n == 0 then ${STOP} (builtins.length (builtins.filter (x: x) [ true ])) else 1 + deep (n - 1); value = deep 50; set = { inherit value; }; in { inherit set; list = [ value ]; }`;
    const value = evaluate(evaluator, text);
    expect(() => evaluator.forceDeep(value)).toThrow(Interrupted);
    release(host);
    evaluator.forceDeep(value);
    expect(calls.depth).toBe(0);
    expect(evaluate(evaluator, "let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 1000")).toBe(1000);
  });

  it("counts calls as before where none was under way", () => {
    const { host, evaluator } = open();
    host.warn("stop");
    release(host);
    expect(calls.depth).toBe(0);
    expect(evaluate(evaluator, "builtins.length (map (x: x) [ 1 2 ])")).toBe(2);
  });
});
