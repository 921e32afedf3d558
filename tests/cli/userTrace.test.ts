import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inUsersFiles } from "../../cli/userTrace.ts";
import { DevshellError, formatError, packageRoot, type SourcePos } from "../../core/index.ts";

function at(path: string, line: number): SourcePos {
  return { origin: { kind: "file", path }, line, column: 1, text: "text\n".repeat(9) };
}
const ours = at(join(packageRoot, "packages/debian/nix/stdenv.nix"), 5);
const theirs = at("/p/shell.nix", 3);

describe("an error as the user sees it", () => {
  it("has its place in the user's own file, and no frames in ours", () => {
    const error = new DevshellError("LANG_X", "attribute 'nanoo' missing", {
      suggestions: ["nano"],
      trace: [
        { message: "while evaluating the attribute 'nanoo'", pos: theirs },
        { message: "while evaluating the first argument passed to builtins.fromJSON" },
        { message: "while calling the 'map' builtin", pos: ours },
        {
          message: `while evaluating derivation 'x'\n  whose name attribute is located at ${packageRoot}/packages/a.nix:1:2`,
        },
      ],
    });
    expect(formatError(inUsersFiles(error))).toMatch(
      /^error: attribute 'nanoo' missing\n {7}at \/p\/shell\.nix:3:1:\n(?:.*\n)*.*Did you mean nano\?$/,
    );
  });

  it("keeps the trace through the user's own files", () => {
    const error = new DevshellError("LANG_X", "wrong", {
      pos: theirs,
      trace: [
        { message: "while calling f", pos: at("/p/shell.nix", 7) },
        { message: "in ours", pos: ours },
      ],
    });
    const shown = inUsersFiles(error);
    expect(shown.pos).toBe(theirs);
    expect(shown.trace.map(({ message }) => message)).toEqual(["while calling f"]);
  });

  it("has an attribute missing where it is selected, not where the set is written that lacks it", () => {
    const definition = at("/p/packages.nix", 1);
    const error = new DevshellError("LANG_ATTRIBUTE_MISSING", "attribute 'fooo' missing", {
      trace: [
        { message: "from the definition of 'x'", pos: definition },
        { message: "while evaluating the attribute 'x.fooo'", pos: theirs },
      ],
    });
    const shown = inUsersFiles(error);
    expect(shown.pos).toBe(theirs);
    expect(shown.trace.map(({ message }) => message)).toEqual(["from the definition of 'x'"]);
  });

  it("keeps a place in ours where there is no other", () => {
    expect(inUsersFiles(new DevshellError("LANG_X", "wrong", { pos: ours })).pos).toBe(ours);
  });
});
