import { describe, expect, it } from "vitest";
import { logText } from "../../core/index.ts";

describe("text of a log", () => {
  it.each([
    ["a\tb", false, "a       b"],
    ["12345678\tb", false, "12345678        b"],
    // Lines do not begin anew, as in Nix.
    ["ab\n\tc", false, "ab\n      c"],
    ["é日\u0301\tc", false, "é日\u0301     c"],
    ["\u001B[31mred\u001B[0m\u0007\r!", false, "red!"],
    ["\u001B[31mred\u001B[0m\u001B[2K!", true, "\u001B[31mred\u001B[0m!"],
    ["\u001B]8;;http://x\u001B\\y\u001B]0;title\u0007z", true, "yz"],
    ["\u001BMx\u001B", true, "x"],
    ["\udcff\t!", false, "\udcff       !"],
  ])("%j, colours: %s", (text, hasColours, shown) => {
    expect(logText(text, hasColours)).toBe(shown);
  });
});
