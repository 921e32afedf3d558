import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluate, failureOf } from "./support/failures.ts";

const CASES = readFileSync(join(import.meta.dirname, "golden/callDepths.txt"), "utf8")
  .split("\n")
  .slice(1, -1)
  .map((line) => [line.slice(line.indexOf(" ") + 1), parseInt(line, 10)] as const);

describe("a limit of calls", () => {
  it.each(CASES)("is reached where Nix reaches it: %s", (body, deepest) => {
    const program = (n: number): string => `let f = n: if n == 0 then 0 else ${body}; in f ${n}`;
    const options = { maxCallDepth: 60 };
    expect(() => evaluate(program(deepest), options)).not.toThrow();
    expect(failureOf(program(deepest + 1), options)).toContain("LANG_STACK_OVERFLOW");
  });
});
