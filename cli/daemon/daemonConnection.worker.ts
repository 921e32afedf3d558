// A process that serves one client of the daemon: settings and the client's socket come from the daemon.
import { Socket } from "node:net";
import { DevshellError } from "../../core/index.ts";
import { debianBuilders } from "../../packages/index.ts";
import { resolveStoreSettings, serveConnection } from "../../store/index.ts";
import type { ServeMessage } from "./runDaemon.ts";

process.once("disconnect", () => process.exit(0));
process.once("message", (message: ServeMessage, socket: unknown) => {
  process.removeAllListeners("disconnect");
  process.disconnect?.();
  if (!(socket instanceof Socket)) process.exit(0);
  serve(message, socket).then(
    () => process.exit(0),
    (error: unknown) => {
      // A client that goes in the middle of something is no one's fault here.
      if (!(error instanceof DevshellError) || error.code !== "PROTOCOL_DISCONNECTED")
        process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(1);
    },
  );
});

async function serve(
  { settings, store, isTrusted, isStranger }: ServeMessage,
  socket: Socket,
): Promise<void> {
  const resolved = resolveStoreSettings(process.env, { overrides: new Map(settings), store });
  const options = { settings: resolved, isTrusted, isStranger, builtinBuilders: debianBuilders };
  await serveConnection(socket, socket, options);
  await new Promise<void>((resolve) => socket.end(resolve));
}
