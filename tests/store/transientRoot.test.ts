import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  LocalStore,
  StoreEndpoint,
  TransientRoot,
  copyPaths,
  openRemoteStore,
  openStore,
  placeTransient,
  realise,
  resolveStoreSettings,
  type StorePath,
  type StoreSettings,
} from "../../store/index.ts";
import { makeTestDerivation } from "./realiseFixture.ts";
import { TestDirectory } from "./testStore.ts";

const WRITABLE = "dummy://?read-only=false";

function settingsFor(dir: TestDirectory, store: string): StoreSettings {
  const env = { HOME: dir.path, NIX_STORE_DIR: join(dir.path, "store"), NIX_CONF_DIR: dir.path };
  return resolveStoreSettings(env, { store, overrides: new Map([["substituters", ""]]) });
}

function openTransient(dir: TestDirectory, root: TransientRoot): LocalStore {
  return LocalStore.open(placeTransient(settingsFor(dir, WRITABLE), root.path));
}

function narOf(store: LocalStore, path: StorePath): Buffer {
  return Buffer.concat(Array.from(store.narOf(path), (chunk) => Buffer.from(chunk)));
}

describe("dummy://?read-only=false", () => {
  it("holds texts, trees and derivations as any store, and nothing once it is closed", () => {
    using dir = new TestDirectory();
    using ordinary = dir.open();
    mkdirSync(join(dir.path, "tree/sub"), { recursive: true });
    writeFileSync(join(dir.path, "tree/sub/file"), "content");
    const root = TransientRoot.create(dir.path);
    {
      using store = openTransient(dir, root);
      const text = store.addText("text", "hello", []);
      const tree = store.addPath(join(dir.path, "tree"), { name: "tree", method: "nar" });
      const made = makeTestDerivation(store, { name: "user", inputs: [text, tree] });
      const drvPath = store.writeDerivation(made);
      expect(text).toBe(ordinary.addText("text", "hello", []));
      expect(tree).toBe(ordinary.addPath(join(dir.path, "tree"), { name: "tree", method: "nar" }));
      expect(drvPath).toBe(ordinary.writeDerivation(made));
      for (const path of [text, tree, drvPath]) {
        const { registrationTime: _time, ...info } = store.pathInfo(path);
        expect(ordinary.pathInfo(path)).toMatchObject(info);
        expect(narOf(store, path).equals(narOf(ordinary, path))).toBe(true);
      }
      expect(store.closureOf(drvPath).sort()).toEqual([text, tree, drvPath].sort());
      expect(store.queryReferrers(tree)).toEqual([drvPath]);
      expect(store.readDerivation(drvPath)).toEqual(made.derivation);
      expect(store.allValidPaths()).toHaveLength(3);
      expect(readFileSync(store.realPath(`${tree}/sub/file`), "utf8")).toBe("content");
      // Other processes of the same command find all that.
      using joined = openTransient(dir, root);
      expect(joined.isValidPath(drvPath)).toBe(true);
    }
    expect(readdirSync(dir.path).filter((name) => name.startsWith("devshell-store-"))).toHaveLength(1);
    root[Symbol.dispose]();
    expect(existsSync(root.path)).toBe(false);
    root[Symbol.dispose]();
  });

  it("builds nothing", async () => {
    using dir = new TestDirectory();
    using root = TransientRoot.create(dir.path);
    using store = openTransient(dir, root);
    const drvPath = store.writeDerivation(
      makeTestDerivation(store, { name: "thing", script: "echo > $out" }),
    );
    const { failures } = await realise(store, [{ kind: "built", drvPath, outputs: "*" }]);
    expect(failures).toEqual([
      expect.objectContaining({
        code: "BUILD_REJECTED",
        exitStatus: 100,
        message: expect.stringContaining(
          "Unable to build with a primary store that isn't a local store",
        ) as unknown,
      }),
    ]);
  });

  it("is copied to and from by its address, and gone with that", async () => {
    using dir = new TestDirectory();
    using ordinary = dir.open();
    const text = ordinary.addText("text", "hello", []);
    const source = new StoreEndpoint(ordinary);
    let realPath = "";
    {
      await using target = await openRemoteStore(
        settingsFor(dir, "local"),
        `${WRITABLE}&store=${dir.path}/store`,
      );
      await copyPaths({ source, target, paths: [text], isRecursive: true, checksSignatures: false });
      if (!(target instanceof StoreEndpoint)) throw new Error("not opened whole");
      realPath = target.store.realPath(text);
      expect(readFileSync(realPath, "utf8")).toBe("hello");
      expect((await target.query(text))?.narSizeBytes).toBe(ordinary.pathInfo(text).narSizeBytes);
    }
    expect(existsSync(realPath)).toBe(false);
  });

  it.each([
    ["dummy://?read-only=maybe", /"maybe" is no value of "read-only"/],
    ["dummy://?read-only=", /"" is no value of "read-only"/],
    ["dummy://?readonly=false", /it has no parameter "readonly"/],
    ["dummy://?read-only=false&root=/x", /it has no parameter "root"/],
  ])("refuses %s", (store, message) => {
    expect(() => resolveStoreSettings({ HOME: "/nowhere" }, { store })).toThrow(message);
  });

  it("is empty where no command can have filled it, as dummy:// is everywhere", () => {
    using dir = new TestDirectory();
    for (const [address, message] of [
      ["dummy://", /it holds nothing/],
      ["dummy://?read-only=true", /it holds nothing/],
      [WRITABLE, /each command has one of its own/],
    ] as const)
      expect(() => openStore(settingsFor(dir, address))).toThrow(message);
  });
});

describe("the directory of a store that goes with its process", () => {
  it("is taken away by the next where its process was killed, and left where that lives", () => {
    using dir = new TestDirectory();
    const abandoned = join(dir.path, "devshell-store-killed");
    mkdirSync(join(abandoned, "store"), { recursive: true });
    const others = [join(dir.path, "devshell-stores"), join(dir.path, "devshell-store-file")];
    mkdirSync(others[0]!);
    writeFileSync(others[1]!, "");
    using first = TransientRoot.create(dir.path);
    expect(existsSync(abandoned)).toBe(false);
    using second = TransientRoot.create(dir.path);
    expect(second.path).not.toBe(first.path);
    for (const path of [first.path, ...others]) expect(existsSync(path)).toBe(true);
  });
});
