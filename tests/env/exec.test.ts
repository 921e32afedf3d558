import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatError } from "../../core/index.ts";
import { createStoreContext, openEvaluation } from "../../env/index.ts";
import { printValue } from "../../lang/index.ts";

const ALLOWED = "allow-unsafe-native-code-during-evaluation = true";

describe("builtins.exec", () => {
  const root = mkdtempSync(join(tmpdir(), "devshell-exec-"));
  beforeEach(() => {
    for (const name of ["STORE", "STATE", "LOG", "CONF"])
      vi.stubEnv(`NIX_${name}_DIR`, join(root, name.toLowerCase()));
    vi.stubEnv("NIX_CONFIG", ALLOWED);
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  function evaluate(text: string): { shown: string; impurity: string | undefined } {
    using context = createStoreContext({ onEvent: () => undefined });
    const { evaluator } = openEvaluation(context, { directory: root, includes: [] });
    const shown = (): string => {
      try {
        const value = evaluator.evalText(text, root, { kind: "string", text });
        return printValue(value, { force: true });
      } catch (error) {
        return formatError(error);
      }
    };
    return { shown: shown(), impurity: context.tracker.impurity };
  }

  // As Nix 2.34 answers.
  it.each([
    ['builtins.exec [ "sh" "-c" "echo $0 + 1" "1" ]', "2"],
    ['__exec [ "echo" "./x" ]', "/x"],
    ["[ (builtins ? exec) (builtins ? importNative) ]", "[ true true ]"],
    ["builtins.exec [ ]", "error: at least one argument to 'exec' required"],
    ['builtins.exec [ "false" ]', 'error: program "false" failed with exit code 1'],
    ['builtins.exec [ "sh" "-c" "kill -9 $$" ]', 'error: program "sh" failed due to signal 9 (Killed)'],
    ["builtins.exec 1", "error: expected a list but found an integer: 1"],
    ["builtins.exec [ 1 ]", "… while evaluating the first element of the argument passed to builtins.exec"],
    ['builtins.exec [ "echo" 1 ]', "… while evaluating an element of the argument passed to builtins.exec"],
    ['builtins.exec [ "echo" "1 +" ]', "… while parsing the output from 'echo'"],
    ['builtins.exec [ "echo" "throw \\"x\\"" ]', "… while evaluating the output from 'echo'"],
  ])("runs a program and evaluates what it prints: %s", (text, expected) => {
    expect(evaluate(text).shown).toContain(expected);
  });

  it("says which program there is not, and that native code is not for us", () => {
    for (const name of ["no-such-program", ""]) {
      const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
      expect(evaluate(`builtins.exec [ "${name}" ]`).shown).toContain(
        `error: program "${name}" failed with exit code 1`,
      );
      expect(write.mock.calls).toEqual([
        [
          `\x1b[31;1merror:\x1b[0m executing \x1b[35;1m"${name}"\x1b[0m: \x1b[35;1mNo such file or directory\x1b[0m\n`,
        ],
      ]);
      write.mockRestore();
    }
    expect(evaluate('builtins.importNative ./x.so "init"').shown).toContain(`could not open '${root}/x.so'`);
  });

  it("is not to be kept, and not there unless allowed", () => {
    expect(evaluate('builtins.exec [ "echo" "1" ]').impurity).toContain('"echo"');
    vi.stubEnv("NIX_CONFIG", "");
    expect(evaluate("builtins ? exec").shown).toBe("false");
    expect(evaluate("__exec").shown).toContain("undefined variable '__exec'");
  });
});
