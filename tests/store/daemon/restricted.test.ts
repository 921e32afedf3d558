// What a builder that uses the store may have by adding it: nothing that it has not got itself.
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { makeStorePath } from "../../../store/format/storePath.ts";
import { LocalStore } from "../../../store/local/localStore.ts";
import * as calls from "../../../store/protocol/calls.ts";
import { Restriction } from "../../../store/realise/builder/restriction.ts";
import type { StorePath, ValidPathInfo } from "../../../store/types.ts";
import { TestDirectory } from "../testStore.ts";
import { connect, shellDerivation, type TestConnection } from "./daemonFixture.ts";

const FLAGS = { isRepair: false, isUnchecked: false };

interface Addition {
  readonly info: ValidPathInfo;
  readonly nar: Buffer;
}

function addition(
  storeDir: string,
  name: string,
  text: string,
  references: readonly StorePath[] = [],
): Addition {
  const nar = narOfBytes(Buffer.from(text));
  const path = makeStorePath(storeDir, "output:out", hashBytes("sha256", name), name);
  const narHash = hashBytes("sha256", nar);
  const place = { path, references, narHash, narSizeBytes: nar.length };
  return { nar, info: { ...place, registrationTime: 0, isUltimate: false, signatures: [] } };
}

async function* piecesOf(nar: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < nar.length; at += 50) yield nar.subarray(at, at + 50);
}

function add({ client }: TestConnection, { info, nar }: Addition): Promise<void> {
  return client.runNar(calls.addToStoreNar(info, FLAGS), piecesOf(nar));
}

describe("a builder that adds what is in the store already", () => {
  // As where a store's owner asks for no signatures: then anybody may say what a path is.
  const SETTINGS = { substituters: "", "require-sigs": "false" };

  it("is shown it where it has the same content, and only then", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(SETTINGS);
    using store = LocalStore.open(settings);
    const secret = addition(settings.storeDir, "secret", "of others");
    await store.addToStoreFromStream(secret.info, [secret.nar]);
    const restriction = new Restriction(new Set(), () => Promise.resolve());
    await using builder = await connect(settings, { isTrusted: false, restriction });
    const claim = addition(settings.storeDir, "secret", "guessed");
    await expect(add(builder, claim)).rejects.toThrow("the store has it with another content");
    // The name of the right content does not do without it.
    const half = secret.nar.subarray(0, 40);
    await expect(add(builder, { ...secret, nar: half })).rejects.toThrow("with another content");
    expect(restriction.isAllowed(secret.info.path)).toBe(false);
    await add(builder, secret);
    expect(restriction.paths()).toEqual([secret.info.path]);
    const own = addition(settings.storeDir, "own", "new");
    await add(builder, own);
    expect(restriction.isAllowed(own.info.path)).toBe(true);
  });

  it("is not shown what that refers to without its saying so", async () => {
    using directory = new TestDirectory();
    const settings = directory.settings(SETTINGS);
    using store = LocalStore.open(settings);
    const secret = addition(settings.storeDir, "secret", "of others");
    const user = addition(settings.storeDir, "user", `reads ${secret.info.path}`, [secret.info.path]);
    for (const { info, nar } of [secret, user]) await store.addToStoreFromStream(info, [nar]);
    const restriction = new Restriction(new Set(), () => Promise.resolve());
    await using builder = await connect(settings, { isTrusted: false, restriction });
    const unsaid = { ...user, info: { ...user.info, references: [] } };
    for (const tried of [user, unsaid])
      await expect(add(builder, tried)).rejects.toThrow(`path '${secret.info.path}' is not valid`);
    expect(restriction.paths()).toEqual([]);
  });
});

it("what a builder asked for ends when it is told to, not only when it has gone", async () => {
  using directory = new TestDirectory();
  const settings = directory.settings({ substituters: "", sandbox: "false" });
  using store = LocalStore.open(settings);
  const drvPath = store.writeDerivation(
    shellDerivation(store, "slow", "PATH=/usr/bin:/bin; echo begun; sleep 600"),
  );
  const restriction = new Restriction(new Set([drvPath]), () => Promise.resolve());
  const ended = new AbortController();
  await using builder = await connect(settings, { isTrusted: false, restriction, signal: ended.signal });
  const { client, messages, served } = builder;
  const target = { kind: "built", drvPath, outputs: "*" } as const;
  const building = client.run(calls.buildPaths(client.wire, [target], "normal"));
  building.catch(() => undefined);
  const hasBegun = (): boolean =>
    messages.some(
      (message) => message.kind === "result" && message.fields.some((field) => field === "begun"),
    );
  await expect.poll(hasBegun, { timeout: 20_000 }).toBe(true);
  ended.abort(new Error("the builder has ended"));
  await expect(building).rejects.toThrow("the builder has ended");
  await expect(served).rejects.toThrow("the builder has ended");
});
