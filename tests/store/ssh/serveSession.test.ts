import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  dumpNar,
  narOfBytes,
  sandboxObstacle,
  type LocalStore,
  type StorePath,
} from "../../../store/index.ts";
import { copyPaths } from "../../../store/remote/copyPaths.ts";
import { StoreEndpoint } from "../../../store/remote/storeEndpoint.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import { channelPair, type Channel } from "../../../store/ssh/channel.ts";
import { ServeClient } from "../../../store/ssh/serveClient.ts";
import { SERVE_CLIENT_MAGIC, SERVE_COMMAND, SERVE_SERVER_MAGIC } from "../../../store/ssh/serveProtocol.ts";
import { ServeStore } from "../../../store/ssh/serveStore.ts";
import { StorePair } from "./storePair.ts";

const obstacle = await sandboxObstacle();
const NO_LIMITS = { maxSilentSeconds: 0, timeoutSeconds: 0, maxLogBytes: 0, keepFailed: false };

async function connect(pair: StorePair, isWritable = true): Promise<ServeStore> {
  const { storeDir } = pair.there;
  const client = await ServeClient.open(pair.connect({ isWritable }), { host: "there", storeDir });
  return new ServeStore("ssh://there", client);
}

/** A tree of some size that refers to a text. */
function addTree(store: LocalStore, dir: string): { readonly text: StorePath; readonly tree: StorePath } {
  const text = store.addText("text", "some text", []);
  const source = join(dir, "source");
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, "data"), Buffer.alloc(3 << 20, "data"));
  writeFileSync(join(source, "link"), text);
  return { text, tree: store.addPath(source, { name: "tree", method: "nar", references: [text] }) };
}

function narOf(store: LocalStore, path: StorePath): Buffer {
  const chunks: Buffer[] = [];
  dumpNar(store.realPath(path), (chunk) => void chunks.push(Buffer.from(chunk)));
  return Buffer.concat(chunks);
}

