import { lstatSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { makeFixedOutputPath } from "../../../store/format/storePath.ts";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import * as calls from "../../../store/protocol/calls.ts";
import { CLIENT_MAGIC, LATEST, OPERATION, versionNumber } from "../../../store/protocol/version.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import type { StoreSettings, ValidPathInfo } from "../../../store/types.ts";
import { TestDirectory } from "../testStore.ts";
import { streams } from "./daemonFixture.ts";

// DEVSHELL_PROTOCOL_FUZZ=FROM-TO tries these seeds.
const [FROM = 0, TO = 40] = (process.env["DEVSHELL_PROTOCOL_FUZZ"] ?? "0-40").split("-").map(Number);
const SEEDS_A_TEST = 10;

/** mulberry32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What a client sends that asks for a bit of everything, as the bytes of a whole connection. */
function conversation(settings: StoreSettings, minor: number): Buffer {
  const wire = { storeDir: settings.storeDir, version: { minor, features: LATEST.features } };
  const text = Buffer.from("some content");
  const hash = hashBytes("sha256", text);
  const nar = narOfBytes(text);
  const path = makeFixedOutputPath(settings.storeDir, "file", { method: "flat", hash });
  const info: ValidPathInfo = {
    path,
    narHash: hashBytes("sha256", nar),
    narSizeBytes: nar.length,
    references: [],
    registrationTime: 0,
    isUltimate: false,
    signatures: [],
    contentAddress: `fixed:sha256:${hash.digest.toString("hex")}`,
  };
  const writer = new WireWriter();
  const framed = (...parts: Uint8Array[]): Buffer =>
    Buffer.concat([
      ...parts.flatMap((part) => [writer.number(part.length).take(), part]),
      writer.number(0).take(),
    ]);
  const batch = new WireWriter();
  calls.describeInBatch(batch.number(1), settings.storeDir, info);
  const request = {
    name: "file",
    method: "flat",
    algorithm: "sha256",
    references: [],
    isRepair: false,
  } as const;
  const greeting = writer.number(CLIENT_MAGIC).number(versionNumber(minor));
  if (minor >= 38) greeting.strings(LATEST.features);
  return Buffer.concat([
    greeting.number(0).number(0).take(),
    calls.addTextToStore(wire, "note", "text", []).request,
    calls.addToStore(wire, request).request,
    framed(text.subarray(0, 5), text.subarray(5)),
    calls.addToStoreNar(info, { isRepair: false, isUnchecked: false }).request,
    framed(nar.subarray(0, 20), nar.subarray(20)),
    calls.addMultipleToStore().request,
    framed(batch.take(), nar),
    calls.queryPathInfo(wire, path).request,
    calls.queryValidPaths(wire, [path]).request,
    calls.queryMissing(wire, [{ kind: "opaque", path }]).request,
    calls.narFromPath(path).request,
    calls.collectGarbage({ action: "returnDead", paths: [], ignoreLiveness: false, maxFreedBytes: undefined })
      .request,
    calls.addTempRoot(path).request,
    new WireWriter().number(OPERATION.queryAllValidPaths).take(),
  ]);
}

function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(changed.length);
    switch (random(5)) {
      case 0:
        changed[at] = random(256);
        break;
      case 1:
        changed = changed.subarray(0, at);
        break;
      case 2:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + random(16))]);
        break;
      case 3:
        changed = Buffer.concat([
          changed.subarray(0, at),
          Buffer.alloc(8, random(256)),
          changed.subarray(at),
        ]);
        break;
      default:
        // A number of the protocol: those that are edges.
        changed.writeBigUInt64LE(
          [0n, 1n, 0xffn, 0x7fffffffn, 1n << 40n, (1n << 64n) - 1n][random(6)] ?? 0n,
          Math.min(at & ~7, changed.length - 8) < 0 ? 0 : Math.min(at & ~7, Math.max(0, changed.length - 8)),
        );
    }
    if (changed.length < 16) break;
  }
  return changed;
}

/** @returns what the server ended with, and how much it said */
async function serve(settings: StoreSettings, bytes: Buffer): Promise<{ error: unknown; sizeBytes: number }> {
  const { toServer, toClient } = streams();
  let sizeBytes = 0;
  toClient.on("data", (chunk: Buffer) => (sizeBytes += chunk.length));
  toServer.end(bytes);
  const served = serveConnection(toServer, toClient, { settings, isTrusted: false });
  return await served.then(
    () => ({ error: undefined, sizeBytes }),
    (error: unknown) => ({ error, sizeBytes }),
  );
}

describe("what a client may send", () => {
  it.each([38, 34, 25])("is served whole where nothing is wrong with it: 1.%i", async (minor) => {
    using directory = new TestDirectory();
    const settings = directory.settings({ substituters: "" });
    expect((await serve(settings, conversation(settings, minor))).error).toBeUndefined();
    using store = directory.open();
    expect(store.allValidPaths().length).toBe(2);
  });

  const starts = Array.from(
    { length: Math.ceil((TO - FROM) / SEEDS_A_TEST) },
    (_, index) => FROM + index * SEEDS_A_TEST,
  );
  it.each(starts)("harms nothing, whatever it is: from seed %i", { timeout: 60_000 }, async (start) => {
    using directory = new TestDirectory();
    const settings = directory.settings({ substituters: "" });
    const before = readdirSync(directory.path).sort();
    for (let seed = start; seed < Math.min(TO, start + SEEDS_A_TEST); seed++) {
      const random = randomOf(seed);
      const minor = [38, 34, 25][random(3)] ?? 38;
      const { error } = await serve(settings, mutate(conversation(settings, minor), random));
      // It may refuse, in its own words: anything else is a fault of ours.
      if (error !== undefined) expect(error, `seed ${seed}`).toHaveProperty("name", "DevshellError");
    }
    using store = directory.open();
    expect((await store.verify({ checkContents: true })).problems).toEqual([]);
    const outside = readdirSync(directory.path).filter((name) => !["store", "state", "log"].includes(name));
    expect(outside.sort()).toEqual(before);
    expect(lstatSync(settings.storeDir).isDirectory()).toBe(true);
  });
});
