import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import {
  NO_POS,
  addFrame,
  coerceToString,
  evalError,
  forceList,
  forceStringNoContext,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, define2, type Definition } from "./define.ts";
import { realisePath } from "./files.ts";

/** Builtins that leave the language; there only with `allow-unsafe-native-code-during-evaluation`. */
export function nativeBuiltins(runtime: Runtime): Definition[] {
  if (!runtime.settings.allowsNativeCode) return [];
  return [
    define1("exec", "command", "Runs a program and evaluates what it prints.", (_, command) =>
      runAndEvaluate(runtime, command),
    ),
    define2(
      "importNative",
      "path symbol",
      "Not to be had: such code is made for another evaluator.",
      (_, path, symbol) => {
        const file = realisePath(runtime, path);
        forceStringNoContext(
          symbol,
          NO_POS,
          "while evaluating the second argument passed to builtins.importNative",
        );
        throw evalError(
          "eval",
          `could not open '${file}': native code is compiled for Nix's own evaluator, which this is not`,
          NO_POS,
          { hint: "use `builtins.exec` with a program that prints a Nix expression" },
        );
      },
    ),
  ];
}

function runAndEvaluate(runtime: Runtime, command: Slot): Value {
  const words = forceList(command, NO_POS, "while evaluating the first argument passed to builtins.exec");
  if (words.length === 0) throw evalError("eval", "at least one argument to 'exec' required");
  const context = new Set<ContextElement>();
  const [given = "", ...givenArguments] = words.map((word, i) =>
    coerceToString(
      runtime,
      word,
      context,
      NO_POS,
      i === 0
        ? "while evaluating the first element of the argument passed to builtins.exec"
        : "while evaluating an element of the argument passed to builtins.exec",
      { copyToStore: false },
    ),
  );
  const built = (text: ByteString): ByteString =>
    context.size === 0 ? text : runtime.realiseContext(text, context);
  const program = built(given);
  const { host } = runtime;
  if (host.runProgram === undefined)
    throw evalError("eval", `cannot execute '${program}': programs are not run here`);
  const text = host.runProgram(program, givenArguments.map(built));
  const expr = framed(`while parsing the output from '${program}'`, () =>
    runtime.parse(text, "/", { kind: "string", text }),
  );
  return framed(`while evaluating the output from '${program}'`, () => runtime.evalExpr(expr));
}

function framed<T>(message: ByteString, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw addFrame(error, message);
  }
}