/** Everything that comes back after these bytes. */
async function talk(channel: Channel, ...parts: readonly Buffer[]): Promise<Buffer> {
  for (const part of parts) channel.output.write(part);
  channel.output.end();
  const chunks: Buffer[] = [];
  for await (const chunk of channel.input) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const hello = (version = 0x208): Buffer =>
  Buffer.from(new WireWriter().number(SERVE_CLIENT_MAGIC).number(version).take());

describe("a store by nix-store --serve", () => {
  it("is copied to and from, with what paths refer to", async () => {
    await using pair = StorePair.create();
    const { store } = pair.here;
    const { text, tree } = addTree(store, pair.here.dir);
    await using remote = await connect(pair);
    const local = new StoreEndpoint(store);
    const request = { isRecursive: true, checksSignatures: false };
    const copied = await copyPaths({ ...request, source: local, target: remote, paths: [tree] });
    expect(new Set(copied)).toEqual(new Set([text, tree]));
    expect(narOf(pair.there, tree).equals(narOf(store, tree))).toBe(true);
    expect(pair.there.pathInfo(tree)).toMatchObject({ references: [text], isUltimate: false });
    expect(await copyPaths({ ...request, source: local, target: remote, paths: [tree] })).toEqual([]);
    const only = pair.there.addText("only-there", "x", [tree]);
    expect(await copyPaths({ ...request, source: remote, target: local, paths: [only] })).toEqual([only]);
    expect(readFileSync(store.realPath(only), "utf8")).toBe("x");
    expect(await remote.queryClosure([only], false)).toEqual([text, only, tree].sort());
    const unknown = `${store.storeDir}/${"0".repeat(32)}-unknown` as StorePath;
    expect(await remote.queryValidPaths([text, unknown])).toEqual(new Set([text]));
    expect(await remote.query(unknown)).toBeUndefined();
  });

  it("asks about many paths in one message", async () => {
    await using pair = StorePair.create();
    const paths = Array.from({ length: 50 }, (_, index) => pair.there.addText(`t${index}`, `${index}`, []));
    await using remote = await connect(pair);
    const infos = await Promise.all(paths.map((path) => remote.query(path)));
    expect(infos.map((info) => info?.path)).toEqual(paths);
  });

  it("takes nothing where it may not be written", async () => {
    await using pair = StorePair.create();
    const text = pair.here.store.addText("text", "x", []);
    const remote = await connect(pair, false);
    const local = new StoreEndpoint(pair.here.store);
    const copy = copyPaths({
      source: local,
      target: remote,
      paths: [text],
      isRecursive: true,
      checksSignatures: false,
    });
    await expect(copy).rejects.toMatchObject({ code: "SSH_FAILED" });
    expect(pair.failures).toMatchObject([{ message: "importing paths is not allowed" }]);
    expect(pair.there.isValidPath(text)).toBe(false);
    await remote[Symbol.asyncDispose]();
  });

  it("refuses a path that is not what was announced", async () => {
    await using pair = StorePair.create();
    const { store } = pair.here;
    const text = store.addText("text", "x", []);
    const other = store.addText("text", "y", []);
    const remote = await connect(pair);
    const { nar } = await new StoreEndpoint(store).openNar(store.pathInfo(other), {});
    await expect(remote.addPath(store.pathInfo(text), nar, {})).rejects.toMatchObject({ code: "SSH_FAILED" });
    expect(pair.failures).toMatchObject([{ code: "STORE_HASH_MISMATCH" }]);
    expect(pair.there.isValidPath(text)).toBe(false);
    await remote[Symbol.asyncDispose]();
  });

  it("imports what nix-store --export writes", async () => {
    await using pair = StorePair.create();
    const { store } = pair.here;
    const { text, tree } = addTree(store, pair.here.dir);
    const exported = [text, tree].flatMap((path) => [
      new WireWriter().number(1).take(),
      narOf(store, path),
      new WireWriter()
        .number(0x4558494e)
        .string(path)
        .strings(store.pathInfo(path).references)
        .string("")
        .number(0)
        .take(),
    ]);
    const command = new WireWriter().number(SERVE_COMMAND.importPaths).take();
    const reply = await talk(
      pair.connect(),
      hello(),
      command,
      ...exported,
      new WireWriter().number(0).take(),
    );
    expect(reply.subarray(16).toString("hex")).toBe("0100000000000000");
    expect(narOf(pair.there, tree).equals(narOf(store, tree))).toBe(true);
    const wrong = new WireWriter().number(SERVE_COMMAND.importPaths).number(2).take();
    expect((await talk(pair.connect(), hello(), wrong)).length).toBe(16);
    expect(pair.failures).toMatchObject([
      { message: expect.stringContaining("nix-store --export") as string },
    ]);
  });

  it.each([
    ["another magic number", Buffer.from("Welcome to this machine!")],
    ["another protocol", hello(0x108)],
    ["an unknown command", Buffer.concat([hello(), new WireWriter().number(5).take()])],
    [
      "a count without end",
      Buffer.concat([
        hello(),
        new WireWriter()
          .number(2)
          .number(2n ** 60n)
          .take(),
      ]),
    ],
    [
      "a string without end",
      Buffer.concat([
        hello(),
        new WireWriter()
          .number(3)
          .number(2n ** 40n)
          .take(),
      ]),
    ],
    ["half a message", Buffer.concat([hello(), new WireWriter().number(2).number(1).number(50).take()])],
    [
      "a path of elsewhere",
      Buffer.concat([hello(), new WireWriter().number(3).string("/etc/passwd").take()]),
    ],
    [
      "a path out of the store",
      Buffer.concat([hello(), new WireWriter().number(3).string("/nix/store/..").take()]),
    ],
  ])("ends at %s", async (_, bytes) => {
    await using pair = StorePair.create();
    const reply = await talk(pair.connect(), bytes);
    expect(pair.failures).toHaveLength(1);
    expect(reply.length).toBeLessThanOrEqual(16);
  });
});

// Two stores of one directory's name are two only to builders that see neither.
describe.skipIf(obstacle !== undefined)("building by nix-store --serve", () => {
  it("builds what it is sent", async () => {
    await using pair = StorePair.create({ sandbox: "on" });
    const { here, there } = pair;
    const input = here.store.addText("input", "from here", []);
    const drvPath = here.derivation({
      name: "made",
      script: `echo building; read -r line < ${input}; echo "$line" > $out`,
      inputs: [input],
    });
    await using remote = await connect(pair);
    const local = new StoreEndpoint(here.store);
    await copyPaths({
      source: local,
      target: remote,
      paths: [input],
      isRecursive: false,
      checksSignatures: false,
    });
    const derivation = here.store.readDerivation(drvPath);
    const out = here.output(drvPath);
    const result = await remote.buildDerivation(drvPath, derivation, NO_LIMITS);
    expect(result).toMatchObject({
      status: "built",
      outputs: new Map([["out", { path: out, signatures: [] }]]),
    });
    expect(there.isValidPath(out)).toBe(true);
    expect(there.isValidPath(drvPath)).toBe(false);
    expect(pair.lines).toContain("building");
    expect(await remote.buildDerivation(drvPath, derivation, NO_LIMITS)).toMatchObject({
      status: "alreadyValid",
    });
  });

  it("says why a build failed, and goes on", async () => {
    await using pair = StorePair.create({ sandbox: "on" });
    const { here } = pair;
    await using remote = await connect(pair);
    const build = async (script: string, limits = {}): Promise<unknown> => {
      const drvPath = here.derivation({ name: "bad", script });
      const derivation = here.store.readDerivation(drvPath);
      return await remote.buildDerivation(drvPath, derivation, { ...NO_LIMITS, ...limits });
    };
    expect(await build("exit 3")).toMatchObject({
      status: "permanentFailure",
      message: expect.stringContaining("builder failed with exit code 3") as string,
    });
    expect(await build("true")).toMatchObject({ status: "outputRejected" });
    expect(await build("read -r never < /dev/zero", { timeoutSeconds: 1 })).toMatchObject({
      status: "timedOut",
    });
    expect(await build("while :; do echo much; done", { maxLogBytes: 1000 })).toMatchObject({
      status: "logLimitExceeded",
    });
    expect(await build("echo > $out")).toMatchObject({ status: "built" });
  });

  it("stops building when the client goes", async () => {
    await using pair = StorePair.create({ sandbox: "on" });
    const { here } = pair;
    const drvPath = here.derivation({ name: "slow", script: "echo begun; read -r never < /dev/zero" });
    const remote = await connect(pair);
    const stop = new AbortController();
    const building = remote.buildDerivation(
      drvPath,
      here.store.readDerivation(drvPath),
      NO_LIMITS,
      stop.signal,
    );
    building.catch(() => undefined);
    await expect.poll(() => pair.lines, { timeout: 20_000 }).toContain("begun");
    stop.abort(new Error("enough"));
    await expect(building).rejects.toThrow("enough");
    await remote[Symbol.asyncDispose]();
    await expect.poll(() => pair.failures.length, { timeout: 20_000 }).toBe(1);
  });
});

describe("a client of nix-store --serve", () => {
  const storeDir = "/nix/store";

  /** The other side says these bytes, whatever it hears, and ends. */
  async function against(bytes: Buffer, work: (client: ServeClient) => Promise<unknown>): Promise<unknown> {
    const { channelPair } = await import("../../../store/ssh/channel.ts");
    const [ours, theirs] = channelPair();
    theirs.input.resume();
    theirs.output.end(bytes);
    const client = await ServeClient.open(ours, { host: "there", storeDir });
    try {
      return await work(client);
    } finally {
      await client[Symbol.asyncDispose]();
    }
  }

  const greeting = (version = 0x208): Buffer =>
    Buffer.from(new WireWriter().number(SERVE_SERVER_MAGIC).number(version).take());
  const path = `${storeDir}/${"0".repeat(32)}-x` as StorePath;

  it("says so where something else answers", async () => {
    const nothing = (): Promise<void> => Promise.resolve();
    await expect(against(Buffer.from("Last login: yesterday\n.."), nothing)).rejects.toThrow(
      "'nix-store --serve' protocol mismatch from 'there'",
    );
    await expect(against(Buffer.alloc(0), nothing)).rejects.toThrow("cannot connect to 'there'");
    await expect(against(greeting(0x204), nothing)).rejects.toThrow(/unsupported .* protocol version/);
    await expect(against(greeting(0x305), nothing)).rejects.toThrow(/unsupported .* protocol version/);
  });

  it("believes only what it asked for, and is of no use afterwards", async () => {
    const other = new WireWriter().string(`${storeDir}/${"1".repeat(32)}-y`).take();
    await against(Buffer.concat([greeting(), other]), async (client) => {
      await expect(client.queryPathInfos([path])).rejects.toThrow(/was not asked for/);
      await expect(client.queryPathInfos([path])).rejects.toThrow(/has ended/);
    });
  });

  it("reads no more than can be", async () => {
    const many = Buffer.concat([greeting(), new WireWriter().number(2n ** 50n).take()]);
    await against(many, async (client) => {
      await expect(
        client.queryValidPaths([path], { isLocked: false, isSubstituted: false }),
      ).rejects.toMatchObject({ code: "PROTOCOL_INVALID" });
    });
  });

  it("is given up where it never answers", async () => {
    const [ours, theirs] = channelPair();
    const stop = new AbortController();
    theirs.input.once("data", () => stop.abort(new Error("enough")));
    const opening = ServeClient.open(ours, { host: "there", storeDir, signal: stop.signal });
    await expect(opening).rejects.toThrow("enough");
    await theirs[Symbol.asyncDispose]();
  });

  it("does not take the end for an answer", async () => {
    await against(greeting(), async (client) => {
      await expect(client.queryClosure([path], false)).rejects.toMatchObject({ code: "SSH_FAILED" });
    });
    await against(
      Buffer.concat([greeting(), narOfBytes(Buffer.alloc(100)).subarray(0, 150)]),
      async (client) => {
        const reading = async (): Promise<void> => {
          for await (const _ of client.readNar(path));
        };
        await expect(reading()).rejects.toMatchObject({ code: "SSH_FAILED" });
      },
    );
  });
});
