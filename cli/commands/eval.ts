import { textOfBytes } from "../../core/index.ts";
import { createStoreContext, discoverSpec, evaluateSpec } from "../../env/index.ts";
import { coerceToString, printJson, printValue, type Slot } from "../../lang/index.ts";
import { isFoundAgain, keepEvaluation, type Keeper } from "../keepEvaluation.ts";
import type { Invocation } from "../invocation.ts";
import { messageLine } from "../messageLine.ts";
import { requestOf, settingsOf } from "../request.ts";

/** `devshell eval`: prints a value; nothing is written to the store. */
export function run(invocation: Invocation): Promise<number> {
  return keepEvaluation("devshell", ["eval", ...invocation.argv], (keeper) => evaluate(invocation, keeper));
}

async function evaluate({ words, flags }: Invocation, keeper: Keeper): Promise<number> {
  const request = requestOf(words, flags);
  using context = createStoreContext({
    settings: settingsOf(flags),
    isReadOnly: true,
    onEvent: (event) => {
      if (event.kind === "message") process.stderr.write(`${messageLine(event.level, event.text)}\n`);
    },
  });
  const spec = await discoverSpec(request, context.tracker);
  const { evaluator, values } = evaluateSpec(context, spec, request, {
    isShell: false,
    showTrace: flags.has("showTrace"),
  });
  const print = (slot: Slot): void => {
    const used = new Set<string>();
    if (flags.has("raw")) {
      const text = coerceToString(evaluator.runtime, slot, used, 0, "while printing a value with --raw");
      process.stdout.write(Buffer.from(text, "latin1"));
    } else if (flags.has("json"))
      process.stdout.write(`${textOfBytes(printJson(evaluator.runtime, slot, used))}\n`);
    else
      process.stdout.write(
        `${textOfBytes(printValue(slot, { force: true, errors: "throw", context: used }))}\n`,
      );
  };
  for (const { slot } of values) evaluator.run(() => print(slot));
  if (isFoundAgain(spec, request)) keeper.keep(context);
  return 0;
}
