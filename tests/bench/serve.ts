import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { formatHash } from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";
import {
  LocalStore,
  dumpNar,
  printNarInfo,
  resolveStoreSettings,
  type StorePath,
} from "../../store/index.ts";
import { median } from "./measure.ts";

const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");
const LARGE_BYTES = 64 << 20;
const SMALL_PATHS = 200;
const SMALL_BYTES = 20_000;
const ROUNDS = 3;

interface Load {
  readonly name: string;
  readonly connections: number;
  readonly requests: number;
  readonly urls: readonly string[];
}

interface Result {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly failures: number;
}

/** `devshell cache serve` against nginx (a plain Node server where there is none) over the same files. */
export async function benchServe(scratch: string): Promise<void> {
  const root = join(scratch, "serve");
  const env = {
    ...process.env,
    HOME: root,
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "state"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
  };
  mkdirSync(root, { recursive: true });
  const files = join(root, "static");
  const { large, small } = await makePaths(env, root, files);
  await using ours = await startOurs(env);
  await using peer = await startStatic(root, files);
  const loads: readonly Load[] = [
    { name: "1 client, a NAR of 64 MiB", connections: 1, requests: 4, urls: [large.nar] },
    { name: "16 clients, a NAR of 64 MiB", connections: 16, requests: 16, urls: [large.nar] },
    {
      name: "1,000 clients, narinfo",
      connections: 1000,
      requests: 10_000,
      urls: small.map(({ info }) => info),
    },
    {
      name: "1,000 clients, NARs of 20 KB",
      connections: 1000,
      requests: 10_000,
      urls: small.map(({ nar }) => nar),
    },
  ];
  for (const load of loads) {
    await run(ours.url, load);
    await run(peer.url, load);
    const pairs: { readonly a: Result; readonly b: Result }[] = [];
    for (let round = 0; round < ROUNDS; round++)
      pairs.push({ a: await run(ours.url, load), b: await run(peer.url, load) });
    const [a, b] = [pairs.map((pair) => pair.a), pairs.map((pair) => pair.b)].map((results) => ({
      requests: median(results.map((result) => result.requestsPerSecond)),
      bytes: median(results.map((result) => result.bytesPerSecond)),
      failures: results.reduce((sum, result) => sum + result.failures, 0),
    }));
    const ratio = median(pairs.map((pair) => pair.a.requestsPerSecond / pair.b.requestsPerSecond));
    const show = (side: typeof a): string =>
      `${side?.requests.toFixed(0)} requests/s, ${((side?.bytes ?? 0) / 1e6).toFixed(0)} MB/s, ${side?.failures} failed`;
    console.log(`${load.name}: ${show(a)}; ${peer.name} ${show(b)}; ratio ${ratio.toFixed(2)}`);
  }
}

interface ServedPath {
  readonly info: string;
  readonly nar: string;
}

/** A store, and the files that a static server gives in its place. */
async function makePaths(
  env: Readonly<Record<string, string | undefined>>,
  root: string,
  files: string,
): Promise<{ readonly large: ServedPath; readonly small: readonly ServedPath[] }> {
  using store = LocalStore.open(resolveStoreSettings(env));
  mkdirSync(join(files, "nar"), { recursive: true });
  const publish = async (path: StorePath): Promise<ServedPath> => {
    const info = store.pathInfo(path);
    const hashPart = path.slice(store.storeDir.length + 1).slice(0, 32);
    const nar = `nar/${hashPart}-${formatHash(info.narHash, "nix32")}.nar`;
    const file = createWriteStream(join(files, nar));
    dumpNar(store.realPath(path), (chunk) => void file.write(Buffer.from(chunk)));
    file.end();
    await once(file, "finish");
    const text = printNarInfo({ ...info, url: nar, compression: "none" });
    writeFileSync(join(files, `${hashPart}.narinfo`), text);
    return { info: `/${hashPart}.narinfo`, nar: `/${nar}` };
  };
  const source = join(root, "large");
  writeFileSync(source, Buffer.alloc(LARGE_BYTES, "a line of some length, over and over again\n"));
  const large = await publish(store.addPath(source, { name: "large", method: "nar" }));
  const small: ServedPath[] = [];
  for (let i = 0; i < SMALL_PATHS; i++)
    small.push(await publish(store.addText(`small-${i}`, `${i} `.repeat(SMALL_BYTES / 4), [])));
  return { large, small };
}

interface Running extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
}

async function startOurs(env: Readonly<Record<string, string | undefined>>): Promise<Running> {
  const child = spawn(DEVSHELL, ["cache", "serve", "--listen", "127.0.0.1:0"], {
    env: { ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  const url = / at (http:\S+)$/.exec(String(line.value))?.[1];
  if (url === undefined) throw new Error("devshell cache serve did not start");
  return { name: "devshell", url, [Symbol.asyncDispose]: () => stop(child) };
}

async function startStatic(root: string, files: string): Promise<Running> {
  const nginx = process.env["NGINX_PROGRAM"] ?? findProgram("nginx");
  if (nginx === undefined) return await startPlain(files);
  const port = await freePort();
  const conf = join(root, "nginx.conf");
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${root}/nginx-${name};`)
    .join(" ");
  writeFileSync(
    conf,
    `${process.geteuid?.() === 0 ? "user root; " : ""}daemon off; pid ${root}/nginx.pid; error_log stderr; worker_processes auto;
events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; ${places}
  server { listen 127.0.0.1:${port} backlog=4096; root ${files}; } }
`,
  );
  const child = spawn(nginx, ["-p", root, "-c", conf], { stdio: ["ignore", "ignore", "inherit"] });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await fetch(url).then(
      () => true,
      () => false,
    );
    if (isUp) return { name: "nginx", url, [Symbol.asyncDispose]: () => stop(child) };
    await sleep(50);
  }
  throw new Error("nginx did not start");
}

/** What is compared with where no nginx is: files from memory, which is as fast as Node's server can be. */
async function startPlain(files: string): Promise<Running> {
  const known = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    let bytes = known.get(path);
    if (bytes === undefined) known.set(path, (bytes = readFileSync(join(files, path))));
    response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", 4096, done));
  return {
    name: "Node from memory",
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

async function run(url: string, load: Load): Promise<Result> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.connections });
  let next = 0;
  let bytes = 0;
  let failures = 0;
  const client = async (): Promise<void> => {
    while (next < load.requests) {
      const path = load.urls[next++ % load.urls.length] ?? "/";
      try {
        const size = await fetchBytes(`${url}${path}`, agent);
        bytes += size;
      } catch {
        failures++;
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: load.connections }, client));
  const seconds = (performance.now() - started) / 1000;
  agent.destroy();
  return { requestsPerSecond: load.requests / seconds, bytesPerSecond: bytes / seconds, failures };
}

function fetchBytes(url: string, agent: Agent): Promise<number> {
  return new Promise((done, fail) => {
    const request = get(url, { agent }, (response) => {
      let size = 0;
      response.on("data", (chunk: Buffer) => (size += chunk.length));
      response.on("end", () =>
        response.statusCode === 200 ? done(size) : fail(new Error(`status ${response.statusCode}`)),
      );
      response.on("error", fail);
    });
    request.on("error", fail);
  });
}
