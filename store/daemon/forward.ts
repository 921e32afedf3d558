import type { Readable, Writable } from "node:stream";
import { openConnection } from "../remote/daemonClient/daemonAddress.ts";
import type { DaemonAddress } from "../types.ts";

/** Passes bytes between a client and a daemon, whatever they mean, until one of them hangs up. */
export async function forwardToDaemon(
  address: DaemonAddress,
  input: Readable,
  output: Writable,
): Promise<void> {
  const connection = await openConnection(address);
  const ended = new Promise<void>((resolve) => {
    connection.input.once("close", resolve);
    connection.input.once("end", resolve);
    input.once("close", resolve);
    input.once("end", resolve);
    output.once("error", () => resolve());
  });
  connection.output.on("error", () => undefined);
  input.pipe(connection.output, { end: false });
  connection.input.pipe(output, { end: false });
  await ended;
  connection.close();
  input.destroy();
}
