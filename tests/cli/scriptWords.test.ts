import { describe, expect, it } from "vitest";
import { scriptWords } from "../../cli/compat/nix/scriptWords.ts";

describe("the words of a script's first lines", () => {
  it("are split at blanks, and quoted with two backquotes", () => {
    expect(scriptWords("shell  nixpkgs#jq\n--command bash\n")).toEqual([
      "shell",
      "nixpkgs#jq",
      "--command",
      "bash",
    ]);
    expect(scriptWords('--expr ``let x = "$y"; in x``  z')).toEqual(["--expr", 'let x = "$y"; in x', "z"]);
    expect(scriptWords("`` a ``")).toEqual([" a"]);
    expect(scriptWords("````")).toEqual([""]);
    expect(scriptWords("`` a```b``")).toEqual([" a``b"]);
  });

  it("refuse what may come to mean something", () => {
    for (const char of ["$", "*", "~", "<", ">", "|", ";", "(", ")", "[", "]", "{", "}", "'", '"', "\\"])
      expect(() => scriptWords(`a ${char}`)).toThrow(
        `unsupported unquoted character in nix shebang: ${char}. Use double backticks to escape?`,
      );
    expect(() => scriptWords("`a`")).toThrow("single backtick is not a supported syntax");
    expect(() => scriptWords("#a")).toThrow("cannot start with #");
    expect(() => scriptWords("``a")).toThrow("unterminated quoted string");
  });
});
