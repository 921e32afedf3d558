import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes } from "../../../../core/index.ts";
import { narOfBytes } from "../../../../store/format/nar.ts";
import { printNarInfo, type NarInfo } from "../../../../store/format/narInfo.ts";
import { realise, type RealiseReport } from "../../../../store/realise/index.ts";
import { copyPaths } from "../../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../../store/remote/openRemoteStore.ts";
import { StoreEndpoint } from "../../../../store/remote/storeEndpoint.ts";
import type { StorePath } from "../../../../store/types.ts";
import { TestStore, serve, temporaryDirectory, type TestServer } from "../../realiseFixture.ts";
import { removeTree } from "../../../../store/realise/builder/scratch.ts";

const NAR = narOfBytes(Buffer.from("content"));
const MEGABYTE = 1 << 20;

/** A store, and a cache in a directory that is trusted for no good reason. */
class Lies implements AsyncDisposable {
  readonly dir = temporaryDirectory();
  readonly t: TestStore;
  readonly url: string;

  constructor(substituters: readonly string[] = []) {
    this.url = `file://${this.dir}/cache`;
    this.t = TestStore.create({
      substituters: [`${this.url}?trusted=1`, ...substituters],
      requireSignatures: false,
    });
    mkdirSync(`${this.dir}/cache/nar`, { recursive: true });
    writeFileSync(`${this.dir}/cache/nix-cache-info`, `StoreDir: ${this.t.store.storeDir}\n`);
  }

  path(letter: string): StorePath {
    return `${this.t.store.storeDir}/${letter.repeat(32)}-${letter}` as StorePath;
  }

  info(letter: string, references: string, changed: Partial<NarInfo> = {}): NarInfo {
    return {
      path: this.path(letter),
      url: "nar/content.nar",
      compression: "none",
      narHash: hashBytes("sha256", NAR),
      narSizeBytes: NAR.length,
      references: Array.from(references, (each) => this.path(each)),
      signatures: [],
      ...changed,
    };
  }

  /** Puts a narinfo into the cache, under the digest of the letter. */
  say(letter: string, references: string, changed: Partial<NarInfo> = {}, nar = NAR): void {
    const info = this.info(letter, references, changed);
    writeFileSync(`${this.dir}/cache/${letter.repeat(32)}.narinfo`, printNarInfo(info));
    if (/^nar\/\w+(\.nar)?$/.test(info.url) && info.url.length < 100)
      writeFileSync(`${this.dir}/cache/${info.url}`, nar);
  }

  fetch(letter: string): Promise<RealiseReport> {
    return realise(this.t.store, [{ kind: "opaque", path: this.path(letter) }]);
  }

  async expectNothing(): Promise<void> {
    expect(this.t.store.allValidPaths()).toEqual([]);
    expect((await this.t.store.verify({ checkContents: true })).problems).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.t[Symbol.asyncDispose]();
    await removeTree(this.dir);
  }
}

const messageOf = (report: RealiseReport): string => report.failures.map(({ message }) => message).join("\n");

