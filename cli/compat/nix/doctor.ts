import { NIX_VERSION } from "../../../core/index.ts";
import { DaemonStore, isWholeAddress, openRemoteStore } from "../../../store/index.ts";
import { parseCommandLine, type CommonFlags } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine } from "../output.ts";

/** `nix doctor`: who holds the store, in which version of the protocol, and whether it trusts us. */
export async function doctor(argv: readonly string[]): Promise<number> {
  const flags = parseCommandLine("nix doctor", argv, () => false);
  if (!isWholeAddress(flags.store)) return await doctorOfRemote(flags);
  using context = openContext(flags);
  const { store, settings } = context;
  printLine(`Store uri: ${settings.daemon?.url ?? "local"}`);
  if (!(store instanceof DaemonStore)) {
    printLine(`[PASS] Client version ${NIX_VERSION}, the store is opened by it.`);
    printLine("[INFO] You are trusted by store uri: local");
    return 0;
  }
  const { version, isTrusted } = store.greeting;
  printLine(`[PASS] Client protocol matches store protocol 1.${version.minor}.`);
  const trust =
    isTrusted === undefined ? "may or may not be trusted" : isTrusted ? "are trusted" : "are not trusted";
  printLine(`[INFO] You ${trust} by store uri: ${store.place.url}`);
  return 0;
}

/** A store that paths are only copied to and from. */
async function doctorOfRemote(flags: CommonFlags): Promise<number> {
  const { store: url = "", ...others } = flags;
  using context = openContext({ ...others, store: undefined });
  await using remote = await openRemoteStore(context.settings, url);
  printLine(`Store uri: ${remote.url}`);
  printLine(`[INFO] Store '${remote.url}' doesn't have a notion of trusted user`);
  return 0;
}
