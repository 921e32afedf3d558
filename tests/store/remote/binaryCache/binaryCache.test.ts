import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { formatKey, generateSecretKey, publicKeyOf } from "../../../../store/format/narInfo.ts";
import { copyPaths } from "../../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../../store/remote/openRemoteStore.ts";
import { SpoolFile } from "../../../../store/remote/binaryCache/spoolFile.ts";
import type { StorePath } from "../../../../store/types.ts";
import { DOC, FIXTURES, PUBLIC_KEY, TEXT, TREE, TestPlace } from "./cacheFixture.ts";

const NONE = `file://${FIXTURES}/cache-none`;

/** Copies the fixtures' closure from one address to another. */
async function copy(
  t: TestPlace,
  from: string,
  to: string,
  path: StorePath = DOC,
): Promise<readonly StorePath[]> {
  await using source = await openRemoteStore(t.settings, from);
  await using target = await openRemoteStore(t.settings, to, { isTarget: true });
  return await copyPaths({ source, target, paths: [path], isRecursive: true });
}

/** Into the place's own store. */
async function fetch(t: TestPlace, from: string, path: StorePath = DOC): Promise<readonly StorePath[]> {
  await using source = await openRemoteStore(t.settings, from);
  return await copyPaths({ source, target: t.endpoint, paths: [path], isRecursive: true });
}

function narInfos(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => name.endsWith(".narinfo"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(`${directory}/${name}`, "latin1")]));
}

/** What does not depend on the compressor's version. */
function withoutFile(infos: Record<string, string>): Record<string, string> {
  const strip = (text: string): string => text.replaceAll(/^(URL|FileHash|FileSize): .*\n/gm, "");
  return Object.fromEntries(Object.entries(infos).map(([name, text]) => [name, strip(text)]));
}

