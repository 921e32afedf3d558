import { textOfBytes } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";
import { runDaemon } from "../daemon/runDaemon.ts";
import { settingsOf } from "../request.ts";

/** `devshell daemon`: serves the store to other users, by Nix's worker protocol. */
export async function run({ flags }: Invocation): Promise<number> {
  return await runDaemon({
    settings: settingsOf(flags),
    store: undefined,
    isStdio: flags.has("stdio"),
    socketPath: flags.value("socket"),
    trust: undefined,
    say: (line) => void process.stderr.write(`${line}\n`),
    onListening: (storeDir, socketPath) => {
      if (!flags.has("quiet"))
        process.stderr.write(`${textOfBytes(storeDir)} is served at unix://${socketPath}\n`);
    },
  });
}
