import { DevshellError, formatError, textOfBytes } from "../../../core/index.ts";
import { createEvaluator, printValue, type EvaluatorOptions } from "../../../lang/index.ts";
import { TestHost } from "./testHost.ts";

/** Evaluates a text completely and prints the value. */
export function evaluate(text: string, options: EvaluatorOptions = {}, host = new TestHost()): string {
  const evaluator = createEvaluator(host, options);
  const value = evaluator.evalText(text, "/base", { kind: "string", text });
  return textOfBytes(printValue(evaluator.forceDeep(value)));
}

/** The whole error report of a text that must fail. */
export function reportOf(text: string, options: EvaluatorOptions = {}, host = new TestHost()): string {
  try {
    evaluate(text, options, host);
  } catch (error) {
    if (error instanceof DevshellError) return formatError(error, { showTrace: true });
    throw error;
  }
  throw new Error(`does not fail: ${text}`);
}

/** Its code and message only. */
export function failureOf(text: string, options: EvaluatorOptions = {}, host = new TestHost()): string {
  try {
    evaluate(text, options, host);
  } catch (error) {
    if (error instanceof DevshellError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error(`does not fail: ${text}`);
}
