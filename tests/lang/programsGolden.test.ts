import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import { createEvaluator, printValue } from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

const GOLDEN = readFileSync(join(import.meta.dirname, "golden/programs.txt"), "utf8");
const CASES = GOLDEN.split("\n\n")
  .slice(1)
  .map((part) => part.trimEnd().split("\n") as [program: string, printed: string]);

describe("programs that a comparison with Nix found", () => {
  it("are a line each, with a line of what is printed", () => {
    expect(CASES.length).toBeGreaterThan(10);
    expect(CASES.every((parts) => parts.length === 2)).toBe(true);
  });

  it.each(CASES)("%s", (program, printed) => {
    expect(textOfBytes(print(bytesOfText(program)))).toBe(printed);
  });
});

function print(text: string): string {
  try {
    const value = createEvaluator(new TestHost()).evalText(text, "/base", { kind: "string", text });
    const options = { force: true, derivationPaths: true, prettyIndent: 2, errors: "throwTopLevel" } as const;
    return printValue(value, options).replace(/\n */g, " ");
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    return `error: ${error.message}`;
  }
}
