import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { generateSecretKey, formatKey, publicKeyOf, signPathInfo } from "../../../store/format/narInfo.ts";
import { hashNar, narChunks, narOfBytes } from "../../../store/format/nar.ts";
import { makeFixedOutputPath, makeStorePath } from "../../../store/format/storePath.ts";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import * as calls from "../../../store/protocol/calls.ts";
import type { ClientSettings } from "../../../store/protocol/clientSettings.ts";
import { LATEST, OPERATION } from "../../../store/protocol/version.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import { DaemonClient } from "../../../store/remote/daemonClient/daemonClient.ts";
import type { StorePath, StoreSettings, ValidPathInfo } from "../../../store/types.ts";
import { TestDirectory } from "../testStore.ts";
import { connect, shellDerivation, streams, version } from "./daemonFixture.ts";

const QUIET = { sandbox: "false", substituters: "" };
const SETTINGS: ClientSettings = {
  keepFailed: false,
  keepGoing: false,
  fallback: false,
  verbosity: 3,
  maxJobs: 2,
  maxSilentSeconds: 0,
  cores: 1,
  substitute: false,
  named: new Map(),
};

/** A path that is addressed by no content, with its NAR. */
function unsigned(
  settings: StoreSettings,
  text: string,
): { readonly info: ValidPathInfo; readonly nar: Buffer } {
  const nar = narOfBytes(Buffer.from(text));
  const path = makeStorePath(settings.storeDir, "output:out", hashBytes("sha256", text), "thing");
  const info: ValidPathInfo = {
    path,
    narHash: hashBytes("sha256", nar),
    narSizeBytes: nar.length,
    references: [],
    registrationTime: 0,
    isUltimate: false,
    signatures: [],
  };
  return { info, nar };
}

async function addNar(
  client: DaemonClient,
  { info, nar }: { readonly info: ValidPathInfo; readonly nar: Buffer },
  flags = { isRepair: false, isUnchecked: true },
): Promise<void> {
  // In pieces, as it comes off a network.
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < nar.length; at += 50) yield nar.subarray(at, at + 50);
  };
  await client.runNar(calls.addToStoreNar(info, flags), pieces());
}

async function receive(client: DaemonClient, path: StorePath): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of client.receiveNar(calls.narFromPath(path))) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

describe.each([
  ["the latest", LATEST],
  ["1.38 without features", version(38)],
  ["1.34", version(34)],
  ["1.23", version(23)],
  ["1.21", version(21)],
  ["1.18", version(18)],
])("a client of %s", (_, spoken) => {
  it("adds paths, asks about them and gets them back", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    await using connection = await connect(settings, { version: spoken });
    const { client } = connection;
    expect(client.greeting.version.minor).toBe(spoken.minor);
    await client.run(calls.setOptions(client.wire, SETTINGS));
    const thing = unsigned(settings, "x".repeat(300));
    expect(await client.run(calls.isValidPath(thing.info.path))).toBe(false);
    await addNar(client, thing);
    await addNar(client, thing);
    expect(await client.run(calls.isValidPath(thing.info.path))).toBe(true);
    expect(await client.run(calls.queryPathInfo(client.wire, thing.info.path))).toMatchObject({
      narHash: thing.info.narHash,
      narSizeBytes: thing.nar.length,
    });
    expect(await client.run(calls.queryAllValidPaths(client.wire))).toEqual([thing.info.path]);
    expect(await receive(client, thing.info.path)).toEqual(thing.nar);
    expect(await client.run(calls.queryValidPaths(client.wire, [thing.info.path]))).toEqual([
      thing.info.path,
    ]);
  });

  it("adds sources and texts, and builds", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    await using connection = await connect(settings, { version: spoken });
    const { client } = connection;
    const source = join(directory.path, "tree");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "content");
    const request = {
      name: "tree",
      method: "nar",
      algorithm: "sha256",
      references: [],
      isRepair: false,
    } as const;
    const expected = makeFixedOutputPath(store.storeDir, "tree", {
      method: "nar",
      hash: hashNar(source).hash,
    });
    const added =
      spoken.minor >= calls.ANY_METHOD_SINCE
        ? (await client.runFramed(calls.addToStore(client.wire, request), narChunks(source))).path
        : await client.runPlain(calls.addToStoreOldStyle(client.wire, request), narChunks(source));
    expect(added).toBe(expected);
    const made = shellDerivation(store, "built", "echo line; echo done > $out");
    const text = await client.run(
      calls.addTextToStore(client.wire, "built.drv", made.contents, made.references),
    );
    expect(text).toBe(made.drvPath);
    const target = { kind: "built", drvPath: made.drvPath, outputs: "*" } as const;
    if (spoken.minor >= 19)
      expect(await client.run(calls.queryMissing(client.wire, [target]))).toMatchObject({
        builds: [made.drvPath],
      });
    await client.run(calls.buildPaths(client.wire, [target], "normal"));
    const output = made.outputs.get("out") as StorePath;
    expect(readFileSync(output, "utf8")).toBe("done\n");
    expect(
      JSON.stringify(connection.messages, (__, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    ).toContain("line");
  });

  it("is told of failures, and goes on", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    await using connection = await connect(settings, { version: spoken });
    const { client } = connection;
    const made = shellDerivation(store, "broken", "echo why; exit 3");
    store.writeDerivation(made);
    const target = { kind: "built", drvPath: made.drvPath, outputs: "*" } as const;
    await expect(client.run(calls.buildPaths(client.wire, [target], "normal"))).rejects.toThrow(
      "exit code 3",
    );
    const thing = unsigned(settings, "lie");
    const lie = { ...thing, info: { ...thing.info, narHash: hashBytes("sha256", "other") } };
    await expect(addNar(client, lie)).rejects.toThrow("hash");
    expect(await client.run(calls.isValidPath(thing.info.path))).toBe(false);
  });
});

