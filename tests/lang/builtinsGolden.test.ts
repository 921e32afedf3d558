import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { textOfBytes } from "../../core/index.ts";
import { createEvaluator, printAmbiguous } from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

const GOLDEN = readFileSync(join(import.meta.dirname, "golden/builtins.txt"), "utf8");
const CASES = GOLDEN.split("\n\n")
  .slice(1)
  .map((part) => part.trimEnd().split("\n") as [expr: string, value: string]);

describe("builtins give what Nix gives", () => {
  it("in many cases", () => {
    expect(CASES.length).toBeGreaterThan(40);
    expect(CASES.every((parts) => parts.length === 2)).toBe(true);
  });

  it.each(CASES)("%s", (expr, value) => {
    const evaluator = createEvaluator(new TestHost());
    const text = Buffer.from(`with builtins; ${expr}`).toString("latin1");
    const result = evaluator.forceDeep(evaluator.evalText(text, "/base", { kind: "string", text }));
    expect(textOfBytes(printAmbiguous(result))).toBe(value);
  });
});
