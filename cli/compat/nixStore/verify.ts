import { formatHash, textOfBytes } from "../../../core/index.ts";
import { hashNar } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { storePathOf } from "../storeArgument.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --verify`: the database against the disk. */
export async function verifyStore(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  const given = switchesOf(operation, ["--check-contents", "--repair"]);
  using context = openContext(operation.flags);
  say("reading the Nix store...");
  const { problems, forgotten } = await context.store.verify({
    checkContents: given.has("--check-contents"),
    repair: given.has("--repair")
      ? async (path) =>
          (await context.tryRealise([{ kind: "opaque", path }], { mode: "repair" })).failures.length === 0
      : undefined,
  });
  for (const path of forgotten) say(`path '${path}' disappeared, removing from database...`);
  for (const problem of problems) say(`error: ${problem}`);
  if (problems.length === 0) return 0;
  say("warning: not all store errors were fixed");
  return 1;
}

/** `nix-store --verify-path`: hashes paths. */
export function verifyPaths(operation: StoreOperation): number {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { store } = context;
  let status = 0;
  for (const word of operation.words) {
    const path = storePathOf(store.storeDir, word);
    if (operation.flags.verbosity > 0) say(`checking path '${textOfBytes(path)}'...`);
    const { narHash } = store.pathInfo(path);
    const { hash } = hashNar(store.realPath(path));
    if (hash.digest.equals(narHash.digest)) continue;
    say(
      `path '${path}' was modified! expected hash 'sha256:${formatHash(narHash, "nix32")}', got 'sha256:${formatHash(hash, "nix32")}'`,
    );
    status = 1;
  }
  return status;
}

/** `nix-store --repair-path`: fetches paths anew, or builds them, where they were changed. */
export async function repairPaths(operation: StoreOperation): Promise<number> {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const paths = operation.words.map((word) => storePathOf(context.settings.storeDir, word));
  const report = await context.tryRealise(
    paths.map((path) => ({ kind: "opaque", path })),
    { mode: "repair" },
  );
  return reportFailures(report);
}
