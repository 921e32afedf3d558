import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import { EvalError, coerceToString, type Value } from "../../../lang/index.ts";
import { parseCommandLine } from "../commandLine.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { becomeProgram } from "./becomeProgram.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  valuesOf,
} from "./installables.ts";

/** `nix edit`: opens the file that a package's `meta.position` names. */
export function edit(argv: readonly string[]): number {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix edit", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word.startsWith("-")) return false;
    words.push(word);
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix edit" });
  const word = words[0] ?? ".";
  const { evaluation, values } = valuesOf(context, flags, installables, [word]);
  const { file, line } = positionOf(evaluation, values[0]?.value ?? null, word);
  const editor = process.env["EDITOR"] ?? "";
  const [program = "cat", ...args] = (editor === "" ? "cat" : editor).split(/\s+/);
  if (line > 0 && /emacs|nano|vim|kak/.test(editor)) args.push(`+${line}`);
  const environment = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return becomeProgram(context, program, [...args, file], environment);
}

function positionOf(
  { evaluator, autoArguments }: CompatEvaluation,
  value: Value,
  word: string,
): { readonly file: string; readonly line: number } {
  let text: string;
  try {
    const { slot, pos } = evaluator.selectAttrPath(value, "meta.position", autoArguments);
    text = coerceToString(
      evaluator.runtime,
      slot,
      new Set(),
      pos,
      "while evaluating the 'meta.position' attribute of a derivation",
    );
  } catch (error) {
    if (!(error instanceof EvalError)) throw error;
    throw new DevshellError("CLI_NO_POSITION", `cannot find position information for '${bytesOfText(word)}`);
  }
  const match = /^(.*):([0-9]+)$/s.exec(text);
  if (match === null)
    throw new DevshellError("CLI_NO_POSITION", `cannot parse 'meta.position' attribute '${text}'`);
  return { file: textOfBytes(match[1] ?? ""), line: Number(match[2]) };
}
