import { parseCommandLine } from "../commandLine.ts";
import { printLog } from "../nixStore/buildLog.ts";
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
  using context = openInstallableContext(flags, installables, { name: "nix log" });
  for (const target of targetsOf(context, flags, installables, words))
    await printLog(context.store, target.kind === "built" ? target.drvPath : target.path);
  return 0;
}