describe("a binary cache in a directory", () => {
  it("is written to the byte as Nix writes it", async () => {
    await using t = new TestPlace();
    const copied = await copy(t, NONE, `file://${t.dir}/cache?compression=none`);
    expect([...copied].sort()).toEqual([DOC, TREE, TEXT].sort());
    expect(narInfos(`${t.dir}/cache`)).toEqual(narInfos(`${FIXTURES}/cache-none`));
    expect(readFileSync(`${t.dir}/cache/nix-cache-info`, "utf8")).toBe("StoreDir: /nix/store\n");
    expect(readdirSync(`${t.dir}/cache/nar`).sort()).toEqual(
      readdirSync(`${FIXTURES}/cache-none/nar`).sort(),
    );
  });

  it.each(["xz", "zstd", "gzip", "bzip2", "br", "lzma"])(
    "is written and read compressed by %s",
    async (compression) => {
      await using t = new TestPlace();
      await copy(t, NONE, `file://${t.dir}/cache?compression=${compression}`);
      const infos = narInfos(`${t.dir}/cache`);
      expect(withoutFile(infos)).toEqual(withoutFile(narInfos(`${FIXTURES}/cache-${compression}`)));
      const ending = /^URL: nar\/[0-9a-z]{52}(\.nar.*)$/m;
      const [ours, theirs] = [infos, narInfos(`${FIXTURES}/cache-${compression}`)].map(
        (all) => ending.exec(Object.values(all)[0] ?? "")?.[1],
      );
      expect(ours).toBe(theirs);
      expect(await fetch(t, `file://${t.dir}/cache`)).toHaveLength(3);
      expect((await t.store.verify({ checkContents: true })).problems).toEqual([]);
      expect(t.store.pathInfo(TREE).signatures).toHaveLength(1);
    },
  );

  it("compresses by xz unless told otherwise, and by the level given", async () => {
    await using t = new TestPlace();
    await copy(t, NONE, `file://${t.dir}/usual`);
    expect(Object.values(narInfos(`${t.dir}/usual`)).join("")).toContain("Compression: xz\n");
    await copy(t, NONE, `file://${t.dir}/quick?compression=zstd&compression-level=1`);
    await expect(copy(t, NONE, `file://${t.dir}/none?compression=zstd&compression-level=99`)).rejects.toThrow(
      "Cannot compress by zstd at level 99: its levels are 1 to 22",
    );
    expect(readdirSync(`${t.dir}/none/nar`)).toEqual([]);
  });

  it("copies what is missing, once", async () => {
    await using t = new TestPlace();
    const to = `file://${t.dir}/cache?compression=none`;
    expect(await copy(t, NONE, to, TREE)).toHaveLength(2);
    expect(await copy(t, NONE, to)).toEqual([DOC]);
    expect(await copy(t, NONE, to)).toEqual([]);
  });

  it("is rid of what killed processes began, once that is old", async () => {
    await using t = new TestPlace();
    const to = `file://${t.dir}/cache?compression=none`;
    await copy(t, NONE, to, TEXT);
    const nars = `${t.dir}/cache/nar`;
    const [old, fresh] = ["a", "b"].map((letter) => `${letter.repeat(52)}.nar.tmp.123.1`);
    for (const name of [old, fresh]) writeFileSync(`${nars}/${name}`, "half of a NAR");
    const day = Date.now() / 1000 - 25 * 3600;
    utimesSync(`${nars}/${old}`, day, day);
    await copy(t, NONE, to);
    const left = readdirSync(nars).filter((name) => name.includes(".tmp."));
    expect(left).toEqual([fresh]);
  });

  it("is rid of what killed processes compressed at once, though not of what others compress", async () => {
    await using t = new TestPlace();
    const to = `file://${t.dir}/cache?compression=none`;
    await copy(t, NONE, to, TEXT);
    const nars = `${t.dir}/cache/nar`;
    const dead = `.${"a".repeat(32)}.123.1`;
    writeFileSync(`${nars}/${dead}`, "half of a NAR");
    await using spool = new SpoolFile(nars, DOC);
    const { handle } = await spool.open();
    await handle.writeFile("half of another");
    const spools = (): string[] => readdirSync(nars).filter((name) => name.startsWith("."));
    expect(spools()).toHaveLength(2);
    await copy(t, NONE, to);
    expect(spools()).toHaveLength(1);
    expect(spools()).not.toContain(dead);
    await spool[Symbol.asyncDispose]();
    expect(spools()).toEqual([]);
  });

  it("signs what it is given, by each key", async () => {
    await using t = new TestPlace();
    const keys = ["one-1", "two-1"].map((name) => generateSecretKey(name));
    const files = keys.map((key) => `${t.dir}/${key.name}`);
    for (const [index, file] of files.entries()) writeFileSync(file, formatKey(keys[index]!));
    await copy(t, NONE, `file://${t.dir}/cache?secret-keys=${files.join(",")}`);
    const names = [
      ...(narInfos(`${t.dir}/cache`)[`${TREE.slice(11, 43)}.narinfo`] ?? "").matchAll(/^Sig: ([^:]+)/gm),
    ];
    expect(names.map((match) => match[1])).toEqual(["golden-1", "one-1", "two-1"]);
    await using u = new TestPlace({ trustedPublicKeys: [formatKey(publicKeyOf(keys[1]!))] });
    expect(await fetch(u, `file://${t.dir}/cache`)).toHaveLength(3);
    await expect(copy(t, NONE, `file://${t.dir}/cache?secret-key=${t.dir}/absent`)).rejects.toThrow(
      `Cannot read the secret key "${t.dir}/absent"`,
    );
  });

  it("takes signatures later", async () => {
    await using t = new TestPlace();
    await copy(t, NONE, `file://${t.dir}/cache`);
    await using cache = await openRemoteStore(t.settings, `file://${t.dir}/cache`, { isTarget: true });
    await cache.addSignatures?.(TREE, ["a-1:AAAA", "a-1:AAAA"]);
    expect((await cache.query(TREE))?.signatures.map((text) => text.split(":")[0])).toEqual([
      "a-1",
      "golden-1",
    ]);
    expect(narInfos(`${t.dir}/cache`)[`${TREE.slice(11, 43)}.narinfo`]).toContain(
      "Sig: a-1:AAAA\nSig: golden-1:",
    );
  });

  it("lists its paths, and keeps logs", async () => {
    await using t = new TestPlace();
    await copy(t, NONE, `file://${t.dir}/a+b%20c`);
    expect(existsSync(`${t.dir}/a+b c/nix-cache-info`)).toBe(true);
    await using cache = await openRemoteStore(t.settings, `file://${t.dir}/a+b%20c`);
    expect(await cache.queryAllPaths?.()).toEqual([DOC, TEXT, TREE].sort());
    const drvPath = `${TREE}.drv` as StorePath;
    expect(await cache.readLog?.(drvPath)).toBeUndefined();
    await cache.addLog?.(drvPath, Buffer.from("a line\n"));
    expect((await cache.readLog?.(drvPath))?.toString()).toBe("a line\n");
  });

  it("lists the files of NARs and indexes debug files where wished", async () => {
    await using t = new TestPlace();
    const id = "02623eda209c26a59b1a8638ff7752f6b945c26b";
    const directory = `${t.dir}/tree/lib/debug/.build-id/02`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/${id.slice(2)}.debug`, "foo\n");
    const path = t.store.addPath(`${t.dir}/tree`, { name: "debug-info", method: "nar" });
    const parameters = "compression=none&write-nar-listing=1&index-debug-info=true";
    await using cache = await openRemoteStore(t.settings, `file://${t.dir}/cache?${parameters}`, {
      isTarget: true,
    });
    await copyPaths({ source: t.endpoint, target: cache, paths: [path], isRecursive: true });
    const [nar = ""] = readdirSync(`${t.dir}/cache/nar`);
    expect(readFileSync(`${t.dir}/cache/debuginfo/${id}.debug`, "utf8")).toBe(
      `{"archive":"../nar/${nar}","member":"lib/debug/.build-id/02/${id.slice(2)}.debug"}`,
    );
    const listing = readFileSync(`${t.dir}/cache/${path.slice(11, 43)}.ls`, "utf8");
    expect(listing).toMatch(/^\{"root":\{"entries":\{"lib":.*"type":"directory"\},"version":1\}$/);
    expect(listing).toContain(`{"executable":false,"narOffset":`);
  });

  it("is refused where it cannot be read or written as wished", async () => {
    await using t = new TestPlace();
    const open = (url: string) => openRemoteStore(t.settings, url);
    await expect(open(`file://${t.dir}/absent`)).rejects.toThrow(
      `'file://${t.dir}/absent' does not appear to be a binary cache`,
    );
    await expect(open("file://relative")).rejects.toThrow("its path is not absolute");
    await expect(open("file:///x?compression=lzip")).rejects.toThrow(
      "failed to initialize compression (lzip is not built yet)",
    );
    await expect(open("file:///x?priority=high")).rejects.toThrow(
      '"priority" is "high", expected a whole number',
    );
    await expect(open("gopher://x")).rejects.toThrow('stores of the kind "gopher" are not built yet');
    await expect(open("nothing of the kind")).rejects.toThrow("it is no address");
    mkdirSync(`${t.dir}/other`);
    writeFileSync(`${t.dir}/other/nix-cache-info`, "StoreDir: /elsewhere\n");
    await expect(open(`file://${t.dir}/other`)).rejects.toThrow("for Nix stores with prefix '/elsewhere'");
  });

  it("knows what it says of itself, unless the address says otherwise", async () => {
    await using t = new TestPlace();
    mkdirSync(`${t.dir}/cache`);
    writeFileSync(`${t.dir}/cache/nix-cache-info`, "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n");
    await using said = await openRemoteStore(t.settings, `file://${t.dir}/cache`);
    expect([said.priority, said.wantsMassQuery, said.isTrusted]).toEqual([30, true, false]);
    const parameters = "priority=7&want-mass-query=false&trusted=true";
    await using told = await openRemoteStore(t.settings, `file://${t.dir}/cache?${parameters}`);
    expect([told.priority, told.wantsMassQuery, told.isTrusted]).toEqual([7, false, true]);
  });
});

