import { formatError } from "../../../core/formatError.ts";
import { DevshellError, textOfBytes } from "../../../core/index.ts";
import { createEvaluator, printValue, type EvaluatorOptions } from "../../../lang/index.ts";
import { TestHost } from "./testHost.ts";

const BASE = "/base";

/** The value of an expression, fully evaluated, as the language writes it. */
export function evaluate(expr: string, options: EvaluatorOptions = {}, host = new TestHost()): string {
  const evaluator = createEvaluator(host, options);
  const text = Buffer.from(expr).toString("latin1");
  const value = evaluator.evalText(text, BASE, { kind: "string", text });
  return textOfBytes(printValue(evaluator.forceDeep(value), { force: true, trackRepeated: false }));
}

/** The error of an expression that fails: its message alone. */
export function errorOf(expr: string, options: EvaluatorOptions = {}): string {
  return textOfBytes(failureOf(expr, options).message);
}

/** The error of an expression that fails, with its whole trace, as shown to people. */
export function reportOf(expr: string, options: EvaluatorOptions = {}): string {
  return formatError(failureOf(expr, options), { showTrace: true });
}

/** What an expression throws. */
export function failureOf(expr: string, options: EvaluatorOptions = {}): DevshellError {
  try {
    evaluate(expr, options);
  } catch (error) {
    if (error instanceof DevshellError) return error;
    throw error;
  }
  throw new Error(`no error: ${expr}`);
}