describe("results of builds", () => {
  it("tell what was built, what was there, and what failed", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    await using connection = await connect(settings);
    const { client } = connection;
    const good = shellDerivation(store, "good", "echo > $out");
    const bad = shellDerivation(store, "bad", "exit 1");
    store.writeDerivations([good, bad]);
    const targetOf = (drvPath: StorePath) => ({ kind: "built", drvPath, outputs: "*" }) as const;
    const build = (drvPath: StorePath) =>
      client.run(calls.buildPathsWithResults(client.wire, [targetOf(drvPath)], "normal"));
    expect(await build(good.drvPath)).toMatchObject([{ status: "built", timesBuilt: 1 }]);
    const [again] = await build(good.drvPath);
    expect(again?.status).toBe("alreadyValid");
    expect(again?.outputs.get("out")?.path).toBe(good.outputs.get("out"));
    const [failed] = await build(bad.drvPath);
    expect(failed).toMatchObject({ status: "permanentFailure" });
    expect(failed?.message).toContain("exit code 1");
  });

  it("of derivations that are sent and not stored", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const made = shellDerivation(store, "sent", "echo hello > $out");
    {
      await using connection = await connect(settings, { isTrusted: false });
      const call = calls.buildDerivation(connection.client.wire, made.drvPath, made.derivation, "normal");
      await expect(connection.client.run(call)).rejects.toThrow("not privileged to build input-addressed");
    }
    await using connection = await connect(settings);
    const call = calls.buildDerivation(connection.client.wire, made.drvPath, made.derivation, "normal");
    expect(await connection.client.run(call)).toMatchObject({ status: "built" });
    expect(store.isValidPath(made.drvPath)).toBe(false);
    expect(readFileSync(made.outputs.get("out") ?? "", "utf8")).toBe("hello\n");
  });

  it("of fixed outputs are built for anyone, and only what they promise", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const hash = `sha256:${hashBytes("sha256", "hello\n").digest.toString("hex")}`;
    const right = shellDerivation(store, "right", "echo hello > $out", hash);
    const wrong = shellDerivation(store, "wrong", "echo other > $out", hash);
    await using connection = await connect(settings, { isTrusted: false });
    const { client } = connection;
    const build = (made: typeof right) =>
      client.run(calls.buildDerivation(client.wire, made.drvPath, made.derivation, "normal"));
    expect(await build(right)).toMatchObject({ status: "built" });
    expect(await build(wrong)).toMatchObject({ status: "outputRejected" });
    expect(store.isValidPath(wrong.outputs.get("out") as StorePath)).toBe(false);
  });
});

