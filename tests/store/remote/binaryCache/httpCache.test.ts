import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { copyPaths } from "../../../../store/remote/copyPaths.ts";
import { NarInfoDiskCache } from "../../../../store/remote/binaryCache/narInfoDiskCache.ts";
import { openObjectTree } from "../../../../store/remote/binaryCache/objectTree.ts";
import { openRemoteStore } from "../../../../store/remote/openRemoteStore.ts";
import type { NarDownload } from "../../../../store/remote/types.ts";
import type { StorePath, StoreSettings } from "../../../../store/types.ts";
import { sendBytes } from "../../realiseFixture.ts";
import { DOC, FIXTURES, FileServer, TEXT, TREE, TestPlace } from "./cacheFixture.ts";

const ABSENT = `/nix/store/${"a".repeat(32)}-x` as StorePath;

/** Serves what Nix wrote. */
async function nixCache(compression = "zstd"): Promise<FileServer> {
  const server = await FileServer.open();
  const directory = `${FIXTURES}/cache-${compression}`;
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" }))
    if (name.includes(".") || name === "nix-cache-info")
      server.files.set(`/${name}`, readFileSync(`${directory}/${name}`));
  return server;
}

function withSettings(settings: StoreSettings, raw: Record<string, string>): StoreSettings {
  return { ...settings, config: { ...settings.config, raw: new Map(Object.entries(raw)) } };
}

async function fetch(
  t: TestPlace,
  url: string,
  path: StorePath = DOC,
  settings = t.settings,
): Promise<readonly StorePath[]> {
  await using source = await openRemoteStore(settings, url);
  return await copyPaths({ source, target: t.endpoint, paths: [path], isRecursive: true });
}

