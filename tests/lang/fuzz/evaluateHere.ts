import { DevshellError, bytesOfShown, formatError } from "../../../core/index.ts";
import {
  createEvaluator,
  printExpr,
  printValue,
  textOf,
  isStringValue,
  type Evaluator,
} from "../../../lang/index.ts";
import { TestHost } from "../support/testHost.ts";
import { commandFor, programFile, type Place } from "./peer.ts";

/** What `nix repl` should print for each program of a batch, in bytes; `parsed` is `undefined` where it does not parse. */
export interface Answer {
  readonly printed: string;
  readonly parsed: string | undefined;
}

export function evaluateHere({ directory, programs }: Place): Answer[] {
  const host = new TestHost();
  host.variables.set("HOME", directory);
  const evaluator = createEvaluator(host, { showTrace: true });
  return programs.map((text, index) => ({
    printed: printed(evaluator, host, directory, index),
    parsed: parsed(evaluator, directory, index, text),
  }));
}

function printed(evaluator: Evaluator, host: TestHost, directory: string, index: number): string {
  const text = commandFor(directory, index).replace(/^:p /, "");
  host.messages.length = 0;
  let answer: string;
  try {
    const value = evaluator.evalText(text, directory, { kind: "string", text });
    answer = isStringValue(value)
      ? textOf(value)
      : printValue(value, { force: true, derivationPaths: true, prettyIndent: 2, errors: "throwTopLevel" });
  } catch (error) {
    if (!(error instanceof DevshellError))
      throw new Error(`crash in ${programFile(directory, index)}`, { cause: error });
    answer = Buffer.from(bytesOfShown(formatError(error, { showTrace: true, isRaw: true }))).toString(
      "latin1",
    );
  }
  return [...host.messages, answer].join("\n").trimEnd();
}

function parsed(evaluator: Evaluator, directory: string, index: number, text: string): string | undefined {
  try {
    return printExpr(evaluator.parse(text, directory, { kind: "file", path: programFile(directory, index) }));
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    return undefined;
  }
}
