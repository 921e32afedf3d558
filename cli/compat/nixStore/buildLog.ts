import { printLog } from "../buildLogs.ts";
import { openContext } from "../context.ts";
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
