import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import {
  Agent,
  get,
  request as startRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import {
  CacheServer,
  canonicalise,
  dumpNar,
  formatKey,
  generateSecretKey,
  hasTrustedSignature,
  makeStorePath,
  openRemoteStore,
  parseNarInfo,
  publicKeyOf,
  type LocalStore,
  type ServedRequest,
  type StorePath,
} from "../../../store/index.ts";
import { printDerivation } from "../../../store/format/printDerivation.ts";
import { verifyText } from "../../../store/format/narInfo.ts";
import { isRealisationTrusted } from "../../../store/format/realisation.ts";
import type { CacheServerOptions } from "../../../store/serve/cacheServer.ts";
import { TestStore } from "../realiseFixture.ts";

const KEY = generateSecretKey("test-1");

/** A store with two paths, the second of which refers to the first, and its server. */
class Served implements AsyncDisposable {
  readonly t: TestStore;
  readonly server: CacheServer;
  readonly small: StorePath;
  readonly large: StorePath;
  readonly log: ServedRequest[];

  private constructor(
    t: TestStore,
    server: CacheServer,
    paths: { readonly small: StorePath; readonly large: StorePath },
    log: ServedRequest[],
  ) {
    this.t = t;
    this.server = server;
    this.small = paths.small;
    this.large = paths.large;
    this.log = log;
  }

  static async start(options: Partial<CacheServerOptions> = {}): Promise<Served> {
    const t = TestStore.create();
    const small = t.store.addText("small", "hello", []);
    const tree = join(t.dir, "tree");
    mkdirSync(join(tree, "bin"), { recursive: true });
    writeFileSync(join(tree, "bin/data"), Buffer.alloc(3 << 20, "0123456789"));
    writeFileSync(join(tree, "refers"), small);
    const large = t.store.addPath(tree, { name: "large", method: "nar", references: [small] });
    const log: ServedRequest[] = [];
    const server = await CacheServer.start({
      store: t.store,
      listen: { host: "127.0.0.1", port: 0 },
      onRequest: (request) => void log.push(request),
      ...options,
    });
    return new Served(t, server, { small, large }, log);
  }

  get store(): LocalStore {
    return this.t.store;
  }

  narUrl(path: StorePath, ending = ""): string {
    return `/nar/${hashPart(path)}-${formatHash(this.store.pathInfo(path).narHash, "nix32")}.nar${ending}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.t[Symbol.asyncDispose]();
  }
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

function ask(
  server: CacheServer,
  path: string,
  {
    headers = {},
    method = "GET",
    agent,
  }: { readonly headers?: OutgoingHttpHeaders; readonly method?: string; readonly agent?: Agent } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = startRequest(
      `${server.url}${path}`,
      { headers, method, agent: agent ?? false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** Sends bytes as they are. @returns all that comes back until the server ends the connection */
function askRaw(server: CacheServer, text: string): Promise<string> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let reply = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (reply += chunk));
    socket.on("close", () => resolve(reply));
    socket.on("error", () => undefined);
    socket.write(text, "latin1");
  });
}

function hashPart(path: StorePath): string {
  return path.slice(path.lastIndexOf("/") + 1).slice(0, 32);
}

function narOf(store: LocalStore, path: StorePath): Buffer {
  const chunks: Buffer[] = [];
  dumpNar(store.realPath(path), (chunk) => void chunks.push(Buffer.from(chunk)));
  return Buffer.concat(chunks);
}

describe("a store served as a binary cache", () => {
  it("says what it is, what it has, signed, and gives it", async () => {
    await using served = await Served.start({ secretKeys: [KEY], priority: 7 });
    const { server, store, large, small } = served;
    const about = await ask(server, "/nix-cache-info");
    expect(about.body.toString()).toBe(`StoreDir: ${store.storeDir}\nWantMassQuery: 1\nPriority: 7\n`);
    const reply = await ask(server, `/${hashPart(large)}.narinfo`);
    expect([reply.status, reply.headers["content-type"]]).toEqual([200, "text/x-nix-narinfo"]);
    const info = parseNarInfo(store.storeDir, reply.body.toString("latin1"), "reply");
    expect(info).toMatchObject({ path: large, references: [small], compression: "none" });
    expect(`/${info.url}`).toBe(served.narUrl(large));
    expect(info.fileSizeBytes).toBe(info.narSizeBytes);
    expect(hasTrustedSignature(info, [publicKeyOf(KEY)])).toBe(true);
    const nar = await ask(server, `/${info.url}`);
    expect(nar.headers["content-length"]).toBe(String(info.narSizeBytes));
    expect(nar.headers["cache-control"]).toContain("immutable");
    expect(nar.body.equals(narOf(store, large))).toBe(true);
  });

  it("tells what outputs turned out to be, signed, where they are there", async () => {
    await using served = await Served.start({ secretKeys: [KEY] });
    const { t, server, store, small } = served;
    const drvPath = t.derivation({ name: "floating", floating: "contentAddressed", outputs: ["out", "dev"] });
    const gone = makeStorePath(store.storeDir, "output:out", hashBytes("sha256", "x"), "gone");
    store.registerRealisation({ drvPath, output: "out", outputPath: small, signatures: ["other:AAAA"] });
    store.registerRealisation({ drvPath, output: "dev", outputPath: gone, signatures: [] });
    await using cache = await openRemoteStore(store.settings, server.url);
    const known = await cache.queryRealisation?.({ drvPath, output: "out" });
    expect(known).toMatchObject({ drvPath, output: "out", outputPath: small });
    expect(known?.signatures).toContain("other:AAAA");
    expect(known !== undefined && isRealisationTrusted(known, [publicKeyOf(KEY)])).toBe(true);
    expect(await cache.queryRealisation?.({ drvPath, output: "dev" })).toBeUndefined();
    expect(await cache.queryRealisation?.({ drvPath, output: "man" })).toBeUndefined();
    for (const place of ["x.drv/out.doi", `${hashPart(drvPath)}-x.drv/../out.doi`])
      expect((await ask(server, `/build-trace-v2/${place}`)).status).toBe(404);
  });

  it("tells it by the hash of the derivation, too, as Nix up to 2.34 asks", async () => {
    await using served = await Served.start({ secretKeys: [KEY] });
    const { t, server, store, small } = served;
    const place = (drvPath: StorePath, output: string): string => {
      const text = printDerivation(store.readDerivation(drvPath));
      const blank = text.replace(/\("out","\/[0-9a-z]{52}"\)/, '("out","")');
      expect(blank).not.toBe(text);
      return `/realisations/sha256:${formatHash(hashBytes("sha256", blank), "base16")}!${output}.doi`;
    };
    const first = t.derivation({ name: "first", floating: "contentAddressed" });
    expect((await ask(server, place(first, "out"))).status).toBe(404);
    for (const name of ["first", "second"]) {
      const drvPath = t.derivation({ name, floating: "contentAddressed" });
      store.registerRealisation({ drvPath, output: "out", outputPath: small, signatures: ["other:AAAA"] });
      const { status, body } = await ask(server, place(drvPath, "out").replace("!", "%21"));
      expect(status).toBe(200);
      const { signatures, ...value } = JSON.parse(body.toString());
      expect(value).toEqual({
        dependentRealisations: {},
        id: place(drvPath, "out").slice(14, -4),
        outPath: small.slice(store.storeDir.length + 1),
      });
      expect(signatures).toHaveLength(1);
      expect(verifyText(JSON.stringify(value), signatures[0], [publicKeyOf(KEY)])).toBe(true);
    }
    expect((await ask(server, place(first, "doc"))).status).toBe(404);
  });

  it("listens where a killed one did, and not where another one does", async () => {
    await using t = TestStore.create();
    const killed = createServer();
    await new Promise<void>((resolve) => killed.listen(join(t.dir, "killed"), resolve));
    linkSync(join(t.dir, "killed"), join(t.dir, "socket"));
    await new Promise((resolve) => killed.close(resolve));
    const options = { store: t.store, listen: { path: join(t.dir, "socket") } };
    await using server = await CacheServer.start(options);
    expect(server.url).toBe(`unix:${t.dir}/socket`);
    await expect(CacheServer.start(options)).rejects.toThrow("another program listens there");
  });

  it("is a substituter of ours", async () => {
    await using served = await Served.start({ secretKeys: [KEY] });
    const { t, server, large, small } = served;
    const nar = narOf(t.store, large);
    // Another store of the same directory, as on another machine.
    await using other = TestStore.create({
      substituters: [server.url],
      trustedPublicKeys: [formatKey(publicKeyOf(KEY))],
    });
    const settings = {
      ...other.store.settings,
      storeDir: t.store.storeDir,
      realStoreDir: other.store.realStoreDir,
    };
    const { LocalStore, realise } = await import("../../../store/index.ts");
    using client = LocalStore.open({ ...settings, stateDir: join(other.dir, "state2") });
    const report = await realise(client, [{ kind: "opaque", path: large }]);
    expect(report.failures).toEqual([]);
    expect(client.isValidPath(small)).toBe(true);
    expect(narOf(client, large).equals(nar)).toBe(true);
  });

  it("answers HEAD without a body, and what is known already with 304", async () => {
    await using served = await Served.start();
    const { server, large } = served;
    for (const path of [`/${hashPart(large)}.narinfo`, served.narUrl(large)]) {
      const head = await ask(server, path, { method: "HEAD" });
      expect([head.status, head.body.length]).toEqual([200, 0]);
      expect(Number(head.headers["content-length"])).toBeGreaterThan(100);
      const etag = head.headers.etag ?? "";
      for (const tag of [etag, `"other", W/${etag}`, "*"]) {
        const again = await ask(server, path, { headers: { "if-none-match": tag } });
        expect([again.status, again.body.length], tag).toEqual([304, 0]);
      }
      expect((await ask(server, path, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
    }
  });

  it("gives ranges", async () => {
    await using served = await Served.start();
    const { server, store, large } = served;
    const nar = narOf(store, large);
    const url = served.narUrl(large);
    const part = await ask(server, url, { headers: { range: "bytes=1000-1999" } });
    expect([part.status, part.headers["content-range"]]).toEqual([206, `bytes 1000-1999/${nar.length}`]);
    expect(part.body.equals(nar.subarray(1000, 2000))).toBe(true);
    const rest = await ask(server, url, { headers: { range: `bytes=${2 << 20}-` } });
    expect(rest.body.equals(nar.subarray(2 << 20))).toBe(true);
    const end = await ask(server, url, { headers: { range: "bytes=-16" } });
    expect(end.body.equals(nar.subarray(-16))).toBe(true);
    const beyond = await ask(server, url, { headers: { range: `bytes=${nar.length}-` } });
    expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, `bytes */${nar.length}`]);
    const stale = await ask(server, url, { headers: { range: "bytes=0-9", "if-range": '"other"' } });
    expect([stale.status, stale.body.length]).toEqual([200, nar.length]);
    const fresh = await ask(server, url, {
      headers: { range: "bytes=0-9", "if-range": part.headers.etag ?? "" },
    });
    expect([fresh.status, fresh.body.length]).toEqual([206, 10]);
  });

  it("compresses on the way where it is told to", async () => {
    await using served = await Served.start({ compression: "zstd" });
    const { server, store, large } = served;
    const text = (await ask(server, `/${hashPart(large)}.narinfo`)).body.toString("latin1");
    const info = parseNarInfo(store.storeDir, text, "reply");
    expect(info).toMatchObject({ compression: "zstd", fileHash: undefined, fileSizeBytes: undefined });
    const reply = await ask(server, `/${info.url}`);
    expect(reply.body.length).toBeLessThan(1 << 20);
    expect(zstdDecompressSync(reply.body).equals(narOf(store, large))).toBe(true);
    expect((await ask(server, served.narUrl(large))).status).toBe(200);
    expect((await ask(server, served.narUrl(large, ".br"))).status).toBe(404);
  });

  it("gives build logs, kept as they are or compressed", async () => {
    await using served = await Served.start();
    const { server, store } = served;
    const name = "00000000000000000000000000000000-thing.drv";
    const file = store.logPath(`${store.storeDir}/${name}` as StorePath);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "it was built\n");
    const reply = await ask(server, `/log/${name}`);
    expect([reply.status, reply.body.toString()]).toEqual([200, "it was built\n"]);
    expect((await ask(server, "/log/00000000000000000000000000000000-other.drv")).status).toBe(404);
    const bzip2 = findProgram("bzip2");
    if (bzip2 === undefined) return;
    execFileSync(bzip2, [file]);
    expect((await ask(server, `/log/${name}`)).body.toString()).toBe("it was built\n");
  });

  it.each([
    "/",
    "/../../../../etc/passwd",
    "/nar/../../../../etc/passwd",
    "/log/../../etc/passwd",
    "/log/..%2f..%2fetc%2fpasswd",
    "/log/00000000000000000000000000000000-..",
    "/log/00000000000000000000000000000000-passwd",
    "/log/00000000000000000000000000000000-..-x.drv",
    "/00000000000000000000000000000000.narinfo",
    "/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.narinfo",
    "/%00.narinfo",
    "/nix-cache-info/",
    `/nar/${"0".repeat(32)}-${"0".repeat(52)}.nar`,
    "*",
  ])("has nothing at %s", async (path) => {
    await using served = await Served.start();
    const reply = await askRaw(served.server, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 404 /);
    expect(reply).not.toContain("root:");
  });

  it("gives a path only under its own hash", async () => {
    await using served = await Served.start();
    const { server, small, large, store } = served;
    const other = formatHash(store.pathInfo(small).narHash, "nix32");
    expect((await ask(server, `/nar/${hashPart(large)}-${other}.nar`)).status).toBe(404);
  });

  it("refuses what is no request to a cache", async () => {
    await using served = await Served.start();
    const { server } = served;
    const put = await ask(server, "/nix-cache-info", { method: "DELETE" });
    expect([put.status, put.headers.allow]).toEqual([405, "GET, HEAD"]);
    const body = await askRaw(
      server,
      "GET /nix-cache-info HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc",
    );
    expect(body).toMatch(/^HTTP\/1\.1 413 /);
    const long = await askRaw(server, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(64 << 10)}\r\n\r\n`);
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
    expect(await askRaw(server, "nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    const whole = `GET http://x/nix-cache-info?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await askRaw(server, whole)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("ends connections that send no request, and those that take no answer", async () => {
    await using served = await Served.start({ limits: { stallMs: 300, idleMs: 300 } });
    const { server, log } = served;
    expect(await askRaw(server, "GET / HTTP/1.1\r\nHost: x\r\n")).toMatch(/^(HTTP\/1\.1 408 |$)/);
    // Asks for more than the sockets' buffers hold, many times over, and reads nothing.
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.pause();
    const url = served.narUrl(served.large);
    socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(8));
    await expect.poll(() => log.some(({ problem }) => problem !== undefined), { timeout: 20_000 }).toBe(true);
    socket.destroy();
  });

  it("cuts an answer short where the path is not what was registered", async () => {
    await using served = await Served.start();
    const { server, store, large, log } = served;
    const file = join(store.realPath(large), "bin/data");
    const directory = store.realPath(large);
    execFileSync("chmod", ["-R", "u+w", directory]);
    rmSync(file);
    canonicalise(directory);
    await expect(ask(server, served.narUrl(large))).rejects.toThrow();
    expect(log.at(-1)?.problem).toMatch(/bytes were announced/);
  });

  it("serves a thousand clients at once", async () => {
    await using served = await Served.start({ secretKeys: [KEY], limits: { maxOpenFiles: 4 } });
    const { server, large } = served;
    const agent = new Agent({ keepAlive: false, maxSockets: 1000 });
    const paths = [`/${hashPart(large)}.narinfo`, served.narUrl(large)];
    const count = (length: number): number[] => Array.from({ length }, (_, index) => index);
    // Sizes only: a thousand NARs would be three gigabytes here.
    const sizes = await Promise.all(
      count(1000).map(
        (index) =>
          new Promise<number>((resolve, reject) => {
            const headers = { range: "bytes=0-199999" };
            const outgoing = get(`${server.url}${paths[index % 2] ?? ""}`, { agent, headers }, (response) => {
              let size = 0;
              response.on("data", (chunk: Buffer) => (size += chunk.length));
              response.on("end", () => resolve(size));
              response.on("error", reject);
            });
            outgoing.on("error", reject);
          }),
      ),
    );
    expect(new Set(sizes.filter((_, index) => index % 2 === 1))).toEqual(new Set([200_000]));
    expect(new Set(sizes.filter((_, index) => index % 2 === 0)).size).toBe(1);
  });

  it("lets transfers end when it is closed, and no longer than told", async () => {
    await using served = await Served.start();
    const { server, large, store } = served;
    const size = narOf(store, large).length;
    const agent = new Agent({ keepAlive: true });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${server.url}${served.narUrl(large)}`, { agent }, resolve).on("error", reject);
    });
    const closing = server.close(20_000);
    let receivedBytes = 0;
    for await (const chunk of response) receivedBytes += (chunk as Buffer).length;
    expect(receivedBytes).toBe(size);
    await closing;
    agent.destroy();
    await expect(ask(server, "/nix-cache-info")).rejects.toThrow();
  });
});

describe("a client that asks for much in advance", () => {
  it("is answered one by one", async () => {
    await using served = await Served.start();
    let begun = 0;
    const realPath = served.store.realPath.bind(served.store);
    served.store.realPath = (path) => {
      begun++;
      return realPath(path);
    };
    const { port, hostname } = new URL(served.server.url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.pause();
    const ask = `GET ${served.narUrl(served.large)} HTTP/1.1\r\nHost: x\r\n\r\n`;
    socket.write(ask.repeat(40));
    await expect.poll(() => begun).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // Its socket takes an answer or two before it is full.
    expect(begun).toBeLessThan(6);
    let received = 0;
    socket.on("data", (chunk: Buffer) => (received += chunk.length));
    socket.resume();
    const { narSizeBytes } = served.store.pathInfo(served.large);
    await expect.poll(() => received, { timeout: 20_000 }).toBeGreaterThan(40 * narSizeBytes);
    expect(begun).toBe(40);
    socket.destroy();
  });
});
