import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { startServe } from "./serveStore.ts";
import { parseSshAddress } from "./sshAddress.ts";

/** Passes the bytes of the protocol of `ssh://` on to another machine, whatever they mean, until one side hangs up. */
export async function relayOverSsh(url: string, input: Readable, output: Writable): Promise<void> {
  await using channel = startServe(parseSshAddress(url), {});
  const ended = Promise.race(
    [channel.input, input].flatMap((stream) => [once(stream, "end"), once(stream, "close")]),
  );
  input.pipe(channel.output);
  channel.input.pipe(output, { end: false });
  await ended;
  // What the other side still answers to a client that has said all it wanted.
  await channel.settled();
  input.destroy();
}
