import { describe, expect, it } from "vitest";
import { createEvaluator, dataOfValue, valueOfData, type Data } from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

describe("plain data", () => {
  it("goes into the language and back", () => {
    const data: Data = { a: [1, 2.5, "ü", null, true], "b c": { d: {} }, big: 2n ** 60n };
    expect(dataOfValue(valueOfData(data))).toEqual(data);
  });

  it("comes out of any value but a function", () => {
    const evaluator = createEvaluator(new TestHost());
    const text = "{ a = ./x; b = [ (1 + 1) ]; }";
    expect(dataOfValue(evaluator.evalText(text, "/base", { kind: "string", text }))).toEqual({
      a: "/base/x",
      b: [2],
    });
    expect(() => dataOfValue(evaluator.evalText("x: x", "/", { kind: "string", text: "x: x" }))).toThrow(
      "cannot convert a function to data",
    );
  });
});
