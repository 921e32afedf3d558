import { realpath } from "node:fs/promises";
import { DevshellError, fsPath, type ByteString } from "../../../core/index.ts";
import type { BuiltinBuilderContext } from "../../types.ts";

/**
 * For someone who may not act as us nothing is read but what lies in the store, links followed: what is there anyone
 * may read.
 * @throws {DevshellError} `BUILTIN_UNTRUSTED`; what looking for the file throws
 */
export async function checkReadable(
  { isForStranger, settings }: Pick<BuiltinBuilderContext, "isForStranger" | "settings">,
  path: ByteString,
): Promise<void> {
  if (!isForStranger) return;
  const real = await realpath(fsPath(path), "latin1");
  const stores = [settings.storeDir, settings.realStoreDir ?? settings.storeDir];
  for (const directory of stores)
    if (real.startsWith(`${await realpath(fsPath(directory), "latin1").catch(() => directory)}/`)) return;
  throw new DevshellError(
    "BUILTIN_UNTRUSTED",
    `'${path}' would be read in the daemon's own name, which is for its trusted users only`,
  );
}
