import { DevshellError, formatHash, hashStream } from "../../../core/index.ts";
import { EXPORT_MAGIC, dumpNar } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { writeStandardOutput } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { numberField, stringField } from "./exportFormat.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --export`: paths with what is known of them, each after what it refers to. */
export function exportPaths(operation: StoreOperation): number {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { store } = context;
  const paths = operation.words.map((word) => storePathOf(store.storeDir, word));
  for (const path of store.topologicalSort(paths)) {
    const info = store.pathInfo(path);
    writeStandardOutput(numberField(1));
    const running = hashStream("sha256");
    dumpNar(store.realPath(path), (chunk) => {
      running.update(chunk);
      writeStandardOutput(chunk);
    });
    // What is broken must not spread.
    const found = running.digest();
    if (!found.digest.equals(info.narHash.digest))
      throw new DevshellError(
        "STORE_HASH_MISMATCH",
        `hash of path '${path}' has changed from 'sha256:${formatHash(info.narHash, "nix32")}' to 'sha256:${formatHash(found, "nix32")}'!`,
      );
    writeStandardOutput(
      Buffer.concat([
        numberField(EXPORT_MAGIC),
        stringField(path),
        numberField(info.references.length),
        ...info.references.map(stringField),
        stringField(info.deriver ?? ""),
        numberField(0),
      ]),
    );
  }
  writeStandardOutput(numberField(0));
  return 0;
}
