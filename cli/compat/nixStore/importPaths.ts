import { createReadStream, fstatSync } from "node:fs";
import { ByteSource, importPaths as importExport } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { printLine } from "../output.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --import`: reads what `--export` wrote. */
export async function importPaths(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  // A file is read in larger pieces than Node's own standard input takes.
  const isFile = fstatSync(0).isFile();
  const source = new ByteSource(
    isFile ? createReadStream("", { fd: 0, autoClose: false, highWaterMark: 1 << 20 }) : process.stdin,
  );
  try {
    for await (const path of importExport(context.store, source)) printLine(path);
  } finally {
    source.close();
  }
  return 0;
}