describe("a binary cache that lies", () => {
  it.each(["ba", "bca", "bcda"])(
    "about references, in a circle (a, %s), is not waited for",
    async (circle) => {
      await using lies = new Lies();
      for (const [index, letter] of Array.from(`a${circle.slice(0, -1)}`).entries())
        lies.say(letter, circle[index] ?? "");
      const report = await lies.fetch("a");
      expect(messageOf(report)).toMatch(/cycle detected in the references of|some references of path/);
      expect(report.exitStatus).toBe(1);
      await lies.expectNothing();
    },
  );

  it("says who refers to whom", async () => {
    await using lies = new Lies();
    lies.say("a", "b");
    lies.say("b", "a");
    const [a, b] = ["a", "b"].map((letter) => `${letter.repeat(32)}-${letter}`);
    expect(messageOf(await lies.fetch("a"))).toContain(`: ${a} -> ${b} -> ${a}`);
    await using source = await openRemoteStore(lies.t.store.settings, lies.url);
    const copying = copyPaths({
      source,
      target: new StoreEndpoint(lies.t.store),
      paths: [lies.path("a")],
      isRecursive: true,
    });
    await expect(copying).rejects.toThrow("cycle detected in the references of");
  });

  it("about references, with another cache that closes the circle", async () => {
    await using other = new Lies();
    await using lies = new Lies([`${other.url}?trusted=1`]);
    writeFileSync(`${other.dir}/cache/nix-cache-info`, `StoreDir: ${lies.t.store.storeDir}\n`);
    lies.say("a", "b");
    // Its NAR is wrong, and the next cache says that it refers to who waits for it.
    lies.say("b", "", { narHash: hashBytes("sha256", "other"), url: "nar/b.nar" });
    writeFileSync(
      `${other.dir}/cache/${"b".repeat(32)}.narinfo`,
      printNarInfo(lies.info("b", "a", { url: "nar/b.nar" })),
    );
    expect((await lies.fetch("a")).exitStatus).toBe(1);
    await lies.expectNothing();
  });

  it("where nothing is a circle, though much is shared, is believed", async () => {
    await using lies = new Lies();
    // Each refers to all before it, and to itself.
    const letters = "0123456789abcd";
    for (const [index, letter] of Array.from(letters).entries())
      lies.say(letter, letters.slice(0, index + 1));
    expect(messageOf(await lies.fetch("d"))).toBe("");
    expect(lies.t.store.allValidPaths()).toHaveLength(letters.length);
  });

  it("by another path's narinfo, a file elsewhere or no address at all is refused", async () => {
    await using lies = new Lies();
    lies.say("a", "", { path: lies.path("b") });
    expect(messageOf(await lies.fetch("a"))).toContain("there is no substituter that can build it");
    for (const url of ["../../etc/passwd", "file:///etc/passwd", `nar/${"x".repeat(300)}`]) {
      lies.say("c", "", { url });
      expect(messageOf(await lies.fetch("c"))).toMatch(
        /leads out of the cache|does not exist|no substituter/,
      );
    }
    await lies.expectNothing();
  });

  it.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
    ["br", (bytes: Buffer) => brotliCompressSync(bytes, { params: { [1]: 4 } })],
  ] as const)("by a %s bomb is stopped at the announced size", async (compression, compress) => {
    await using lies = new Lies();
    const bomb = compress(Buffer.concat([narOfBytes(Buffer.alloc(64 * MEGABYTE))]));
    lies.say("a", "", { compression, url: "nar/bomb", fileSizeBytes: bomb.length }, bomb);
    const before = process.memoryUsage().rss;
    expect(messageOf(await lies.fetch("a"))).toContain(`is larger than the ${NAR.length} bytes announced`);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * MEGABYTE);
    await lies.expectNothing();
  });
});

/** Answers without an end. */
async function flood(response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(1 << 16, "x");
  while (!response.destroyed)
    if (!response.write(chunk)) await Promise.race([once(response, "drain"), once(response, "close")]);
}

interface WebLies extends AsyncDisposable {
  readonly server: TestServer;
  readonly t: TestStore;
  /** Resolved once the flooded client has hung up. */
  readonly hungUp: Promise<void>;
}

/** A cache on the web that has one path, and answers some requests in its own way. */
async function onTheWeb(
  answer: (path: string, response: ServerResponse) => "flood" | boolean,
): Promise<WebLies & { readonly path: StorePath }> {
  const { promise: hungUp, resolve } = Promise.withResolvers<void>();
  const t = TestStore.create({ requireSignatures: false });
  const path = `${t.store.storeDir}/${"a".repeat(32)}-a` as StorePath;
  const server = await serve((url, _, response) => {
    const own = answer(url, response);
    if (own === "flood") {
      response.once("close", resolve);
      void flood(response);
    }
    if (own !== false) return true;
    if (url === "/nix-cache-info") response.end(`StoreDir: ${t.store.storeDir}\n`);
    else if (url.endsWith(".narinfo")) {
      const hash = `sha256:${formatHash(hashBytes("sha256", NAR), "nix32")}`;
      response.end(
        `StorePath: ${path}\nURL: nar/a.nar\nCompression: none\nNarHash: ${hash}\nNarSize: ${NAR.length}\n`,
      );
    } else response.end(NAR);
    return true;
  });
  return {
    t,
    server,
    path,
    hungUp,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await t[Symbol.asyncDispose]();
    },
  };
}

async function fetchFrom({ t, server, path }: WebLies & { readonly path: StorePath }): Promise<string> {
  await using source = await openRemoteStore(t.store.settings, server.url);
  const target = new StoreEndpoint(t.store);
  try {
    await copyPaths({ source, target, paths: [path], isRecursive: true });
    return "copied";
  } catch (error) {
    expect(error).toMatchObject({ name: "DevshellError" });
    return (error as Error).message;
  }
}