describe("an untrusted client", () => {
  it("cannot add a path without signature, whatever it says", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    await using connection = await connect(settings, { isTrusted: false });
    const { client } = connection;
    expect(client.greeting.isTrusted).toBe(false);
    const thing = unsigned(settings, "evil");
    await expect(addNar(client, thing)).rejects.toThrow("lacks a signature by a trusted key");
    await client.run(
      calls.setOptions(client.wire, {
        ...SETTINGS,
        named: new Map([
          ["require-sigs", "false"],
          ["trusted-public-keys", "evil:AAAA"],
          ["substituters", "http://evil.example"],
          ["timeout", "7"],
        ]),
      }),
    );
    await expect(addNar(client, thing)).rejects.toThrow("lacks a signature by a trusted key");
    const said = connection.messages
      .flatMap((message) => (message.kind === "log" ? [message.text] : []))
      .join("");
    expect(said).toContain("ignoring the client-specified setting 'require-sigs'");
    expect(said).toContain("ignoring the client-specified setting 'trusted-public-keys'");
    expect(said).toContain("ignoring untrusted substituter 'http://evil.example'");
    expect(said).not.toContain("'timeout'");
    const frames = async function* (): AsyncGenerator<Buffer> {
      const writer = new WireWriter().number(1);
      calls.describeInBatch(writer, settings.storeDir, thing.info);
      yield writer.take();
      yield thing.nar;
    };
    await expect(client.runFramed(calls.addMultipleToStore(), frames())).rejects.toThrow("lacks a signature");
    expect(await client.run(calls.isValidPath(thing.info.path))).toBe(false);
  });

  it("adds what is signed by a key that the daemon trusts, or follows from its content", async () => {
    using directory = new TestDirectory();
    const key = generateSecretKey("test-1");
    const settings = directory.settings({ ...QUIET, "trusted-public-keys": formatKey(publicKeyOf(key)) });
    await using connection = await connect(settings, { isTrusted: false });
    const { client } = connection;
    const thing = unsigned(settings, "signed");
    const signatures = [signPathInfo(thing.info, key)];
    await addNar(client, { ...thing, info: { ...thing.info, signatures, isUltimate: true } });
    expect(await client.run(calls.queryPathInfo(client.wire, thing.info.path))).toMatchObject({
      signatures,
      isUltimate: false,
    });
    const bytes = Buffer.from("by content");
    const hash = hashBytes("sha256", bytes);
    const path = makeFixedOutputPath(settings.storeDir, "thing", { method: "flat", hash });
    const nar = narOfBytes(bytes);
    const contentAddress = `fixed:sha256:${hash.digest.toString("hex")}`;
    const info = {
      ...thing.info,
      path,
      contentAddress,
      narHash: hashBytes("sha256", nar),
      narSizeBytes: nar.length,
    };
    await addNar(client, { info, nar });
    const lie = makeFixedOutputPath(settings.storeDir, "other", { method: "flat", hash });
    await expect(
      addNar(client, {
        info: { ...info, path: lie, contentAddress: contentAddress.replace(/.$/, "0") },
        nar,
      }),
    ).rejects.toThrow();
    expect(await client.run(calls.isValidPath(lie))).toBe(false);
  });

  it("cannot have a derivation that claims the output of another one", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const good = shellDerivation(store, "same", "echo good > $out");
    const bad = shellDerivation(store, "same", "echo bad > $out");
    const [mine, theirs] = [bad.outputs.get("out") ?? "", good.outputs.get("out") ?? ""];
    const contents = bad.contents.replaceAll(mine, theirs);
    await using connection = await connect(settings, { isTrusted: false });
    const { client } = connection;
    await expect(client.run(calls.addTextToStore(client.wire, "same.drv", contents, []))).rejects.toThrow(
      theirs,
    );
    const request = { name: "same.drv", algorithm: "sha256", references: [], isRepair: false } as const;
    for (const method of ["text", "flat"] as const)
      await expect(
        client.runFramed(calls.addToStore(client.wire, { ...request, method }), [
          Buffer.from(contents, "latin1"),
        ]),
      ).rejects.toThrow(theirs);
    expect(await client.run(calls.queryAllValidPaths(client.wire))).toEqual([]);
    await client.run(calls.addTextToStore(client.wire, "same.drv", bad.contents, []));
  });

  it("who is a stranger has nothing built in the daemon's own name", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const hash = `sha256:${hashBytes("sha256", "hello\n").digest.toString("hex")}`;
    const made = shellDerivation(store, "code", "echo hello > $out", hash);
    await using connection = await connect(settings, { isTrusted: false, isStranger: true });
    const { client } = connection;
    expect(
      await client.run(calls.buildDerivation(client.wire, made.drvPath, made.derivation, "normal")),
    ).toMatchObject({ status: "inputRejected" });
    store.writeDerivation(made);
    const target = { kind: "built", drvPath: made.drvPath, outputs: "*" } as const;
    await expect(client.run(calls.buildPaths(client.wire, [target], "normal"))).rejects.toThrow(
      "without a sandbox",
    );
  });

  it("cannot replace, repair, delete what lives or root outside its right", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const path = store.addText("kept", "content", []);
    await using connection = await connect(settings, { isTrusted: false });
    const { client } = connection;
    const info = store.pathInfo(path);
    const other = narOfBytes(Buffer.from("replaced"));
    await expect(
      addNar(
        client,
        { info: { ...info, narHash: hashBytes("sha256", other), narSizeBytes: other.length }, nar: other },
        { isRepair: true, isUnchecked: true },
      ),
    ).rejects.toThrow("trusted-users");
    await expect(
      client.run(calls.buildPaths(client.wire, [{ kind: "opaque", path }], "repair")),
    ).rejects.toThrow("trusted-users");
    await expect(client.run(calls.verifyStore(true, true))).rejects.toThrow("privileged to repair");
    const forced = {
      action: "deleteSpecific",
      paths: [path],
      ignoreLiveness: true,
      maxFreedBytes: undefined,
    } as const;
    await expect(client.run(calls.collectGarbage(forced))).rejects.toThrow("ignore liveness");
    await expect(
      client.runFramed(calls.addBuildLog(`${path}` as StorePath), [Buffer.from("log")]),
    ).rejects.toThrow("privileged to add logs");
    expect(readFileSync(path, "utf8")).toBe("content");
    const roots = await client.run(calls.findRoots(client.wire));
    expect(roots.filter(([link]) => link.startsWith("{temp:") || link.startsWith("/proc/"))).toEqual([]);
  });
});

