import { PassThrough } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DevshellError, hashBytes } from "../../../core/index.ts";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { makeStorePath } from "../../../store/format/storePath.ts";
import * as calls from "../../../store/protocol/calls.ts";
import { VERBOSITY, writeMessage } from "../../../store/protocol/messages.ts";
import { LATEST, type ProtocolVersion } from "../../../store/protocol/version.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import { ActivityEvents } from "../../../store/remote/daemonClient/activityEvents.ts";
import { DaemonClient } from "../../../store/remote/daemonClient/daemonClient.ts";
import type { StorePath, ValidPathInfo } from "../../../store/types.ts";
import { shellDerivation, streams, version } from "../daemon/daemonFixture.ts";
import type { Random } from "../mutate.ts";
import { TestDirectory } from "../testStore.ts";
import type { FuzzTarget } from "./target.ts";

const VERSIONS: readonly ProtocolVersion[] = [LATEST, version(37), version(25), version(20)];

/** Turns of the event loop in which the client neither asked nor read anything: it waits for more. */
const QUIET_TURNS = 4;

/** What a client asks, one thing after the other, until the connection is of no more use. */
interface Questions {
  readonly storeDir: string;
  readonly held: StorePath;
  readonly drvPath: StorePath;
  readonly added: ValidPathInfo;
  readonly nar: Buffer;
}

/** A daemon that answers anything: what a real one said to our client, changed. */
export async function makeTarget(): Promise<FuzzTarget> {
  const directory = new TestDirectory();
  const settings = directory.settings({ sandbox: "false", substituters: "" });
  const questions = prepare(directory);
  const recorded: Buffer[] = [];
  for (const each of VERSIONS) {
    const { toServer, toClient } = streams();
    const said: Buffer[] = [];
    toClient.on("data", (chunk: Buffer) => said.push(chunk));
    const served = serveConnection(toServer, toClient, { settings, isTrusted: true }).catch(() => undefined);
    const failures = await converse(questions, each, { input: toClient, output: toServer });
    if (failures > 0) throw new Error(`a real daemon was not understood ${failures} times`);
    toServer.end();
    await served;
    // Which version it is to be read by stands before it.
    recorded.push(Buffer.concat([Buffer.from([recorded.length]), ...said]));
  }
  return {
    corpus: recorded,
    isCorpusRight: true,
    tokens: messages(questions.held),
    run: async (input, random) => {
      const output = new PassThrough();
      output.resume();
      const answers = new PassThrough();
      void feed(answers, output, input.subarray(1), random);
      const latest = VERSIONS[(input[0] ?? 0) % VERSIONS.length] ?? LATEST;
      await converse(questions, latest, { input: answers, output }, true);
    },
    end: () => directory[Symbol.dispose](),
  };
}

function prepare(directory: TestDirectory): Questions {
  using store = directory.open();
  const held = store.addText("held", "content", []);
  store.addText("user", held, [held]);
  const drvPath = store.writeDerivation(shellDerivation(store, "made", "echo made > $out"));
  const nar = narOfBytes(Buffer.from("added"));
  const added: ValidPathInfo = {
    path: makeStorePath(store.storeDir, "output:out", hashBytes("sha256", "added"), "added"),
    narHash: hashBytes("sha256", nar),
    narSizeBytes: nar.length,
    references: [held],
    registrationTime: 0,
    isUltimate: false,
    signatures: ["key-1:c2ln"],
  };
  return { storeDir: store.storeDir, held, drvPath, added, nar };
}

/** Hangs up only when nothing is to be expected any more of a client that has read all: else it asks nothing. */
async function feed(stream: PassThrough, asked: PassThrough, input: Buffer, random: Random): Promise<void> {
  const most = 1 << (4 + random.below(12));
  for (let at = 0; at < input.length;) {
    const size = 1 + random.below(most);
    stream.write(input.subarray(at, at + size));
    at += size;
  }
  let askedBytes = 0;
  asked.on("data", (chunk: Buffer) => (askedBytes += chunk.length));
  for (let quiet = 0, seen = ""; quiet < QUIET_TURNS && !stream.destroyed; quiet++) {
    const now = `${askedBytes} ${stream.readableLength} ${stream.writableLength}`;
    if (now !== seen) quiet = 0;
    seen = now;
    await nextTurn();
  }
  stream.end();
}

