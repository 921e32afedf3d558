import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { runOnMachine } from "../../../store/builders/buildOnMachine.ts";
import type { BuildingStore } from "../../../store/builders/types.ts";
import { formatContentAddress } from "../../../store/format/contentAddress.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { makeFixedOutputPath, makeStorePath } from "../../../store/format/storePath.ts";
import type { BuildResult } from "../../../store/protocol/buildResult.ts";
import type { StorePath, ValidPathInfo } from "../../../store/types.ts";
import { TestStore } from "../realiseFixture.ts";

const NAR = narOfBytes(Buffer.from("not what was asked for"));

/** A machine that says it built this, whatever it was asked for. */
function machineWith(info: ValidPathInfo): BuildingStore {
  const result: BuildResult = {
    status: "built",
    message: "",
    timesBuilt: 1,
    isNonDeterministic: false,
    startTime: 0,
    stopTime: 0,
    outputs: new Map([["out", { path: info.path, signatures: [] }]]),
  };
  return {
    url: "ssh://liar",
    priority: 0,
    isTrusted: false,
    query: (path) => Promise.resolve(path === info.path ? info : undefined),
    queryValidPaths: () => Promise.resolve(new Set<StorePath>()),
    openNar: () => Promise.resolve({ nar: chunks(), discard: () => Promise.resolve() }),
    addPath: () => Promise.resolve(),
    buildDerivation: () => Promise.resolve(result),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- streams are read so
async function* chunks(): AsyncGenerator<Buffer> {
  yield NAR;
}

function runOn(t: TestStore, drvPath: StorePath, info: ValidPathInfo): ReturnType<typeof runOnMachine> {
  return runOnMachine(
    {
      store: t.store,
      drvPath,
      derivation: t.store.readDerivation(drvPath),
      inputPaths: new Set(),
      pathInfo: (path) => t.store.pathInfo(path),
      signal: new AbortController().signal,
    },
    {
      url: "ssh://liar",
      store: machineWith(info),
      onLine: () => undefined,
      lockUploads: () => Promise.resolve({ [Symbol.dispose]: () => undefined }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  );
}

describe("a machine that lies about what an output is called", () => {
  const registration = {
    narHash: hashBytes("sha256", NAR),
    narSizeBytes: NAR.length,
    references: [],
    registrationTime: 0,
    isUltimate: false,
    signatures: [],
  };

  it("puts nothing at the path of something else", async () => {
    await using t = TestStore.create();
    const drvPath = t.derivation({ name: "floating", floating: "contentAddressed", script: "" });
    const { storeDir } = t.store;
    const method = "nar" as const;
    const hash = hashBytes("sha256", NAR);
    const contentAddress = formatContentAddress({ method, hash });
    const victim = makeStorePath(storeDir, "output:out", hashBytes("sha256", "x"), "floating");
    const renamed = makeFixedOutputPath(storeDir, "glibc", { method, hash });
    const infos: ValidPathInfo[] = [
      { ...registration, path: victim },
      { ...registration, path: victim, contentAddress },
      { ...registration, path: renamed, contentAddress },
    ];
    for (const info of infos) {
      await expect(runOn(t, drvPath, info)).rejects.toThrow("is not addressed by what 'out' holds");
      expect(t.store.isValidPath(info.path)).toBe(false);
      expect(t.store.queryRealisation(drvPath, "out")).toBeUndefined();
    }
    const path = makeFixedOutputPath(storeDir, "floating", { method, hash });
    const { outputs } = await runOn(t, drvPath, { ...registration, path, contentAddress });
    expect([...(outputs ?? [])]).toEqual([["out", path]]);
    expect(t.store.isValidPath(path)).toBe(true);
  });
});