describe("upkeep", () => {
  it("collects what nothing keeps, and keeps what a client holds", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    await using connection = await connect(settings);
    const { client } = connection;
    const held = await client.run(calls.addTextToStore(client.wire, "held", "1", []));
    const thing = unsigned(settings, "loose");
    const all = { action: "deleteDead", paths: [], ignoreLiveness: false, maxFreedBytes: undefined } as const;
    await addNar(client, thing);
    // What it added it holds, too, while it is connected.
    expect((await client.run(calls.collectGarbage(all))).paths).toEqual([]);
    expect(await client.run(calls.queryAllValidPaths(client.wire))).toEqual([held, thing.info.path].sort());
    expect(await client.run(calls.verifyStore(true, false))).toBe(false);
    await client.run(calls.optimiseStore());
  });

  it("finds damage, and signs", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const path = store.addText("damaged", "content", []);
    await using connection = await connect(settings);
    const { client } = connection;
    await client.run(calls.addSignatures(path, ["key:c2ln"]));
    expect(store.pathInfo(path).signatures).toEqual(["key:c2ln"]);
    const { chmodSync } = await import("node:fs");
    chmodSync(path, 0o644);
    writeFileSync(path, "changed");
    expect(await client.run(calls.verifyStore(true, false))).toBe(true);
  });
});

