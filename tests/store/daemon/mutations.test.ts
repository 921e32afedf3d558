import { PassThrough } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { isContentAddressed } from "../../../store/format/contentAddress.ts";
import { makeStorePath } from "../../../store/format/storePath.ts";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import * as calls from "../../../store/protocol/calls.ts";
import { CLIENT_MAGIC, LATEST, OPERATION, versionNumber } from "../../../store/protocol/version.ts";
import type { Wire } from "../../../store/protocol/values.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import type { LocalStore, StorePath, StoreSettings } from "../../../store/index.ts";
import { Random, mutate } from "../mutate.ts";
import { TestDirectory } from "../testStore.ts";
import { shellDerivation, version } from "./daemonFixture.ts";

/** How long mutations are tried, in seconds; a hunt takes `DEVSHELL_MUTATIONS_SECONDS=600`. */
const SECONDS = Number(process.env["DEVSHELL_MUTATIONS_SECONDS"] ?? "3");
const SEED = Number(process.env["DEVSHELL_MUTATIONS_SEED"] ?? "1");
const SETTINGS = { sandbox: "false", substituters: "", "experimental-features": "ca-derivations" };

function frames(...parts: readonly Buffer[]): Buffer {
  const framed = parts.flatMap((part) => [new WireWriter().number(part.length).take(), part]);
  return Buffer.concat([...framed, new WireWriter().number(0).take()]);
}

function greeting(minor: number): Buffer {
  const writer = new WireWriter().number(CLIENT_MAGIC).number(versionNumber(minor));
  if (minor >= 38) writer.strings(LATEST.features);
  return writer.number(0).number(0).take();
}

/** Every operation once, as a client sends it. */
function requests(store: LocalStore, minor: number): readonly Buffer[] {
  const { storeDir } = store;
  const wire: Wire = { storeDir, version: minor === LATEST.minor ? LATEST : version(minor) };
  const held = store.addText("held", "content", []);
  const made = shellDerivation(store, "made", "echo hello > $out", `sha256:${"0".repeat(64)}`);
  const plain = shellDerivation(store, "plain", "echo hello > $out");
  const nar = narOfBytes(Buffer.from("evil"));
  const evil = {
    path: makeStorePath(storeDir, "output:out", hashBytes("sha256", "evil"), "evil"),
    narHash: hashBytes("sha256", nar),
    narSizeBytes: nar.length,
    references: [held],
    registrationTime: 0,
    isUltimate: true,
    signatures: ["cache.example.org-1:c2ln"],
  };
  const source = { name: "tree", algorithm: "sha256", references: [], isRepair: false } as const;
  const batch = new WireWriter().number(1);
  calls.describeInBatch(batch, storeDir, evil);
  const target = { kind: "built", drvPath: plain.drvPath, outputs: "*" } as const;
  const collection = { paths: [held], ignoreLiveness: false, maxFreedBytes: undefined };
  const plainRequests = [
    calls.isValidPath(held),
    calls.queryValidPaths(wire, [held, evil.path], true),
    calls.queryAllValidPaths(wire),
    calls.queryPathInfo(wire, held),
    calls.queryReferrers(wire, held),
    calls.queryValidDerivers(wire, held),
    calls.queryDerivationOutputMap(wire, plain.drvPath),
    calls.queryPathFromHashPart(wire, "0".repeat(32)),
    calls.queryMissing(wire, [target, { kind: "opaque", path: held }]),
    calls.addTextToStore(wire, "text", "content", [held]),
    calls.addTextToStore(wire, "plain.drv", plain.contents, []),
    calls.addSignatures(held, ["key:c2ln"]),
    calls.buildPaths(wire, [target], "repair"),
    calls.buildPathsWithResults(wire, [target], "normal"),
    calls.buildDerivation(wire, made.drvPath, made.derivation, "normal"),
    calls.ensurePath(held),
    calls.addTempRoot(held),
    calls.addIndirectRoot(`${store.settings.stateDir}/link`),
    calls.findRoots(wire),
    calls.collectGarbage({ ...collection, action: "returnDead" }),
    calls.collectGarbage({ ...collection, action: "deleteSpecific" }),
    calls.optimiseStore(),
    calls.verifyStore(true, false),
    calls.narFromPath(held),
    calls.setOptions(wire, {
      keepFailed: false,
      keepGoing: false,
      fallback: false,
      verbosity: 3,
      maxJobs: 1,
      maxSilentSeconds: 0,
      cores: 1,
      substitute: false,
      named: new Map([["require-sigs", "false"]]),
    }),
  ].map(({ request }) => request);
  if (wire.version.features.size > 0) {
    plainRequests.push(
      calls.queryRealisation(wire, plain.drvPath, "out")?.request ?? Buffer.alloc(0),
      calls.registerRealisation(
        wire,
        { drvPath: plain.drvPath, output: "out" },
        { outputPath: held, signatures: [] },
      ).request,
    );
  }
  const evilRequest = calls.addToStoreNar(evil, { isRepair: false, isUnchecked: true }).request;
  if (minor < calls.FRAMED_NAR_SINCE) {
    // Before 1.21 as it is; then on demand, as strings.
    const sent = minor < calls.TUNNELLED_NAR_SINCE ? nar : new WireWriter().bytes(nar).take();
    const old = calls.addToStoreOldStyle(wire, { ...source, method: "nar" }).request;
    return [...plainRequests, Buffer.concat([evilRequest, sent]), Buffer.concat([old, nar])];
  }
  const framed: readonly (readonly [Buffer, Buffer])[] = [
    [
      calls.addToStore(wire, { ...source, method: "nar" }).request,
      frames(nar.subarray(0, 40), nar.subarray(40)),
    ],
    [calls.addToStore(wire, { ...source, method: "flat" }).request, frames(Buffer.from("content"))],
    [
      calls.addToStore(wire, { ...source, name: "x.drv", method: "text" }).request,
      frames(Buffer.from("Derive(")),
    ],
    [evilRequest, frames(nar)],
    [calls.addMultipleToStore().request, frames(batch.take(), nar)],
    [calls.addBuildLog(plain.drvPath).request, frames(Buffer.from("a log"))],
  ];
  return [...plainRequests, ...framed.map((parts) => Buffer.concat([...parts]))];
}

