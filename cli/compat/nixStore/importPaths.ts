import { ByteSource, importPaths as importExport } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { printLine } from "../output.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --import`: reads what `--export` wrote. */
export async function importPaths(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const source = new ByteSource(process.stdin);
  try {
    for await (const path of importExport(context.store, source)) printLine(path);
  } finally {
    source.close();
  }
  return 0;
}