describe("a binary cache on a web server", () => {
  it("is written by PUT: a narinfo after its NAR, and after those it refers to", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    await using source = await openRemoteStore(t.settings, `file://${FIXTURES}/cache-none`);
    await using target = await openRemoteStore(t.settings, `${server.url}/deep/?compression=none`, {
      isTarget: true,
    });
    await copyPaths({ source, target, paths: [DOC], isRecursive: true });
    for (const name of [
      "nix-cache-info",
      ...readdirSync(`${FIXTURES}/cache-none`).filter((each) => each.endsWith(".narinfo")),
    ])
      expect(server.files.get(`/deep/${name}`)?.toString("latin1")).toBe(
        readFileSync(`${FIXTURES}/cache-none/${name}`, "latin1"),
      );
    const puts = server.requests.filter((line) => line.startsWith("PUT "));
    expect(puts).toHaveLength(7);
    const order = [TEXT, TREE, DOC].map((path) =>
      puts.findIndex((line) => line.includes(path.slice(11, 43))),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(puts.indexOf(puts.find((line) => line.includes("/nar/")) ?? "")).toBeLessThan(order[0]!);
    expect(readdirSync(`${t.dir}/state/devshell/downloads`)).toEqual([]);
    await using u = new TestPlace();
    expect(await fetch(u, `${server.url}/deep`)).toHaveLength(3);
  });

  it("is asked once what an output turned out to be", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    const key = { drvPath: `${ABSENT}.drv` as StorePath, output: "out" };
    const place = `/build-trace-v2/${key.drvPath.slice(11)}/out.doi`;
    const ask = async (): Promise<string | undefined> => {
      await using cache = await openRemoteStore(t.settings, server.url);
      return (await cache.queryRealisation?.(key))?.outputPath;
    };
    server.files.set(place, Buffer.from(JSON.stringify({ outPath: TEXT.slice(11), signatures: ["k:c2ln"] })));
    expect(await ask()).toBe(TEXT);
    server.files.delete(place);
    expect(await ask()).toBe(TEXT);
    expect(server.count("GET", "out.doi")).toBe(1);
  });

  it("tells why it could not be written", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    server.intercept = (request, response) => {
      if (request.method !== "PUT") return false;
      request.resume();
      response.writeHead(403).end("only members\nmay write");
      return true;
    };
    const opening = openRemoteStore(t.settings, server.url, { isTarget: true });
    await expect(opening).rejects.toMatchObject({
      code: "UPLOAD_REFUSED",
      message: `unable to upload to '${server.url}/nix-cache-info': HTTP error 403 ('Forbidden')`,
      hint: "it says: only members may write",
    });
  });

  it("tries again what fails for a while, and follows a redirect", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    let failures = 2;
    server.intercept = (request, response) => {
      if (request.method !== "PUT") return false;
      if (failures-- > 0) {
        request.resume();
        response.writeHead(503).end();
        return true;
      }
      if (request.url?.startsWith("/there/") === true) return false;
      request.resume();
      response.writeHead(307, { location: `/there${request.url}` }).end();
      return true;
    };
    await using target = await openRemoteStore(t.settings, server.url, { isTarget: true });
    expect(target.url).toBe(server.url);
    expect(server.files.get("/there/nix-cache-info")?.toString()).toBe("StoreDir: /nix/store\n");
    expect(server.count("PUT", "nix-cache-info")).toBe(4);
  });

  it("undoes what a server, or who wrote there, has compressed on the way", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    const codings = new Map<string, string>();
    server.intercept = (request, response) => {
      const name = request.url ?? "";
      if (request.method === "PUT") codings.set(name, request.headers["content-encoding"] ?? "");
      const coding = codings.get(name) ?? "";
      if (request.method === "GET" && coding !== "") response.setHeader("content-encoding", coding);
      return false;
    };
    const parameters = "compression=none&narinfo-compression=br&ls-compression=gzip&write-nar-listing=1";
    {
      await using source = await openRemoteStore(t.settings, `file://${FIXTURES}/cache-none`);
      await using target = await openRemoteStore(t.settings, `${server.url}?${parameters}`, {
        isTarget: true,
      });
      await copyPaths({ source, target, paths: [DOC], isRecursive: true });
      await target.addLog?.(DOC, Buffer.from("a log\n"));
    }
    const coded = [...codings].map(([name, coding]) => `${name.replace(/^.*[./]/, "")} ${coding}`);
    expect(new Set(coded)).toEqual(
      new Set(["nix-cache-info ", "narinfo br", "ls gzip", "nar ", `${DOC.slice("/nix/store/".length)} `]),
    );
    expect(await fetch(t, server.url)).toHaveLength(3);
    for (const coding of ["gzip", "x-gzip", "zstd"]) {
      const text = Buffer.from("StoreDir: /nix/store\nPriority: 7\n");
      server.files.set("/nix-cache-info", coding === "zstd" ? zstdCompressSync(text) : gzipSync(text));
      codings.set("/nix-cache-info", coding);
      await using u = new TestPlace();
      await using cache = await openRemoteStore(u.settings, server.url);
      expect(cache.priority, coding).toBe(7);
    }
    codings.set("/nix-cache-info", "rot13");
    await using u = new TestPlace();
    await expect(openRemoteStore(u.settings, server.url)).rejects.toThrow("the content coding 'rot13'");
    await expect(
      openRemoteStore(u.settings, `${server.url}?narinfo-compression=rot13`),
    ).rejects.toMatchObject({
      code: "CACHE_PARAMETER",
    });
  });

  it("asks for a password by the file that would hold it", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    server.intercept = (_, response) => {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
      return true;
    };
    await expect(openRemoteStore(t.settings, server.url)).rejects.toMatchObject({
      code: "FETCH_UNAUTHORIZED",
      message: expect.stringContaining("HTTP error 401"),
      hint: expect.stringContaining("netrc-file"),
    });
  });

  it("is told the password of its address, which no message tells", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    const told: (string | undefined)[] = [];
    server.intercept = ({ headers }, response) => {
      told.push(headers.authorization);
      response.writeHead(401).end();
      return true;
    };
    const address = server.url.replace("//", "//me:s3cret@");
    await expect(openRemoteStore(t.settings, address)).rejects.toMatchObject({
      message: `unable to download '${server.url}/nix-cache-info': HTTP error 401 ('Unauthorized')`,
    });
    expect(told).toEqual([`Basic ${Buffer.from("me:s3cret").toString("base64")}`]);
    server.intercept = () => false;
    await using cache = await openRemoteStore(t.settings, address);
    expect(cache.url).toBe(server.url);
  });

  it("needs the certificates that the settings name", async () => {
    await using t = new TestPlace();
    const settings = withSettings(t.settings, { "ssl-cert-file": `${t.dir}/absent.pem` });
    await expect(openRemoteStore(settings, "https://127.0.0.1:1")).rejects.toMatchObject({
      code: "FETCH_CERTIFICATES",
      message: expect.stringContaining(`Cannot use the certificates in "${t.dir}/absent.pem"`),
    });
  });

  it("is asked over no more connections than the settings allow", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    let [now, most] = [0, 0];
    server.intercept = (request, response) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        response.writeHead(200).end(server.files.get(request.url ?? ""));
      }, 20);
      return true;
    };
    const settings = withSettings(t.settings, { "http-connections": "2" });
    await using cache = await openRemoteStore(settings, server.url);
    await Promise.all([DOC, TREE, TEXT].map((path) => cache.query(path)));
    expect(most).toBe(2);
  });

  it("is asked again when it says", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    const waits: number[] = [];
    let lastMs = Date.now();
    // Dates have no milliseconds: two seconds ahead is at least one.
    const answers = ["1", () => new Date(Date.now() + 2000).toUTCString()];
    server.intercept = (request, response) => {
      if (request.url?.endsWith(".narinfo") !== true) return false;
      waits.push(Date.now() - lastMs);
      lastMs = Date.now();
      const answer = answers.shift();
      if (answer === undefined) return false;
      response.writeHead(503, { "retry-after": typeof answer === "string" ? answer : answer() }).end();
      return true;
    };
    expect(await fetch(t, server.url, TEXT)).toEqual([TEXT]);
    expect(Math.min(...waits.slice(1))).toBeGreaterThanOrEqual(990);
  });

  it("takes files from where narinfos say, but only from the web", async () => {
    await using t = new TestPlace({ requireSignatures: false });
    await using elsewhere = await nixCache();
    await using server = await nixCache();
    const name = `/${TEXT.slice(11, 43)}.narinfo`;
    const info = server.files.get(name)?.toString("latin1") ?? "";
    const pointAt = (url: string): void =>
      void server.files.set(name, Buffer.from(info.replace(/^URL: (.*)$/m, url), "latin1"));
    pointAt(`URL: file://${FIXTURES}/cache-zstd/$1`);
    await expect(fetch(t, server.url, TEXT)).rejects.toThrow("leads out of the cache");
    await using u = new TestPlace();
    pointAt(`URL: ${elsewhere.url}/$1`);
    expect(await fetch(u, server.url, TEXT)).toEqual([TEXT]);
    expect(elsewhere.count("GET", ".nar.zst")).toBe(1);
  });
});

