import { debianBuilders } from "../../../packages/index.ts";
import { ByteSource, parseStoreAddress, realise, relayOverSsh, serveSession } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { say } from "../output.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --serve [--write]`: answers whoever speaks the protocol of `ssh://` on standard input, until it ends. */
export async function serve(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  const isWritable = switchesOf(operation, ["--write"]).has("--write");
  const { store } = operation.flags;
  if (store !== undefined && parseStoreAddress(store).scheme === "ssh") {
    if (!isWritable) throw usageError("nix-store", "only '--serve --write' passes requests on");
    await relayOverSsh(store, process.stdin, process.stdout);
    return 0;
  }
  using context = openContext(operation.flags);
  await serveSession(new ByteSource(process.stdin), process.stdout, {
    store: context.store,
    isWritable,
    realise: (opened, targets, options) =>
      realise(opened, targets, { ...options, builtinBuilders: debianBuilders }),
    onLine: say,
  });
  return 0;
}