const QUIET_MS = 15;

/** Sends bytes in pieces of any size and hangs up. */
async function serve(settings: StoreSettings, bytes: Buffer, random: Random): Promise<void> {
  const input = new PassThrough();
  const output = new PassThrough();
  let isQuiet = false;
  output.on("data", () => (isQuiet = false));
  const served = serveConnection(input, output, { settings, isTrusted: false, isStranger: true });
  const settled = served.then(
    () => true,
    () => true,
  );
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.below(300);
    input.write(bytes.subarray(at, at + size));
    at += size;
    if (random.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  // Who hangs up at once is not served: first everything is answered that will be.
  for (let hasEnded = false; !hasEnded && !isQuiet;) {
    isQuiet = true;
    hasEnded = await Promise.race([settled, setTimeout(QUIET_MS, false)]);
  }
  input.end();
  await settled;
}

describe("a client that sends anything", () => {
  it.each([LATEST.minor, 22, 20])(
    "of 1.%d gets nothing into the store that does not follow from its content",
    { timeout: SECONDS * 1000 + 60_000 },
    async (minor) => {
      using directory = new TestDirectory();
      const settings = directory.settings(SETTINGS);
      using store = directory.open();
      const sent = requests(store, minor);
      const hello = greeting(minor);
      const random = new Random(SEED);
      const names = Object.values(OPERATION);
      const end = Date.now() + (SECONDS * 1000) / 3;
      let rounds = 0;
      for (; Date.now() < end || rounds < 20; rounds++) {
        const some = Array.from({ length: 1 + random.below(3) }, () => random.of(sent));
        const body = mutate(Buffer.concat(some), random, names);
        // The greeting is only seldom worth a mutation: nothing comes after a bad one.
        const head = random.below(20) === 0 ? mutate(hello, random, names) : hello;
        await serve(settings, Buffer.concat([head, body]), random);
      }
      const { problems } = await store.verify({ checkContents: true });
      expect(problems).toEqual([]);
      for (const path of store.allValidPaths() as StorePath[]) {
        const info = store.pathInfo(path);
        expect(isContentAddressed(settings.storeDir, info), path).toBe(true);
        expect(info.isUltimate).toBe(false);
      }
    },
  );
});
