import { describe, expect, it } from "vitest";
import { DevshellError, formatError } from "../../core/index.ts";

function formatAt(text: string, column: number): string {
  const pos = { origin: { kind: "string", text }, line: 1, column } as const;
  return formatError(new DevshellError("X", "Cannot read it", { pos }));
}

describe("the excerpt of an error", () => {
  it("of a huge line is a part of it, with the caret below the place", () => {
    const lines = formatAt(`${"a".repeat(1_000_000)}!${"b".repeat(1_000_000)}`, 1_000_001).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(500);
    const [excerpt = "", caret = ""] = lines.slice(2);
    expect(excerpt[caret.indexOf("^")]).toBe("!");
  });

  it("of a short line is whole", () => {
    expect(formatAt("a b", 3)).toBe(
      "error: Cannot read it\n       at «string»:1:3:\n            1| a b\n             |   ^",
    );
  });

  it("holds nothing that a terminal obeys", () => {
    expect(formatAt("\u001B[2Jx\u0000\u009B", 1)).toContain("\u241B[2Jx\u2400\uFFFD");
  });
});
