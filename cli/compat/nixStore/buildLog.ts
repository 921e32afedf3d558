import { existsSync, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { DevshellError, fsPath } from "../../../core/index.ts";
import { decompress } from "../../../io/index.ts";
import type { Store, StorePath } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { writeStandardOutput } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --read-log`: the logs of builds, by derivation or by what they made. */
export async function readLog(operation: StoreOperation): Promise<number> {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { store } = context;
  for (const word of operation.words) await printLog(store, storePathOf(store.storeDir, word));
  return 0;
}

/** @throws {DevshellError} where there is none */
export async function printLog(store: Store, path: StorePath): Promise<void> {
  const drvPath = path.endsWith(".drv") ? path : store.queryPathInfo(path)?.deriver;
  const log = drvPath === undefined ? undefined : await findLog(store, drvPath);
  if (log === undefined)
    throw new DevshellError("CLI_NO_LOG", `build log of derivation '${path}' is not available`);
  writeStandardOutput(log);
}

async function findLog(store: Store, drvPath: StorePath): Promise<Buffer | undefined> {
  const path = store.logPath(drvPath);
  for (const [suffix, compression] of [
    ["", undefined],
    [".bz2", "bzip2"],
    [".zst", "zstd"],
  ] as const) {
    if (!existsSync(fsPath(path + suffix))) continue;
    const bytes = readFileSync(fsPath(path + suffix));
    if (compression === undefined) return bytes;
    const chunks: Uint8Array[] = [];
    for await (const chunk of decompress(compression, Readable.from([bytes])))
      chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  }
  return undefined;
}
