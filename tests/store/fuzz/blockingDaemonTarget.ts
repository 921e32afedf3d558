import { closeSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { socketPair } from "../../../store/local/socketCalls.ts";
import { BlockingChannel } from "../../../store/protocol/blockingChannel.ts";
import * as calls from "../../../store/protocol/calls.ts";
import type { Wire } from "../../../store/protocol/values.ts";
import { BlockingClient } from "../../../store/remote/daemonClient/blockingClient.ts";
import { DaemonClient } from "../../../store/remote/daemonClient/daemonClient.ts";
import type { StorePath } from "../../../store/types.ts";
import { streams } from "../daemon/daemonFixture.ts";
import { TestDirectory } from "../testStore.ts";
import type { FuzzTarget } from "./target.ts";

const NAR = narOfBytes(Buffer.from("added"));

/** What a socket takes while nobody reads it. */
const MOST_BYTES = 96 << 10;
const NO_MORE = 1;

/** As `daemon`, for the client that stands still while it waits: its daemon has said everything before it is asked. */
export async function makeTarget(): Promise<FuzzTarget> {
  const shutdown = loadShutdown();
  const { bytes, storeDir, held } = await record();
  return {
    corpus: [bytes],
    isCorpusRight: true,
    tokens: [],
    run: (input) => {
      const [ours, theirs] = socketPair() ?? [];
      if (ours === undefined || theirs === undefined) throw new Error("there are no pairs of sockets");
      const channel = new BlockingChannel(ours, () => closeSync(theirs));
      try {
        writeSync(theirs, input.subarray(0, MOST_BYTES));
        // It hears us still.
        shutdown(theirs, NO_MORE);
        const client = new BlockingClient(channel, { storeDir, onMessage: () => undefined });
        const { wire } = client;
        client.runAll(questions(wire, held));
        client.runFramed(calls.addToStore(wire, source()), [NAR]);
        for (const part of client.receiveNar(calls.narFromPath(held))) void part;
      } finally {
        channel[Symbol.dispose]();
      }
    },
  };
}

function loadShutdown(): (fd: number, how: number) => number {
  const koffi = createRequire(import.meta.url)("koffi") as {
    load(file: null): { func(prototype: string): (fd: number, how: number) => number };
  };
  return koffi.load(null).func("int shutdown(int fd, int how)");
}

function questions(wire: Wire, held: StorePath): readonly calls.Call<unknown>[] {
  return [
    calls.queryPathInfo(wire, held),
    calls.isValidPath(held),
    calls.queryAllValidPaths(wire),
    calls.findRoots(wire),
  ];
}

function source(): calls.AddRequest {
  return { name: "tree", method: "nar", algorithm: "sha256", references: [], isRepair: false };
}

/** What a real daemon answers. */
async function record(): Promise<{
  readonly bytes: Buffer;
  readonly storeDir: string;
  readonly held: StorePath;
}> {
  using directory = new TestDirectory();
  const settings = directory.settings({ sandbox: "false", substituters: "" });
  let held: StorePath;
  {
    using store = directory.open();
    held = store.addText("held", "content", []);
  }
  const { toServer, toClient } = streams();
  const said: Buffer[] = [];
  toClient.on("data", (chunk: Buffer) => said.push(chunk));
  const served = serveConnection(toServer, toClient, { settings, isTrusted: true });
  const { storeDir } = settings;
  const connection = { input: toClient, output: toServer, close: () => void toServer.end() };
  using client = await DaemonClient.connect(connection, { storeDir, onMessage: () => undefined });
  for (const call of questions(client.wire, held)) await client.run(call);
  await client.runFramed(calls.addToStore(client.wire, source()), [NAR]);
  for await (const part of client.receiveNar(calls.narFromPath(held))) void part;
  toServer.end();
  await served;

  return { bytes: Buffer.concat(said), storeDir, held };
}
