import { readdirSync, rmSync, truncateSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { removeTree } from "../../../store/realise/builder/scratch.ts";
import { realise, type RealiseReport } from "../../../store/realise/index.ts";
import { StoreEndpoint, copyPaths, openRemoteStore } from "../../../store/remote/index.ts";
import type { StoreConfig, StorePath } from "../../../store/types.ts";
import { TestStore, temporaryDirectory, testSettings } from "../realiseFixture.ts";
import { LocalStore } from "../../../store/local/localStore.ts";

/** A store whose derivation "user" refers to "input", and a binary cache of both, which the store has forgotten. */
async function builtElsewhere() {
  const dir = temporaryDirectory();
  const t = TestStore.create({ requireSignatures: false }, dir);
  const inputDrv = t.derivation({ name: "input", script: "echo in > $out" });
  const userDrv = t.derivation({
    name: "user",
    script: 'read line < "$input"; echo "$line" "$input" > $out',
    env: { input: t.output(inputDrv) },
    inputs: [inputDrv],
  });
  expect((await t.build(userDrv)).failures).toEqual([]);
  const [input, user] = [t.output(inputDrv), t.output(userDrv)];
  const cache = `${dir}/binary-cache`;
  {
    await using target = await openRemoteStore(t.store.settings, `file://${cache}?compression=none`, {
      isTarget: true,
    });
    await copyPaths({ source: new StoreEndpoint(t.store), target, paths: [user], isRecursive: true });
  }
  // Its roots go with it.
  t.store[Symbol.dispose]();
  {
    using store = LocalStore.open(testSettings(dir));
    await store.deletePaths([user, input]);
    expect(store.isValidPath(input)).toBe(false);
  }
  const again = async (
    config: Partial<StoreConfig> = {},
    target: StorePath = userDrv,
  ): Promise<RealiseReport & { readonly lines: string; readonly isUserValid: boolean }> => {
    const settings = testSettings(dir, {
      requireSignatures: false,
      substituters: [`file://${cache}`],
      ...config,
    });
    using store = LocalStore.open(settings);
    const lines: string[] = [];
    const report = await realise(
      store,
      [
        target.endsWith(".drv")
          ? { kind: "built", drvPath: target, outputs: "*" }
          : { kind: "opaque", path: target },
      ],
      { onEvent: (event) => event.kind === "log" && lines.push(event.line) },
    );
    return { ...report, lines: lines.join("\n"), isUserValid: store.isValidPath(user) };
  };
  return { cache, input, user, again, [Symbol.asyncDispose]: () => removeTree(dir) };
}

const narInfoOf = (path: StorePath): string => `${path.split("/").at(-1)?.slice(0, 32)}.narinfo`;

describe("what a binary cache does not hold although it says so", () => {
  it("is built where its file is gone, without being told to", async () => {
    await using w = await builtElsewhere();
    rmSync(`${w.cache}/nar`, { recursive: true });
    const report = await w.again();
    expect(report.failures).toEqual([]);
    expect(report.lines).toContain("does not exist in binary cache");
    expect(report.isUserValid).toBe(true);
  });

  it("is built where something it refers to is missing", async () => {
    await using w = await builtElsewhere();
    rmSync(`${w.cache}/${narInfoOf(w.input)}`);
    const report = await w.again();
    expect(report.failures).toEqual([]);
    expect(report.plan.unknown).toEqual([w.input]);
    expect(report.lines).toContain(`some references of path '${w.user}' could not be realised`);
    expect(report.isUserValid).toBe(true);
  });

  it("fails where nothing can build it", async () => {
    await using w = await builtElsewhere();
    rmSync(`${w.cache}/${narInfoOf(w.input)}`);
    const report = await w.again({}, w.user);
    expect(report.failures.map(({ message }) => message)).toEqual([
      `some references of path '${w.user}' could not be realised`,
    ]);
    expect(report.exitStatus).toBe(1);
  });

  it("is built where its file is damaged only with fallback", async () => {
    await using w = await builtElsewhere();
    for (const name of readdirSync(`${w.cache}/nar`)) truncateSync(`${w.cache}/nar/${name}`);
    const refused = await w.again();
    expect(refused.failures.map(({ message }) => message).join("\n")).toContain("0 bytes where");
    expect(refused.exitStatus).toBe(1);
    const report = await w.again({ fallback: true });
    expect(report.failures).toEqual([]);
    expect(report.isUserValid).toBe(true);
  });
});
