import { describe, expect, it } from "vitest";
import { SELECTION_FLAGS, FLAGS, type FlagSpec } from "../../cli/flags.ts";
import {
  loggedWords,
  parseSelection,
  quoteSh,
  runArguments,
  selectionText,
  textArguments,
} from "../../vscode-extension/src/cli/commandLine.ts";

describe("runArguments", () => {
  it("gives `devshell run` the selection's flags before the words", () => {
    expect(runArguments([], ["build"])).toEqual(["run", "--", "build"]);
    expect(runArguments(["-A", "pan", "--arg", "a", "1", "--pure"], ["make", "-j4"])).toEqual(
      ["run", "-A", "pan", "--arg", "a", "1", "--pure", "--", "make", "-j4"], // prettier-ignore
    );
  });

  it("goes by --run where the selection has plain words, which `devshell run` would take for the command", () => {
    expect(runArguments(["<debian>", "-A", "pan"], ["make", "a b", "it's"])).toEqual(
      ["<debian>", "-A", "pan", "--run", `make 'a b' 'it'\\''s'`], // prettier-ignore
    );
    expect(runArguments(["-p", "jq"], ["jq", "."])).toEqual(["-p", "jq", "--run", "jq ."]);
    expect(textArguments(["-A", "x"], "a && b")).toEqual(["-A", "x", "--run", "a && b"]);
  });

  it("knows how many words each selecting flag of the CLI takes", () => {
    for (const name of [...SELECTION_FLAGS, "option"] as const) {
      const flag: FlagSpec = FLAGS[name];
      const values = flag.values.map(() => "value");
      for (const word of [flag.long, ...(flag.short === undefined ? [] : [flag.short])])
        expect(runArguments([word, ...values], ["x"])[0], word).toBe("run");
    }
  });
});

describe("loggedWords", () => {
  it("leaves out what an argument or an option gives", () => {
    const words = [
      "devshell",
      "watch",
      "-A",
      "pan",
      "--argstr",
      "token",
      "hunter2",
      "--option",
      "a",
      "b",
      "--pure",
    ];
    expect(loggedWords(words)).toBe("devshell watch -A pan --argstr token •••• --option a •••• --pure");
  });
});

describe("parseSelection", () => {
  it.each<[string, readonly string[] | undefined]>([
    ["", []],
    ["  ", []],
    ["pan", ["-A", "pan"]],
    [" python3.pkgs.numpy ", ["-A", "python3.pkgs.numpy"]],
    ["<debian> -A pan", ["<debian>", "-A", "pan"]],
    ["-A pan", ["-A", "pan"]],
    ["./shell.nix", ["./shell.nix"]],
    [`-p jq "a b" 'c"d' e\\ f`, ["-p", "jq", "a b", 'c"d', "e f"]],
    ["-E 'with import <debian> {}; x'", ["-E", "with import <debian> {}; x"]],
    ['-A "pan', undefined],
  ])("%j", (text, words) => expect(parseSelection(text)).toEqual(words));

  it("reads what selectionText wrote", () => {
    for (const words of [
      ["<debian>", "-A", "pan"],
      ["-E", "a: 'b' \"c\" \\ d"],
      ["--arg", "x", ""],
    ])
      expect(parseSelection(selectionText(words))).toEqual(words);
  });

  it("quotes for a shell", () => {
    expect(quoteSh("a/b-c.d")).toBe("a/b-c.d");
    expect(quoteSh("")).toBe("''");
    expect(quoteSh("$x;y")).toBe("'$x;y'");
  });
});
