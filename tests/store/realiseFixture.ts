import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHash } from "../../core/index.ts";
import {
  dynamicPlaceholder,
  makeDerivation,
  outputsOf,
  type DerivationRequest,
  type MadeDerivation,
} from "../../store/format/makeDerivation.ts";
import { LocalStore } from "../../store/local/localStore.ts";
import { realise, type RealiseReport, type RealiseRequestOptions } from "../../store/realise/index.ts";
import { removeTree } from "../../store/realise/builder/scratch.ts";
import type { RealiseEvent, StoreConfig, StorePath, StoreSettings } from "../../store/types.ts";

export const SYSTEM = "x86_64-linux";

export interface TestDerivation {
  readonly name: string;
  /** Run by /bin/sh. */
  readonly script?: string;
  readonly builder?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly outputs?: readonly string[];
  readonly system?: string;
  /** An SRI hash: a fixed output. */
  readonly hash?: string;
  readonly method?: "flat" | "nar";
  /** A path that follows from what is built; `text` where the output is itself a derivation. */
  readonly floating?: "contentAddressed" | "impure";
  readonly floatingMethod?: "nar" | "flat" | "text";
  /** Derivations whose `out` is wanted, and store paths. */
  readonly inputs?: readonly StorePath[];
  /** More of what is needed, as contexts of strings write it: `!dev!<drvPath>`. */
  readonly context?: readonly string[];
}

/** A store of its own in a temporary directory, deleted when disposed of. */
export class TestStore implements AsyncDisposable {
  readonly dir: string;
  readonly store: LocalStore;
  readonly events: RealiseEvent[] = [];

  private constructor(dir: string, store: LocalStore) {
    this.dir = dir;
    this.store = store;
  }

  static create(config: Partial<StoreConfig> = {}, dir = temporaryDirectory()): TestStore {
    return new TestStore(dir, LocalStore.open(testSettings(dir, config)));
  }

  /** Writes a derivation. @returns its path */
  derivation(test: TestDerivation): StorePath {
    return this.store.writeDerivation(makeTestDerivation(this.store, test));
  }

  output(drvPath: StorePath, name = "out"): StorePath {
    const output = this.store.readDerivation(drvPath).outputs.get(name);
    if (output === undefined || !("path" in output)) throw new Error(`${drvPath} has no output ${name}`);
    return output.path;
  }

  /** An output's path, or what stands for it before it is built. */
  place(drvPath: StorePath, name = "out"): string {
    const place = outputsOf(drvPath, this.store.readDerivation(drvPath)).get(name);
    if (place === undefined) throw new Error(`${drvPath} has no output ${name}`);
    return place;
  }

  /** What stands for an output of an output before it is built. */
  dynamicPlace(drvPath: StorePath, outputs: readonly string[]): string {
    return dynamicPlaceholder(drvPath, outputs);
  }

  build(
    drvPaths: StorePath | readonly StorePath[],
    options: RealiseRequestOptions = {},
  ): Promise<RealiseReport> {
    const list = typeof drvPaths === "string" ? [drvPaths] : drvPaths;
    return realise(
      this.store,
      list.map((drvPath) => ({ kind: "built", drvPath, outputs: "*" })),
      { onEvent: (event) => void this.events.push(event), ...options },
    );
  }

  logLines(): string[] {
    return this.events.flatMap((event) => (event.kind === "log" ? [event.line] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store[Symbol.dispose]();
    await removeTree(this.dir);
    await rm(this.dir, { recursive: true, force: true });
  }
}

export function makeTestDerivation(store: LocalStore, test: TestDerivation): MadeDerivation {
  const request: DerivationRequest = {
    name: test.name,
    system: test.system ?? SYSTEM,
    builder: test.builder ?? "/bin/sh",
    args: test.args ?? ["-c", test.script ?? ""],
    env: new Map(Object.entries({ name: test.name, ...test.env })),
    outputs: test.outputs ?? ["out"],
    kind: kindOf(test),
    context: new Set([
      ...(test.inputs ?? []).map((path) => (path.endsWith(".drv") ? `!out!${path}` : path)),
      ...(test.context ?? []),
    ]),
  };
  return makeDerivation(request, store.hasher, (path) => store.closureOf(path));
}

function kindOf(test: TestDerivation): DerivationRequest["kind"] {
  if (test.floating !== undefined)
    return { kind: test.floating, algorithm: "sha256", method: test.floatingMethod ?? "nar" };
  if (test.hash === undefined) return { kind: "inputAddressed" };
  return { kind: "fixed", hash: parseHash(test.hash), method: test.method ?? "flat" };
}

export function temporaryDirectory(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), "devshell-realise-")));
}

export function testSettings(dir: string, config: Partial<StoreConfig> = {}): StoreSettings {
  return {
    storeDir: `${dir}/store`,
    stateDir: `${dir}/state`,
    logDir: `${dir}/log`,
    confDir: `${dir}/conf`,
    rung: "given",
    config: {
      system: SYSTEM,
      extraPlatforms: [],
      maxJobs: 2,
      cores: 1,
      sandbox: "off",
      substituters: [],
      trustedPublicKeys: [],
      requireSignatures: true,
      substitute: true,
      keepDerivations: true,
      keepOutputs: false,
      keepFailed: false,
      keepGoing: false,
      fallback: false,
      buildTimeoutSeconds: 0,
      maxSilentSeconds: 0,
      raw: new Map(),
      ...config,
    },
  };
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  /** `GET /path` with its range where one was asked for. */
  readonly requests: string[];
}

/** A server on this machine; `handle` answers, or returns false for a 404. */
export async function serve(
  handle: (path: string, request: IncomingMessage, response: ServerResponse) => boolean,
): Promise<TestServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    requests.push(request.headers.range === undefined ? path : `${path} ${request.headers.range}`);
    if (!handle(path, request, response)) response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with bytes, or with the part of them that was asked for. */
export function sendBytes(bytes: Buffer, request: IncomingMessage, response: ServerResponse): boolean {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? "0");
  if (start === 0) response.writeHead(200, { "content-length": bytes.length });
  else if (start >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    return true;
  } else {
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { "content-length": bytes.length - start, "content-range": range });
  }
  response.end(bytes.subarray(start));
  return true;
}
