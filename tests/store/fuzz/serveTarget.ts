import { PassThrough } from "node:stream";
import { hashNar, narChunks } from "../../../store/format/nar.ts";
import type { Channel } from "../../../store/ssh/channel.ts";
import { copies } from "../../../store/ssh/messageSink.ts";
import { ServeClient } from "../../../store/ssh/serveClient.ts";
import type { StorePath } from "../../../store/types.ts";
import { StorePair } from "../ssh/storePair.ts";
import type { FuzzTarget } from "./target.ts";

/** A `nix-store --serve` at the other end that answers anything: what a real one said, changed. */
export async function makeTarget(): Promise<FuzzTarget> {
  const pair = StorePair.create();
  const held = pair.there.addText("held", "content", []);
  const own = pair.here.store.addText("own", "content of ours", []);
  const drvPath = pair.here.derivation({ name: "made", script: "echo made > $out" });
  const derivation = pair.here.store.readDerivation(drvPath);
  const { hash, sizeBytes } = hashNar(own);
  const nar = [...copies(narChunks(own))];
  const options = { maxSilentSeconds: 0, timeoutSeconds: 0, maxLogBytes: 0, keepFailed: false };

  const converse = async (channel: Channel): Promise<void> => {
    await using client = await ServeClient.open(channel, { host: "host", storeDir: pair.there.storeDir });
    await client.queryValidPaths([held, own], { isLocked: true, isSubstituted: false });
    await client.queryPathInfos([held, own]);
    await client.queryClosure([held], false);
    for await (const _ of client.readNar(held));
    const info = { path: own, narHash: hash, narSizeBytes: sizeBytes, references: [] as StorePath[] };
    await client.addPath(info, inTurns(nar));
    await client.buildDerivation(drvPath, derivation, options);
  };

  const channel = pair.connect();
  const said: Buffer[] = [];
  channel.input.on("data", (chunk: Buffer) => said.push(chunk));
  await converse(channel);
  return {
    corpus: [Buffer.concat(said)],
    isCorpusRight: true,
    tokens: [0, 1, 2, 8, 1 << 24, 2 ** 31].map((value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value));
      return bytes;
    }),
    run: async (input) => {
      const answers = new PassThrough();
      answers.end(input);
      const output = new PassThrough();
      output.resume();
      await converse({
        input: answers,
        output,
        complaint: () => "",
        settled: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => {
          answers.destroy();
          output.end();
          return Promise.resolve();
        },
      });
    },
    end: () => pair[Symbol.asyncDispose](),
  };
}

async function* inTurns(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}
