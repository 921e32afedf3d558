import { describe, expect, it } from "vitest";
import { COMMANDS, findCommand } from "../../cli/commandTable.ts";
import { loadCommand } from "../../cli/loadCommand.ts";
import { commandHelp, parseCommand } from "../../cli/parseCommand.ts";
import type { ParsedCommand } from "../../cli/parseCommand.ts";
import { argumentsOf, settingsOf } from "../../cli/request.ts";
import { splitWords } from "../../cli/shebang.ts";
import { DevshellError } from "../../core/index.ts";

function parse(name: string, ...argv: string[]): ParsedCommand {
  const spec = findCommand(name);
  if (spec === undefined) throw new Error(`no command ${name}`);
  const parsed = parseCommand(spec, argv);
  if (parsed === "help") throw new Error("asks for help");
  return parsed;
}

describe("a command with actions", () => {
  it("names them where one is missing, and in its help", () => {
    const actions = "add, remove, upgrade, list, history, rollback, wipe-history, diff-closures";
    try {
      parse("profile");
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ hint: `there are ${actions}; see \`devshell profile --help\`` });
    }
    const spec = findCommand("profile");
    const help = spec === undefined ? "" : commandHelp(spec);
    expect(help.replaceAll(/\s+/g, " ")).toContain(`what to do: ${actions}`);
  });
});

describe("parseCommand", () => {
  it("reads the flags of the nix-shell family, in any order among the words", () => {
    const { words, flags } = parse(
      "enter",
      "<debian>",
      "-A",
      "pan",
      "--arg",
      "a",
      "{ }",
      "--argstr",
      "b",
      "x y",
      "-I",
      "p=q",
      "--attr",
      "jq",
      "--pure",
    );
    expect(words).toEqual(["<debian>"]);
    expect(flags.values("attr")).toEqual(["pan", "jq"]);
    expect(flags.has("pure")).toBe(true);
    expect(argumentsOf(flags)).toEqual([
      { name: "a", kind: "expression", value: "{ }" },
      { name: "b", kind: "string", value: "x y" },
    ]);
    expect(flags.values("include")).toEqual(["p=q"]);
  });

  it("takes values that look like options, and joined ones", () => {
    expect(parse("enter", "--run", "--help").flags.value("run")).toBe("--help");
    expect(parse("enter", "--attr=pan", "-Ajq").flags.values("attr")).toEqual(["pan", "jq"]);
    expect(
      parse("enter", "-j4", "--cores", "2", "-k", "--option", "sandbox", "false").flags.number("maxJobs"),
    ).toBe(4);
    expect([
      ...settingsOf(parse("enter", "-j4", "--cores", "2", "-k", "--option", "sandbox", "false").flags),
    ]).toEqual([
      ["sandbox", "false"],
      ["max-jobs", "4"],
      ["cores", "2"],
      ["keep-going", "true"],
    ]);
  });

  it("leaves a command's own words alone", () => {
    expect(parse("run", "-A", "x", "make", "-j", "--help", "--", "y").words).toEqual([
      "make",
      "-j",
      "--help",
      "--",
      "y",
    ]);
    expect(parse("run", "--", "--pure", "--argstr").words).toEqual(["--pure", "--argstr"]);
    expect(parse("run", "make", "--argstr", "one").words).toEqual(["make", "--argstr", "one"]);
  });

  it.each([
    ["enter", ["--atr", "x"], /unknown option "--atr"/, ["--attr"]],
    ["enter", ["--arg", "x"], /--arg: it takes 2 words, found 1/, []],
    ["enter", ["-A"], /argument missing/, []],
    ["run", [], /missing required argument "command"/, []],
    ["enter", ["-j", "many"], undefined, []],
  ])("refuses what it cannot read: %s %j", (name, argv, message, suggestions) => {
    if (message === undefined) {
      expect(() => settingsOf(parse(name, ...argv).flags)).toThrow(/"many" is not a number/);
      return;
    }
    let caught: unknown;
    try {
      parse(name, ...argv);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DevshellError);
    expect((caught as DevshellError).message).toMatch(message);
    expect((caught as DevshellError).suggestions).toEqual(suggestions);
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    "has help and something to run for %s",
    async (name, command) => {
      expect(parseCommand(command, ["--help"])).toBe("help");
      expect(commandHelp(command)).toContain(`Usage: devshell${name === "enter" ? "" : ` ${name}`}`);
      expect(await loadCommand(name)).toBeTypeOf("function");
    },
  );
});

describe("splitWords", () => {
  it("splits as a shell does", () => {
    expect(splitWords(`-i bash -p "a b" 'c "d"' e\\ f "g\\"h" ''`)).toEqual([
      "-i",
      "bash",
      "-p",
      "a b",
      'c "d"',
      "e f",
      'g"h',
      "",
    ]);
    // As nix-shell: in double quotes a backslash stands for what follows it, whatever that is.
    expect(splitWords(`'\\a' "\\a\\$"`)).toEqual(["\\a", "a$"]);
    expect(() => splitWords("'open")).toThrow(/a quote is not closed/);
  });
});
