// A thread that is a daemon: what waits for it stands still.
import { parentPort, workerData } from "node:worker_threads";
import { listen, serveConnection, type StoreSettings } from "../../../store/index.ts";

export interface DaemonThreadData {
  readonly settings: StoreSettings;
  readonly socketPath: string;
  readonly isTrusted: boolean;
}

const { settings, socketPath, isTrusted } = workerData as DaemonThreadData;
const stop = new AbortController();
parentPort?.once("message", () => stop.abort());
const listening = listen({
  socketPath,
  signal: stop.signal,
  onListening: () => parentPort?.postMessage("listening"),
  onConnection: (socket, peer) => {
    parentPort?.postMessage({ uid: peer?.uid });
    serveConnection(socket, socket, { settings, isTrusted })
      .catch(() => undefined)
      .finally(() => socket.destroy());
  },
});
await listening;
