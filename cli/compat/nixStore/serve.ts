import { debianBuilders } from "../../../packages/index.ts";
import { ByteSource, realise, serveSession } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { say } from "../output.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --serve [--write]`: answers whoever speaks the protocol of `ssh://` on standard input, until it ends. */
export async function serve(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  const isWritable = switchesOf(operation, ["--write"]).has("--write");
  using context = openContext(operation.flags);
  await serveSession(new ByteSource(process.stdin), process.stdout, {
    store: context.store,
    isWritable,
    realise: (store, targets, options) =>
      realise(store, targets, { ...options, builtinBuilders: debianBuilders }),
    onLine: say,
  });
  return 0;
}