describe("a cache below a directory of a web server", () => {
  it("is asked for nothing above it, however that is written", async () => {
    await using server = await nixCache();
    const files = [...server.files];
    for (const [file, bytes] of files) server.files.set(`/deep${file}`, bytes);
    const name = `/deep/${TEXT.slice(11, 43)}.narinfo`;
    const info = server.files.get(name)?.toString("latin1") ?? "";
    for (const up of ["..", "%2e%2e", ".%2E", "nar/%2e%2e/%2e%2e", "nar\\..\\.."]) {
      await using t = new TestPlace();
      server.files.set(name, Buffer.from(info.replace(/^URL: (.*)$/m, `URL: ${up}/$1`), "latin1"));
      await expect(fetch(t, `${server.url}/deep`, TEXT)).rejects.toThrow("leads out of the cache");
    }
    expect(server.count("GET", ".nar.zst")).toBe(0);
  });
});

describe("downloads of NARs", () => {
  /** A path of some megabytes in a cache of ours. */
  async function largeCache(t: TestPlace): Promise<{ server: FileServer; path: StorePath; file: string }> {
    writeFileSync(`${t.dir}/large`, randomBytes(3 << 20));
    const path = t.store.addPath(`${t.dir}/large`, { name: "large", method: "nar" });
    const server = await FileServer.open();
    await using target = await openRemoteStore(t.settings, `${server.url}?compression=none`, {
      isTarget: true,
    });
    await copyPaths({ source: t.endpoint, target, paths: [path], isRecursive: true });
    const file = [...server.files.keys()].find((name) => name.endsWith(".nar")) ?? "";
    return { server, path, file };
  }

  /** Sends two megabytes of a file, and no more. @returns when nobody reads it any more */
  function sendsBeginning(server: FileServer, file: string): Promise<void> {
    const bytes = server.files.get(file)!;
    const closed = Promise.withResolvers<void>();
    server.intercept = (request, response) => {
      if (request.url !== file || request.method !== "GET") return false;
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 2 << 20));
      response.on("close", () => closed.resolve());
      return true;
    };
    return closed.promise;
  }

  /** The one file that is being downloaded. */
  function downloadOf(u: TestPlace): string {
    const directory = `${u.dir}/state/devshell/downloads`;
    return join(directory, readdirSync(directory)[0] ?? "");
  }

  it("survive a proxy that cuts connections at random", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const bytes = server.files.get(file)!;
    let seed = 7;
    let cuts = 0;
    server.intercept = (request, response) => {
      if (request.url !== file || request.method !== "GET") return false;
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? "0");
      seed = (seed * 16_807) % 2_147_483_647;
      const size = (1 << 20) + (seed % (1 << 18));
      const headers = {
        "content-length": bytes.length - start,
        "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      };
      response.writeHead(start === 0 ? 200 : 206, headers);
      if (start + size >= bytes.length) return (response.end(bytes.subarray(start)), true);
      cuts++;
      response.write(bytes.subarray(start, start + size), () => response.destroy());
      return true;
    };
    await using u = new TestPlace();
    expect(await fetch(u, server.url, path)).toEqual([path]);
    expect(cuts).toBeGreaterThan(1);
    expect((await u.store.verify({ checkContents: true })).problems).toEqual([]);
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("are read while they arrive", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const bytes = server.files.get(file)!;
    const isHalfRead = Promise.withResolvers<void>();
    server.intercept = (request, response) => {
      if (request.url !== file || request.method !== "GET") return false;
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 2 << 20));
      void isHalfRead.promise.then(() => response.end(bytes.subarray(2 << 20)));
      return true;
    };
    await using u = new TestPlace();
    await using source = await openRemoteStore(u.settings, server.url);
    const info = (await source.query(path))!;
    const download = await source.openNar(info, {});
    let readBytes = 0;
    for await (const chunk of download.nar) {
      readBytes += chunk.length;
      if (readBytes >= 1 << 20) isHalfRead.resolve();
    }
    expect(readBytes).toBe(bytes.length);
    await download.discard();
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("that nobody wants any more end, and leave nothing", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const closed = sendsBeginning(server, file);
    await using u = new TestPlace();
    await using source = await openRemoteStore(u.settings, server.url);
    const download = await source.openNar((await source.query(path))!, {});
    for await (const _ of download.nar) break;
    await download.discard();
    await closed;
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("of one file by several at once do not meet", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const bytes = server.files.get(file)!;
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const isAsked = Promise.withResolvers<void>();
    let count = 0;
    server.intercept = (request, response) => {
      if (request.url !== file || request.method !== "GET") return false;
      if (count === 0) {
        response.writeHead(200, { "content-length": bytes.length });
        response.write(bytes.subarray(0, 1 << 20));
        void gates[0].promise.then(() => response.end(bytes.subarray(1 << 20)));
      } else {
        isAsked.resolve();
        void gates[1].promise.then(() => sendBytes(bytes, request, response));
      }
      count++;
      return true;
    };
    await using u = new TestPlace();
    await using one = await openRemoteStore(u.settings, server.url);
    await using other = await openRemoteStore(u.settings, server.url);
    const read = async (download: NarDownload): Promise<number> => {
      let readBytes = 0;
      for await (const chunk of download.nar) readBytes += chunk.length;
      await download.discard();
      return readBytes;
    };
    const info = (await one.query(path))!;
    const first = await one.openNar(info, {});
    await expect.poll(() => statSync(downloadOf(u)).size).toBeGreaterThan(0);
    const second = other.openNar(info, {});
    await isAsked.promise;
    gates[0].resolve();
    expect(await read(first)).toBe(bytes.length);
    gates[1].resolve();
    expect(await read(await second)).toBe(bytes.length);
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("end where whoever read them fails, and are kept for the next run", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const closed = sendsBeginning(server, file);
    await using u = new TestPlace();
    await using source = await openRemoteStore(u.settings, server.url);
    const { nar } = await source.openNar((await source.query(path))!, {});
    for await (const _ of nar) break;
    await closed;
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toHaveLength(1);
  });

  it("leave nothing where an object to be looked at is not what was announced", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const bytes = Buffer.from(server.files.get(file)!);
    bytes.writeUInt8(bytes.readUInt8(1 << 20) ^ 1, 1 << 20);
    server.files.set(file, bytes);
    await using u = new TestPlace();
    await using source = await openRemoteStore(u.settings, server.url);
    await expect(openObjectTree(source, path)).rejects.toThrow("hash mismatch");
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("that are not what was announced are refused", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    const bytes = Buffer.from(server.files.get(file)!);
    bytes.writeUInt8(bytes.readUInt8(1 << 20) ^ 1, 1 << 20);
    server.files.set(file, bytes);
    await using u = new TestPlace();
    await expect(fetch(u, server.url, path)).rejects.toThrow("hash mismatch");
    expect(u.store.isValidPath(path)).toBe(false);
    expect(readdirSync(`${u.dir}/state/devshell/downloads`)).toEqual([]);
  });

  it("are continued by a later run, and begun anew where what was kept is wrong", async () => {
    await using t = new TestPlace();
    const { server, path, file } = await largeCache(t);
    await using _server = server;
    await using u = new TestPlace();
    const stop = new AbortController();
    server.intercept = (request, response) => {
      if (request.url !== file || request.method !== "GET") return false;
      const bytes = server.files.get(file)!;
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 1 << 20));
      return true;
    };
    await using source = await openRemoteStore(u.settings, server.url);
    const copying = copyPaths({
      source,
      target: u.endpoint,
      paths: [path],
      isRecursive: true,
      signal: stop.signal,
      onProgress: (_, doneBytes) => doneBytes >= 1 << 20 && stop.abort(new Error("killed")),
    });
    await expect(copying).rejects.toThrow("killed");
    const [kept = ""] = readdirSync(`${u.dir}/state/devshell/downloads`);
    expect(kept).toMatch(/^[0-9a-z]{32}-[0-9a-z]{16}\.nar$/);
    const ranges: (string | undefined)[] = [];
    server.intercept = (request) => {
      if (request.url === file) ranges.push(request.headers.range);
      return false;
    };
    writeFileSync(`${u.dir}/state/devshell/downloads/${kept}`, Buffer.alloc(1000));
    expect(await fetch(u, server.url, path)).toEqual([path]);
    expect(ranges).toEqual(["bytes=1000-", undefined]);
  });
});

