import { describe, expect, it } from "vitest";
import { evaluate } from "./support/evaluate.ts";
import { TestHost } from "./support/testHost.ts";

function messagesOf(expr: string, options = {}): string[] {
  const host = new TestHost();
  evaluate(expr, options, host);
  return host.messages.map((message) => Buffer.from(message, "latin1").toString());
}

describe("messages of an evaluation", () => {
  it.each([
    ['builtins.trace "a\\nb" 1', ["trace: a\nb"]],
    ["builtins.trace { a = 1 + 1; b = [ 1 ]; } 1", ["trace: { a = «thunk»; b = «thunk»; }"]],
    ["let x = builtins.trace { x = x; } true; in x", ["trace: { x = «potential infinite recursion»; }"]],
    ['builtins.warn "careful" 1', ["evaluation warning: careful"]],
    ["builtins.traceVerbose 1 2", []],
    [
      '(derivation { name = "x"; system = "s"; builder = "b"; outputHash = ""; outputHashAlgo = "md5"; }).drvPath',
      ["warning: found empty hash, assuming 'md5-AAAAAAAAAAAAAAAAAAAAAA=='"],
    ],
  ])("%s", (expr, messages) => {
    expect(messagesOf(expr)).toEqual(messages);
  });

  it("include traces that are only wanted sometimes", () => {
    expect(messagesOf("builtins.traceVerbose 1 2", { traceVerbose: true })).toEqual(["trace: 1"]);
  });

  it.each([
    ["(x: x) 1", ["1:1"]],
    ["(x: y: x + y) 1 2", ["1:1"]],
    ["(x: y: x - y) 1 2", ["1:1", "1:10"]],
    ["map (x: x) [ 1 ]", ["1:1", "1:6"]],
    ["{ __functor = self: x: x; } 1", ["1:1", "1:3"]],
    ['builtins.tryEval (throw "no")', ["1:1", "1:19"]],
  ])("name each call's begin and end: %s", (expr, places) => {
    const told = messagesOf(expr, { traceFunctionCalls: true }).map((text) =>
      text.replace(/^function-trace (\w+) «string»:(\d+:\d+) at \d+$/, "$1 $2"),
    );
    expect(told.filter((line) => line.startsWith("entered ")).map((line) => line.slice(8))).toEqual(places);
    expect(
      told
        .filter((line) => line.startsWith("exited "))
        .map((line) => line.slice(7))
        .sort(),
    ).toEqual(places);
  });

  it("say that structured attributes do not check references", () => {
    const expr =
      '(derivation { name = "x"; system = "s"; builder = "b"; __structuredAttrs = true; maxSize = 1; }).drvPath';
    expect(messagesOf(expr).join("\n")).toMatch(
      /while evaluating derivation 'x'\n\n {9}warning: 'structuredAttrs' disables the effect of the derivation attribute 'maxSize'/,
    );
  });
});