describe("what is copied into a binary cache", () => {
  it("is refused where its references are missing or its content is not what was said", async () => {
    await using t = new TestPlace();
    await using source = await openRemoteStore(t.settings, NONE);
    await using target = await openRemoteStore(t.settings, `file://${t.dir}/cache`, { isTarget: true });
    await expect(copyPaths({ source, target, paths: [DOC], isRecursive: false })).rejects.toThrow(
      `cannot add '${DOC}' to the binary cache because the reference '${TREE}' is not valid`,
    );
    const info = (await source.query(TEXT))!;
    const tree = (await source.query(TREE))!;
    const nar = async (): Promise<AsyncIterable<Uint8Array>> => (await source.openNar(info, {})).nar;
    const hash = { ...info, narHash: tree.narHash };
    await expect(target.addPath(hash, await nar(), {})).rejects.toThrow(
      `hash mismatch importing path '${TEXT}'`,
    );
    const longer = { ...info, narSizeBytes: info.narSizeBytes + 8 };
    await expect(target.addPath(longer, await nar(), {})).rejects.toThrow("expected 136 bytes but found 128");
    const shorter = { ...info, narSizeBytes: info.narSizeBytes - 8 };
    await expect(target.addPath(shorter, await nar(), {})).rejects.toThrow(
      "expected 120 bytes but found more",
    );
    expect(narInfos(`${t.dir}/cache`)).toEqual({});
    expect(readdirSync(`${t.dir}/cache/nar`)).toEqual([]);
  });
});

