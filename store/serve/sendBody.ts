import type { ServerResponse } from "node:http";

/** Why a body was not sent to its end. */
export class SendStopped extends Error {}

/**
 * Sends a body chunk by chunk, each one once the one before has left this process: what a client does not take is never
 * held more than once.
 * @param stallMs how long a chunk may take: who reads slower than that is not served for ever
 * @throws {SendStopped} where the client went away or stalls; else what the body throws
 */
export async function sendBody(
  response: ServerResponse,
  body: AsyncIterable<Uint8Array>,
  stallMs: number,
): Promise<number> {
  let sentBytes = 0;
  for await (const chunk of body) {
    await sendChunk(response, chunk, stallMs);
    sentBytes += chunk.length;
  }
  return sentBytes;
}

function sendChunk(response: ServerResponse, chunk: Uint8Array, stallMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (response.destroyed) {
      reject(new SendStopped("the client has gone"));
      return;
    }
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      response.off("close", onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onClose = (): void => settle(new SendStopped("the client has gone"));
    const timer = setTimeout(() => {
      settle(new SendStopped(`the client took nothing for ${Math.round(stallMs / 1000)} s`));
      response.destroy();
    }, stallMs);
    response.once("close", onClose);
    response.write(chunk, (error) => settle(error == null ? undefined : new SendStopped(error.message)));
  });
}
