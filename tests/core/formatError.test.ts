import { describe, expect, it } from "vitest";
import { DevshellError, bytesOfShown, formatError } from "../../core/index.ts";

function formatAt(text: string, column: number): string {
  const pos = { origin: { kind: "string", text }, line: 1, column } as const;
  return formatError(new DevshellError("X", "Cannot read it", { pos }));
}

describe("the excerpt of an error", () => {
  it("of a huge line is a part of it, with the caret below the place", () => {
    const lines = formatAt(`${"a".repeat(1_000_000)}!${"b".repeat(1_000_000)}`, 1_000_001).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(11_000);
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

  it("is byte for byte where no terminal reads it", () => {
    // A byte string of a character, a byte that is none, and controls.
    const line = "\xc3\xa9 \xff\xf0 \u0000\u001B";
    const origin = { kind: "string", text: line } as const;
    const shown = formatError(new DevshellError("X", "no", { pos: { origin, line: 1, column: 1 } }), {
      isRaw: true,
    });
    expect(Buffer.from(bytesOfShown(shown)).toString("latin1").split("\n")[2]).toBe(`            1| ${line}`);
  });
});

describe("a message", () => {
  it("of evaluation is shown byte for byte, though not all of it is text", () => {
    const error = new DevshellError("LANG_THROWN", "\xc3\xa9 \xff", {
      trace: [{ message: "\xfe", pos: undefined }],
    });
    const shown = bytesOfShown(formatError(error, { isRaw: true, showTrace: true }));
    const lines = Buffer.from(shown).toString("latin1").split("\n");
    expect([lines[1], lines.at(-1)]).toEqual(["       \xe2\x80\xa6 \xfe", "       error: \xc3\xa9 \xff"]);
    expect(formatError(error).split("\n").at(-1)).toBe("       error: é \ufffd");
    // What the command line quotes is text.
    expect(formatError(new DevshellError("CLI_X", "\xe9"))).toBe("error: é");
  });

  it("that ends a line keeps it, as Nix's quoted texts do", () => {
    expect(formatError(new DevshellError("X", "no\n"))).toBe("error: no\n       ");
  });
});