describe("what comes from a binary cache", () => {
  const INFO = (path: StorePath): string => `${path.slice(11, 43)}.narinfo`;

  /** A copy of Nix's own uncompressed cache in which one narinfo is changed. */
  function changed(t: TestPlace, path: StorePath, change: (text: string) => string): string {
    const directory = `${t.dir}/changed`;
    rmSync(directory, { recursive: true, force: true });
    cpSync(`${FIXTURES}/cache-none`, directory, { recursive: true });
    writeFileSync(
      `${directory}/${INFO(path)}`,
      change(readFileSync(`${directory}/${INFO(path)}`, "latin1")),
      "latin1",
    );
    return `file://${directory}`;
  }

  it.each<readonly [string, Partial<{ trustedPublicKeys: string[] }>]>([
    ["no key", { trustedPublicKeys: [] }],
    ["another key of the same name", { trustedPublicKeys: [sameName()] }],
    ["another key", { trustedPublicKeys: [formatKey(publicKeyOf(generateSecretKey("other-1")))] }],
  ])("is refused where %s is trusted", async (_, config) => {
    await using t = new TestPlace(config);
    // What is addressed by its content needs none.
    expect(await fetch(t, NONE, TEXT)).toEqual([TEXT]);
    await expect(fetch(t, NONE)).rejects.toThrow(
      `cannot add path '${TREE}' because it lacks a signature by a trusted key`,
    );
    expect(t.store.allValidPaths()).toEqual([TEXT]);
  });

  it("is refused where a narinfo was changed after it was signed", async () => {
    await using t = new TestPlace();
    const hash = `sha256:${"0".repeat(52)}`;
    const changes: readonly ((text: string) => string)[] = [
      (text) => text.replace(/^References: .*$/m, "References: "),
      (text) => text.replace(/^NarHash: .*$/m, `NarHash: ${hash}`),
      (text) => text.replace(/^NarSize: .*$/m, "NarSize: 752"),
      (text) => text.replace(/^Sig: golden-1:..../m, "Sig: golden-1:AAAA"),
      (text) => text.replace(/^Sig: .*\n/m, ""),
      (text) => text.replace(/^Sig: golden-1/m, "Sig: silver-1"),
    ];
    for (const change of changes)
      await expect(fetch(t, changed(t, TREE, change), TREE)).rejects.toThrow(
        "lacks a signature by a trusted key",
      );
    expect(t.store.isValidPath(TREE)).toBe(false);
  });

  it("is refused, though trusted, where the content is not what the narinfo says", async () => {
    await using t = new TestPlace({ requireSignatures: false });
    const other = /^NarHash: (.*)$/m.exec(narInfos(`${FIXTURES}/cache-none`)[INFO(DOC)] ?? "")?.[1] ?? "";
    const refusals: readonly (readonly [string, (text: string) => string])[] = [
      ["hash mismatch importing path", (text) => text.replace(/^NarHash: .*$/m, `NarHash: ${other}`)],
      ["expected 752 bytes but found 744", (text) => text.replace(/^NarSize: .*$/m, "NarSize: 752")],
      ["is larger than the 736 bytes announced", (text) => text.replace(/^NarSize: .*$/m, "NarSize: 736")],
      ["hash mismatch in file", (text) => text.replace(/^FileHash: .*$/m, `FileHash: ${other}`)],
      ["744 bytes where 745 were announced", (text) => text.replace(/^FileSize: .*$/m, "FileSize: 745")],
      ["has more than the 743 allowed", (text) => text.replace(/^FileSize: .*$/m, "FileSize: 743")],
      ["'../x' leads out of the cache", (text) => text.replace(/^URL: .*$/m, "URL: ../x")],
      ["'/etc/passwd' leads out of the cache", (text) => text.replace(/^URL: .*$/m, "URL: /etc/passwd")],
      [
        "file 'nar/absent' does not exist in binary cache",
        (text) => text.replace(/^URL: .*$/m, "URL: nar/absent"),
      ],
      [
        "compressed by 'lzip', which is not built yet",
        (text) => text.replace("Compression: none", "Compression: lzip"),
      ],
      ["Cannot decompress xz", (text) => text.replace("Compression: none", "Compression: xz")],
      [`asked for '${TREE}' but got`, (text) => text.replace(/^StorePath: .*$/m, `StorePath: ${DOC}`)],
      ['"NarHash" is missing', (text) => text.replace(/^NarHash: .*\n/m, "")],
    ];
    for (const [reason, change] of refusals) {
      await expect(fetch(t, changed(t, TREE, change), TREE)).rejects.toThrow(reason);
      expect(t.store.isValidPath(TREE)).toBe(false);
    }
  });

  it("is refused where its content address belongs to other content", async () => {
    await using t = new TestPlace({ requireSignatures: false });
    const ca = `CA: text:sha256:${"1".repeat(52)}`;
    await expect(
      fetch(
        t,
        changed(t, TEXT, (text) => text.replace(/^CA: .*$/m, ca)),
        TEXT,
      ),
    ).rejects.toThrow("its content address");
    expect(t.store.allValidPaths()).toEqual([]);
  });

  it("is told where the cache lacks it", async () => {
    await using t = new TestPlace();
    await expect(fetch(t, NONE, `/nix/store/${"a".repeat(32)}-x` as StorePath)).rejects.toThrow(
      "is not valid",
    );
  });
});

/** A key that nobody signed by, under the name of the one that signed. */
function sameName(): string {
  const text = formatKey(publicKeyOf(generateSecretKey("golden-1")));
  expect(text).not.toBe(PUBLIC_KEY);
  return text;
}