describe("what is remembered of binary caches", () => {
  it("is not asked again, presence and absence, until it is old", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    const ask = async (raw: Record<string, string> = {}) => {
      const before = server.requests.length;
      await using cache = await openRemoteStore(withSettings(t.settings, raw), server.url);
      const found = [await cache.query(TREE), await cache.query(ABSENT)];
      return { found, asked: server.requests.slice(before) };
    };
    const first = await ask();
    expect(first.asked).toHaveLength(3);
    expect(await ask()).toEqual({ found: first.found, asked: [] });
    const old = await ask({ "narinfo-cache-negative-ttl": "0" });
    expect(old.asked).toEqual([`GET /${ABSENT.slice(11, 43)}.narinfo`]);
    expect((await ask({ "narinfo-cache-positive-ttl": "0" })).asked).toEqual([
      `GET /${TREE.slice(11, 43)}.narinfo`,
    ]);
    expect((await ask({ "narinfo-cache-meta-ttl": "0" })).asked).toEqual(["GET /nix-cache-info"]);
    expect(first.found[0]?.narFile?.compression).toBe("zstd");
  });

  it("does not hide what was added, nor what has moved", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    const { url } = server;
    {
      await using cache = await openRemoteStore(t.settings, url);
      expect((await cache.query(TEXT))?.path).toBe(TEXT);
      expect(await cache.query(ABSENT)).toBeUndefined();
    }
    // A target is asked itself.
    await using target = await openRemoteStore(t.settings, url, { isTarget: true });
    const before = server.requests.length;
    expect((await target.query(TEXT))?.path).toBe(TEXT);
    expect(server.requests.length).toBe(before + 1);
    // The file got another name since: the narinfo is asked for again.
    const [nar = ""] = [...server.files.keys()].filter((name) =>
      (server.files.get(`/${TEXT.slice(11, 43)}.narinfo`)?.toString() ?? "").includes(name.slice(1)),
    );
    server.files.set("/nar/moved.nar.zst", server.files.get(nar)!);
    server.files.delete(nar);
    const name = `/${TEXT.slice(11, 43)}.narinfo`;
    server.files.set(
      name,
      Buffer.from((server.files.get(name) ?? "").toString().replace(/^URL: .*$/m, "URL: nar/moved.nar.zst")),
    );
    expect(await fetch(t, url, TEXT)).toEqual([TEXT]);
  });

  it("does no harm where it is damaged or cannot be written", async () => {
    await using t = new TestPlace();
    await using server = await nixCache();
    expect(await fetch(t, server.url, TEXT)).toEqual([TEXT]);
    const file = `${t.settings.cacheDir}/binary-cache-v8.sqlite`;
    expect(existsSync(file)).toBe(true);
    writeFileSync(file, "no database at all");
    await using u = new TestPlace();
    const damaged = { ...u.settings, cacheDir: t.settings.cacheDir };
    expect(await fetch(u, server.url, TEXT, damaged)).toEqual([TEXT]);
    expect(NarInfoDiskCache.open({ ...u.settings, cacheDir: `${file}/below` }, server.url)).toBeUndefined();
  });
});
