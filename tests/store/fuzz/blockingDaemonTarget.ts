import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { deleteTree } from "../../../store/index.ts";
import * as calls from "../../../store/protocol/calls.ts";
import type { Wire } from "../../../store/protocol/values.ts";
import { BlockingClient } from "../../../store/remote/blockingClient.ts";
import { openChannel } from "../../../store/remote/daemonAddress.ts";
import { DaemonClient } from "../../../store/remote/daemonClient.ts";
import type { StorePath } from "../../../store/types.ts";
import { streams } from "../daemon/daemonFixture.ts";
import { TestDirectory } from "../testStore.ts";
import type { FuzzTarget } from "./target.ts";

const NAR = narOfBytes(Buffer.from("added"));

/** As `daemon`, for the client that stands still while it waits: its daemon is a program that says anything. */
export async function makeTarget(): Promise<FuzzTarget> {
  const directory = mkdtempSync(join(tmpdir(), "devshell-fuzz-"));
  const file = join(directory, "answers");
  const { bytes, storeDir, held } = await record();
  return {
    corpus: [bytes],
    isCorpusRight: true,
    tokens: [],
    run: (input) => {
      writeFileSync(file, input);
      // It hangs up a moment after its last word.
      const args = ["-c", 'cat "$1"; timeout 0.02 cat > /dev/null', "sh", file];
      const channel = openChannel({ kind: "command", program: "/bin/sh", args });
      try {
        const client = new BlockingClient(channel, { storeDir, onMessage: () => undefined });
        const { wire } = client;
        client.runAll(questions(wire, held));
        client.runFramed(calls.addToStore(wire, source()), [NAR]);
        for (const part of client.receiveNar(calls.narFromPath(held))) void part;
      } finally {
        channel[Symbol.dispose]();
      }
    },
    end: () => void deleteTree(directory),
  };
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