describe("hostile clients", () => {
  it("that do not speak the protocol are refused", async () => {
    using directory = new TestDirectory();
    const { toServer, toClient } = streams();
    toClient.resume();
    toServer.end("GET / HTTP/1.1\r\n\r\n");
    await expect(
      serveConnection(toServer, toClient, { settings: directory.settings(QUIET), isTrusted: false }),
    ).rejects.toThrow("the greeting");
  });

  it.each([
    ["an operation that there is not", new WireWriter().number(4711)],
    ["a path that is none", new WireWriter().number(OPERATION.isValidPath).string("/etc/passwd")],
    ["a string that is too long", new WireWriter().number(OPERATION.isValidPath).number(2 ** 50)],
    ["a list that is too long", new WireWriter().number(OPERATION.queryValidPaths).number(2 ** 50)],
  ])("are told what is wrong with %s, and hung up on", async (_, writer) => {
    using directory = new TestDirectory();
    await using connection = await connect(directory.settings(QUIET), { isTrusted: false });
    const bytes = writer.take();
    const broken = { request: bytes, answer: calls.isValidPath("" as StorePath).answer };
    await expect(connection.client.run(broken)).rejects.toMatchObject({ code: "DAEMON_FAILED" });
    await connection.served;
  });

  it.each([
    ["a line that a binary cache would serve", "key:c2ln\nURL: http://evil.example/nar"],
    ["several in one", "key:c2ln other:c2ln"],
    ["none", "c2ln"],
  ])("cannot have as a signature what is %s", async (_, signature) => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    using store = directory.open();
    const path = store.addText("signed", "content", []);
    await using connection = await connect(settings, { isTrusted: false });
    await expect(connection.client.run(calls.addSignatures(path, [signature]))).rejects.toThrow("is corrupt");
    await connection.served;
    expect(store.pathInfo(path).signatures).toEqual([]);
  });

  it("are hung up on after a frame that is none, and what comes next is no request", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    await using connection = await connect(settings, { isTrusted: false });
    const request = {
      name: "x",
      method: "flat",
      algorithm: "sha256",
      references: [],
      isRepair: false,
    } as const;
    const { client } = connection;
    const hidden = calls.addTextToStore(client.wire, "hidden", "content", []).request;
    const bytes = new WireWriter()
      .number(2 ** 52)
      .number(0)
      .take();
    const broken = {
      request: Buffer.concat([calls.addToStore(client.wire, request).request, bytes, hidden]),
      answer: calls.isValidPath("" as StorePath).answer,
    };
    await expect(client.run(broken)).rejects.toThrow("the length of a frame");
    await connection.served;
    using store = directory.open();
    expect(store.allValidPaths()).toEqual([]);
  });

  it("that go in the middle of something leave nothing behind", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(QUIET);
    const thing = unsigned(settings, "y".repeat(5000));
    {
      await using connection = await connect(settings);
      const { client } = connection;
      const half = async function* (): AsyncGenerator<Buffer> {
        yield thing.nar.subarray(0, 2000);
        client[Symbol.dispose]();
        throw new Error("gone");
      };
      await expect(
        client.runNar(calls.addToStoreNar(thing.info, { isRepair: false, isUnchecked: true }), half()),
      ).rejects.toThrow();
      await connection.served.catch(() => undefined);
    }
    using store = directory.open();
    expect(store.isValidPath(thing.info.path)).toBe(false);
    expect((await store.verify({ checkContents: true })).problems).toEqual([]);
  });

  it("ends where a client takes no answer any more", async () => {
    using directory = new TestDirectory();
    const { toServer, toClient } = streams();
    const served = serveConnection(toServer, toClient, {
      settings: directory.settings(QUIET),
      isTrusted: true,
    });
    const client = await DaemonClient.connect(
      { input: toClient, output: toServer, close: () => undefined },
      { storeDir: directory.settings().storeDir, onMessage: () => undefined },
    );
    toClient.destroy();
    toServer.write(new WireWriter().number(OPERATION.queryAllValidPaths).take());
    await expect(served).rejects.toMatchObject({ code: "PROTOCOL_DISCONNECTED" });
    client[Symbol.dispose]();
  });
});
