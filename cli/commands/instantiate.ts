import { resolve } from "node:path";
import { bytesOfText, textOfBytes } from "../../core/index.ts";
import { createStoreContext, instantiateDerivations } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { requestOf, settingsOf } from "../request.ts";
import { withDisplay } from "../withDisplay.ts";

/** `devshell instantiate`: writes derivations to the store and prints their paths. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const request = requestOf(words, flags);
  return withDisplay(flags, "derivations", false, async ({ onEvent, signal }) => {
    using context = createStoreContext({ settings: settingsOf(flags), onEvent, signal });
    const found = await instantiateDerivations(context, request, {
      isShell: false,
      showTrace: flags.has("showTrace"),
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
    return 0;
  });
}
