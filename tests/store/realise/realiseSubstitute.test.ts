import { chmodSync, cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { realise, type RealiseReport } from "../../../store/realise/index.ts";
import type { RealiseEvent, StoreConfig, StorePath } from "../../../store/types.ts";
import { removeTree } from "../../../store/realise/builder/scratch.ts";
import { sendBytes, serve, temporaryDirectory } from "../realiseFixture.ts";
import { DOC, FIXTURES, TEXT, TREE, TestPlace } from "../remote/binaryCache/cacheFixture.ts";

/** A store that takes from caches. */
class EmptyStore extends TestPlace {
  readonly events: RealiseEvent[] = [];

  constructor(substituters: readonly string[], config: Partial<StoreConfig> = {}) {
    super({ substituters, ...config });
  }

  fetch(path: StorePath, dryRun = false): Promise<RealiseReport> {
    return realise(this.store, [{ kind: "opaque", path }], {
      dryRun,
      onEvent: (event) => void this.events.push(event),
    });
  }

  warnings(): string {
    return this.events.flatMap((event) => (event.kind === "log" ? [event.line] : [])).join("\n");
  }
}

describe("substitution", () => {
  for (const compression of ["none", "xz", "zstd", "gzip", "bzip2", "br", "lzma"])
    it(`takes a closure from Nix's cache, compressed by ${compression}`, async () => {
      await using t = new EmptyStore([`file://${FIXTURES}/cache-${compression}`]);
      const report = await t.fetch(DOC);
      expect(report.failures).toEqual([]);
      expect(report.plan.downloads).toEqual([TEXT, TREE, DOC]);
      expect(report.plan.unpackedBytes).toBe(168 + 128 + 744);
      expect(readFileSync(t.store.realPath(`${TREE}/bin/run`), "utf8")).toBe(`#!/bin/sh\ncat ${TEXT}\n`);
      expect(t.store.queryPathInfo(DOC)).toMatchObject({
        references: [TREE],
        narSizeBytes: 168,
        isUltimate: false,
      });
      expect(t.store.queryPathInfo(TREE)?.signatures.map((signature) => signature.split(":")[0])).toEqual([
        "golden-1",
      ]);
      expect(t.store.queryPathInfo(TEXT)?.contentAddress).toMatch(/^text:sha256:/);
      expect(existsSync(`${t.dir}/state/devshell/downloads`)).toBe(false);
    });

  it("works over http, asking each thing once", async () => {
    await using server = await serve((path, request, response) => {
      const file = `${FIXTURES}/cache-zstd${path}`;
      return existsSync(file) && sendBytes(readFileSync(file), request, response);
    });
    await using t = new EmptyStore([server.url]);
    expect((await t.fetch(DOC)).failures).toEqual([]);
    expect(server.requests).toHaveLength(7);
    expect(new Set(server.requests).size).toBe(7);
  });

  it("fetches once what two want at the same time, and says both times that it does", async () => {
    await using server = await serve((path, request, response) => {
      const file = `${FIXTURES}/cache-zstd${path}`;
      return existsSync(file) && sendBytes(readFileSync(file), request, response);
    });
    await using t = new EmptyStore([server.url]);
    const count = (kind: RealiseEvent["kind"]): number =>
      t.events.filter((event) => event.kind === kind).length;
    using lock = await t.store.lockPaths([TEXT]);
    const both = Promise.all([t.fetch(TEXT), t.fetch(TEXT)]);
    await vi.waitFor(() => expect(count("start")).toBe(2), { timeout: 8000 });
    expect(count("transfer")).toBe(0);
    lock[Symbol.dispose]();
    expect((await both).flatMap(({ failures }) => failures)).toEqual([]);
    expect(t.events.filter((event) => event.kind === "transfer")).toEqual([
      { kind: "transfer", id: 1, url: expect.stringMatching(/^http:\/\/.*\/nar\/.*\.nar\.zst$/) as string },
    ]);
    expect(count("end")).toBe(2);
  });

  it("asks the cache with the better priority first and others where it lacks a path", async () => {
    await using t = new EmptyStore([
      `file://${FIXTURES}/cache-xz`,
      `file://${FIXTURES}/cache-none?priority=10`,
    ]);
    await using other = temporaryCache((dir) =>
      writeFileSync(`${dir}/nix-cache-info`, "StoreDir: /nix/store\n"),
    );
    await using u = new EmptyStore([`file://${other.dir}?priority=1`, `file://${FIXTURES}/cache-xz`]);
    expect((await t.fetch(TEXT, true)).plan.downloadBytes).toBe(128);
    expect((await u.fetch(TEXT)).failures).toEqual([]);
  });

  it("ignores paths without a trusted signature, unless told to trust", async () => {
    await using t = new EmptyStore([`file://${FIXTURES}/cache-xz`], { trustedPublicKeys: [] });
    const report = await t.fetch(DOC);
    expect(report.failures[0]?.message).toContain("there is no substituter that can build it");
    expect(report.exitStatus).toBe(1);
    expect(t.warnings()).toContain("not signed by any of the keys in 'trusted-public-keys'");
    await using trusting = new EmptyStore([`file://${FIXTURES}/cache-xz?trusted=1`], {
      trustedPublicKeys: [],
    });
    expect((await trusting.fetch(DOC)).failures).toEqual([]);
    await using lax = new EmptyStore([`file://${FIXTURES}/cache-xz`], {
      trustedPublicKeys: [],
      requireSignatures: false,
    });
    expect((await lax.fetch(DOC)).failures).toEqual([]);
  });

  it("registers nothing from a cache that was tampered with", async () => {
    const [nar = ""] = readdirSync(`${FIXTURES}/cache-none/nar`).filter((name) =>
      readFileSync(`${FIXTURES}/cache-none/nar/${name}`).includes("a dependency"),
    );
    const original = readFileSync(`${FIXTURES}/cache-none/nar/${nar}`);
    const tamper: readonly (readonly [string, (dir: string) => void])[] = [
      [
        "hash mismatch in file",
        (dir) =>
          writeFileSync(
            `${dir}/nar/${nar}`,
            Buffer.from(original.toString("latin1").replace("dependency", "dependencx"), "latin1"),
          ),
      ],
      [
        "has 100 bytes where 128 were announced",
        (dir) => writeFileSync(`${dir}/nar/${nar}`, original.subarray(0, 100)),
      ],
      [
        "more than the 128 allowed",
        (dir) => writeFileSync(`${dir}/nar/${nar}`, Buffer.concat([original, original])),
      ],
    ];
    for (const [message, change] of tamper) {
      await using cache = temporaryCache((dir) => {
        cpSync(`${FIXTURES}/cache-none`, dir, { recursive: true });
        change(dir);
      });
      await using t = new EmptyStore([`file://${cache.dir}`]);
      const report = await t.fetch(DOC);
      expect(report.failures.map((failure) => failure.message).join("\n")).toContain(message);
      expect(t.store.allValidPaths()).toEqual([]);
    }
    // The narinfo's own words are signed: a changed one is not trusted, unless the content alone decides.
    for (const [path, size] of [
      [TREE, 744],
      [TEXT, 128],
    ] as const) {
      await using cache = temporaryCache((dir) => {
        cpSync(`${FIXTURES}/cache-none`, dir, { recursive: true });
        const info = `${dir}/${path.slice(11, 43)}.narinfo`;
        writeFileSync(info, readFileSync(info, "latin1").replace(`NarSize: ${size}`, `NarSize: ${size + 1}`));
      });
      await using t = new EmptyStore([`file://${cache.dir}`]);
      expect((await t.fetch(path)).exitStatus).toBe(1);
      expect(t.warnings().includes("ignoring substitute")).toBe(path === TREE);
      expect(t.store.isValidPath(path)).toBe(false);
    }
  });

  it("takes a path from the next cache where the first has lost the file, and mends damaged paths", async () => {
    await using lost = temporaryCache((dir) => {
      cpSync(`${FIXTURES}/cache-none`, dir, { recursive: true });
      rmSync(`${dir}/nar`, { recursive: true });
    });
    await using t = new EmptyStore([`file://${lost.dir}`, `file://${FIXTURES}/cache-xz`]);
    expect((await t.fetch(DOC)).failures).toEqual([]);
    expect(t.warnings()).toContain("does not exist in binary cache");
    const file = t.store.realPath(TEXT);
    chmodSync(file, 0o644);
    writeFileSync(file, "damaged");
    const report = await realise(t.store, [{ kind: "opaque", path: TEXT }], { mode: "repair" });
    expect(report.failures).toEqual([]);
    expect(readFileSync(file, "utf8")).toBe("a dependency\n");
  });

  it("passes over caches that are down or for another store", async () => {
    await using other = temporaryCache((dir) =>
      writeFileSync(`${dir}/nix-cache-info`, "StoreDir: /elsewhere\n"),
    );
    await using t = new EmptyStore([
      `file://${other.dir}`,
      "file:///absent",
      "gopher://bucket",
      `file://${FIXTURES}/cache-xz`,
    ]);
    expect((await t.fetch(TEXT)).failures).toEqual([]);
    expect(t.warnings()).toContain("is for Nix stores with prefix '/elsewhere', not '/nix/store'");
    expect(t.warnings()).toContain('stores of the kind "gopher" are not built yet');
    expect(t.warnings()).toContain("'file:///absent' does not appear to be a binary cache");
  });
});

function temporaryCache(fill: (dir: string) => void): AsyncDisposable & { readonly dir: string } {
  const dir = temporaryDirectory();
  fill(dir);
  return { dir, [Symbol.asyncDispose]: () => removeTree(dir) };
}
