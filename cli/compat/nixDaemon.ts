import { runDaemon } from "../daemon/runDaemon.ts";
import { parseCommandLine } from "./commandLine.ts";
import { printHelp, printVersion, say } from "./output.ts";

/** `nix-daemon`: serves the store to other users, or to who comes by ssh (`--stdio`). */
export async function runNixDaemon(argv: readonly string[]): Promise<number> {
  return await daemonOf("nix-daemon", argv);
}

/** What `nix-daemon` and `nix daemon` have in common. */
export async function daemonOf(name: string, argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion(name);
  if (argv.includes("--help")) return printHelp(name);
  let isStdio = false;
  let socketPath: string | undefined;
  let trust: "trusted" | "untrusted" | undefined;
  const flags = parseCommandLine(name, argv, (word, next) => {
    if (word === "--stdio") isStdio = true;
    else if (word === "--socket-path" && name === "nix daemon") socketPath = next();
    else if (word === "--force-trusted") trust = "trusted";
    else if (word === "--force-untrusted") trust = "untrusted";
    else if (word === "--default-trust") trust = undefined;
    // We always process the operations ourselves, and the old form says what goes without saying.
    else return word === "--process-ops" || word === "--daemon";
    return true;
  });
  return await runDaemon({
    settings: flags.settings,
    store: flags.store,
    isStdio,
    socketPath,
    trust,
    say: (line) => (flags.verbosity < 0 ? undefined : say(line)),
  });
}