describe("a web server that lies", () => {
  it("is heard where it is honest", async () => {
    await using web = await onTheWeb(() => false);
    expect(await fetchFrom(web)).toBe("copied");
  });

  it.each([
    ["a narinfo", ".narinfo"],
    ["a NAR", ".nar"],
  ])("by %s without an end is left", async (_, ending) => {
    await using web = await onTheWeb((url) => url.endsWith(ending) && "flood");
    expect(await fetchFrom(web)).toMatch(/more than the \d+ allowed|larger than the \d+ bytes announced/);
    await web.hungUp;
  });

  it("by a redirect that goes on for ever is left behind", async () => {
    await using web = await onTheWeb((url, response) => {
      if (!url.endsWith(".narinfo") || url.startsWith("/there")) return false;
      response.writeHead(302, { location: `/there${url}` });
      return "flood";
    });
    expect(await fetchFrom(web)).toBe("copied");
    await web.hungUp;
  });

  it("by redirects in a circle is given up", async () => {
    await using web = await onTheWeb((url, response) => {
      if (!url.includes(".narinfo")) return false;
      response
        .writeHead(302, { location: url.endsWith("o") ? `${url}?again` : url.replace("?again", "") })
        .end();
      return true;
    });
    expect(await fetchFrom(web)).toContain("too many redirects");
  });

  it("by a header without an end is refused", async () => {
    await using web = await onTheWeb((url, response) => {
      if (!url.endsWith(".narinfo")) return false;
      response.writeHead(200, { "x-long": "x".repeat(MEGABYTE) }).end();
      return true;
    });
    expect(await fetchFrom(web)).toMatch(/Header overflow|unable to download/i);
  });

  it.each(["http://[", "https://:99999/", "http://"])("by a NAR at '%s' is refused", async (url) => {
    await using web = await onTheWeb((asked, response) => {
      if (!asked.endsWith(".narinfo")) return false;
      const hash = `sha256:${formatHash(hashBytes("sha256", NAR), "nix32")}`;
      const path = `${web.t.store.storeDir}/${"a".repeat(32)}-a`;
      response.end(
        `StorePath: ${path}\nURL: ${url}\nCompression: none\nNarHash: ${hash}\nNarSize: ${NAR.length}\n`,
      );
      return true;
    });
    expect(await fetchFrom(web)).toContain("is not a URL");
  });
});

describe("a cache whose references have no end", () => {
  it("is followed up to a bound", async () => {
    let storeDir = "";
    const path = (number: number): StorePath =>
      `${storeDir}/${String(number).padStart(32, "0")}-${number}` as StorePath;
    const narHash = `sha256:${formatHash(hashBytes("sha256", NAR), "nix32")}`;
    await using server = await serve((url, _, response) => {
      const number = /^\/(\d+)\.narinfo$/.exec(url)?.[1];
      if (url === "/nix-cache-info") response.end(`StoreDir: ${storeDir}\n`);
      else if (number === undefined) response.end(NAR);
      else {
        const [own, next] = [path(Number(number)), path(Number(number) + 1)];
        const reference = next.slice(storeDir.length + 1);
        response.end(
          `StorePath: ${own}\nURL: nar/a.nar\nCompression: none\nNarHash: ${narHash}\nNarSize: ${NAR.length}\nReferences: ${reference}\n`,
        );
      }
      return true;
    });
    await using t = TestStore.create({
      substituters: [server.url],
      requireSignatures: false,
      raw: new Map([["max-closure-paths", "40"]]),
    });
    ({ storeDir } = t.store);
    const endless = {
      code: "CLOSURE_ENDLESS",
      message: expect.stringContaining(`${server.url}' names more than 40 paths`) as string,
    };
    const realising = realise(t.store, [{ kind: "opaque", path: path(1) }]);
    await expect(realising).rejects.toMatchObject(endless);
    await using source = await openRemoteStore(t.store.settings, server.url);
    const target = new StoreEndpoint(t.store);
    const copying = copyPaths({ source, target, paths: [path(1000)], isRecursive: true });
    await expect(copying).rejects.toMatchObject(endless);
    expect(server.requests.filter((url) => url.endsWith(".narinfo")).length).toBeLessThan(100);
    expect(t.store.allValidPaths()).toEqual([]);
  });
});