/** @returns how many questions were answered by a failure @throws where that is none of ours, or all fails at once */
async function converse(
  { storeDir, held, drvPath, added, nar }: Questions,
  latest: ProtocolVersion,
  connection: { readonly input: PassThrough; readonly output: PassThrough },
  isHostile = false,
): Promise<number> {
  const events = new ActivityEvents(storeDir, () => undefined);
  const client = await DaemonClient.connect(
    { ...connection, close: () => connection.input.destroy() },
    { storeDir, onMessage: (message) => events.take(message), version: latest },
  );
  const { wire } = client;
  const target = { kind: "built", drvPath, outputs: "*" } as const;
  const source = {
    name: "tree",
    method: "nar",
    algorithm: "sha256",
    references: [],
    isRepair: false,
  } as const;
  const asked: readonly (() => Promise<unknown>)[] = [
    () => client.run(calls.isValidPath(held)),
    () => client.run(calls.queryValidPaths(wire, [held])),
    () => client.run(calls.queryAllValidPaths(wire)),
    () => client.run(calls.queryPathInfo(wire, held)),
    () => client.run(calls.queryReferrers(wire, held)),
    () => client.run(calls.queryValidDerivers(wire, held)),
    () => client.run(calls.queryPathFromHashPart(wire, held.slice(storeDir.length + 1).slice(0, 32))),
    async () =>
      wire.version.minor >= 22 ? await client.run(calls.queryDerivationOutputMap(wire, drvPath)) : undefined,
    async () => (wire.version.minor >= 30 ? await client.run(calls.queryMissing(wire, [target])) : undefined),
    () => client.run(calls.addTextToStore(wire, "text", "content", [])),
    async () =>
      wire.version.minor >= calls.ANY_METHOD_SINCE
        ? await client.runFramed(calls.addToStore(wire, source), [nar])
        : await client.runPlain(calls.addToStoreOldStyle(wire, source), [nar]),
    () => client.runNar(calls.addToStoreNar(added, { isRepair: false, isUnchecked: true }), chunks(nar)),
    async () =>
      wire.version.minor >= calls.RESULTS_SINCE
        ? await client.run(calls.buildPathsWithResults(wire, [target], "normal"))
        : undefined,
    async () => {
      const parts: Buffer[] = [];
      for await (const part of client.receiveNar(calls.narFromPath(held))) parts.push(part);
    },
    () => client.run(calls.findRoots(wire)),
    () =>
      client.run(
        calls.collectGarbage({
          action: "returnDead",
          paths: [],
          ignoreLiveness: false,
          maxFreedBytes: undefined,
        }),
      ),
    () => client.run(calls.verifyStore(true, false)),
  ];
  let [failures, successes] = [0, 0];
  let first: unknown;
  for (const ask of asked) {
    if (client.isBroken && isHostile && failures > 0) break;
    try {
      await ask();
      successes++;
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      failures++;
      first ??= error;
    }
  }
  client[Symbol.dispose]();
  if (successes === 0 && first !== undefined) throw first;
  return failures;
}

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 40) yield await Promise.resolve(bytes.subarray(at, at + 40));
}

/** Messages that may stand anywhere between answers, or should not. */
function messages(path: StorePath): Buffer[] {
  const writer = new WireWriter();
  const activity = { level: VERBOSITY.info, text: "text", parent: 0n } as const;
  for (const version of [LATEST, VERSIONS.at(-1) ?? LATEST]) {
    writeMessage(writer, { kind: "log", text: "\u001B[31ma line\n" }, version);
    writeMessage(
      writer,
      { kind: "start", id: 7n, type: 105, fields: [path, "", 1, 1], ...activity },
      version,
    );
    writeMessage(writer, { kind: "start", id: 7n, type: 100, fields: [3], ...activity }, version);
    writeMessage(writer, { kind: "result", id: 7n, type: 101, fields: ["a log line"] }, version);
    writeMessage(writer, { kind: "result", id: 7n, type: 105, fields: [1, 2, 3, 4] }, version);
    writeMessage(writer, { kind: "stop", id: 7n }, version);
    writeMessage(writer, { kind: "read", maxBytes: 5 }, version);
    writeMessage(writer, { kind: "write", bytes: Buffer.from("unasked") }, version);
    writeMessage(writer, { kind: "error", error: { message: "failed", status: 1 } }, version);
    writeMessage(writer, { kind: "last" }, version);
  }
  const all = writer.take();
  const numbers = [0, 1, 8, 1 << 24, 2 ** 31, 2 ** 53 - 1].map((value) =>
    new WireWriter().number(value).take(),
  );
  // Each message alone, and all together.
  return [
    all,
    ...numbers,
    ...Array.from({ length: all.length >> 3 }, (_, at) => all.subarray(at * 8, at * 8 + 8)),
  ];
}
