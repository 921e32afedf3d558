import { openAskedStore } from "../askedStore.ts";
import { printLog } from "../buildLogs.ts";
import { parseCommandLine } from "../commandLine.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix log`. */
export async function log(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix log", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word.startsWith("-")) return false;
    words.push(word);
    return true;
  });
  await using asked = await openAskedStore(flags, {
    open: (common) => openInstallableContext(common, installables, { name: "nix log" }),
  });
  const { context, store } = asked;
  for (const target of targetsOf(context, flags, installables, words))
    await printLog(context.store, target.kind === "built" ? target.drvPath : target.path, store);
  return 0;
}
