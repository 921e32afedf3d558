import { resolve } from "node:path";
import { bytesOfText, textOfBytes } from "../../core/index.ts";
import { createStoreContext, instantiateDerivations } from "../../env/index.ts";
import { isFoundAgain, keepEvaluation, type Keeper } from "../keepEvaluation.ts";
import type { Invocation } from "../invocation.ts";
import { requestOf, settingsOf } from "../request.ts";
import { withDisplay } from "../withDisplay.ts";

/** `devshell instantiate`: writes derivations to the store and prints their paths. */
export function run(invocation: Invocation): Promise<number> {
  return keepEvaluation("devshell", ["instantiate", ...invocation.argv], (keeper) =>
    instantiate(invocation, keeper),
  );
}

function instantiate({ words, flags }: Invocation, keeper: Keeper): Promise<number> {
  const request = requestOf(words, flags);
  // What stands on standard error is a display: it is not printed again.
  keeper.endMessages();
  return withDisplay(flags, "derivations", false, async ({ onEvent, signal }) => {
    let hasMessages = false;
    using context = createStoreContext({
      settings: settingsOf(flags),
      signal,
      onEvent: (event) => {
        hasMessages ||= event.kind === "message";
        onEvent(event);
      },
    });
    let isKeepable = false;
    const found = await instantiateDerivations(context, request, {
      isShell: false,
      showTrace: flags.has("showTrace"),
      onSpec: (spec) => {
        isKeepable = isFoundAgain(spec, request);
      },
    });
    const root = flags.value("addRoot");
    found.forEach(({ drvPath }, index) => {
      if (root !== undefined)
        context.store.addRoot(bytesOfText(resolve(index === 0 ? root : `${root}-${index + 1}`)), drvPath);
    });
    if (flags.has("json"))
      process.stdout.write(
        `${JSON.stringify(
          found.map(({ drvPath, name }) => ({ name, drvPath })),
          null,
          2,
        )}\n`,
      );
    else for (const { drvPath } of found) process.stdout.write(`${textOfBytes(drvPath)}\n`);
    if (root === undefined && !hasMessages && isKeepable) keeper.keep(context);
    return 0;
  });
}
