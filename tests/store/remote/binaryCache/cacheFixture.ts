import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { LocalStore } from "../../../../store/local/localStore.ts";
import { removeTree } from "../../../../store/realise/builder/scratch.ts";
import { StoreEndpoint } from "../../../../store/remote/storeEndpoint.ts";
import type { StoreConfig, StorePath, StoreSettings } from "../../../../store/types.ts";
import { temporaryDirectory, testSettings } from "../../realiseFixture.ts";

/*
 * The caches were written by Nix 2.34 (`nix copy --to 'file://…?compression=…&secret-key=…'`), one for each compression,
 * and hold three paths of /nix/store: a tree, a file that refers to the tree, and a text that the tree refers to.
 */
export const FIXTURES = join(import.meta.dirname, "../../fixtures");
export const PUBLIC_KEY = "golden-1:br40dF3QSDDe5uGgih13HF13um40KlVwMo0IlPNNPS0=";
export const DOC = "/nix/store/ncn0hkynlzd1ndnrdj7yk8s382ly7rm6-golden-doc" as StorePath;
export const TREE = "/nix/store/phiafs0kwpymg1jf2n7qyd3q8fmjkda8-golden" as StorePath;
export const TEXT = "/nix/store/p1lbzl2g6g4pz1wjm5270kllwzf0cd3r-dep.txt" as StorePath;

/** A store for /nix/store, its files and all else in a temporary directory. */
export class TestPlace implements AsyncDisposable {
  readonly dir: string = temporaryDirectory();
  readonly settings: StoreSettings;
  #store: LocalStore | undefined;

  constructor(
    config: Partial<StoreConfig> = {},
    change: (settings: StoreSettings) => StoreSettings = (settings) => settings,
  ) {
    this.settings = change({
      ...testSettings(this.dir, { trustedPublicKeys: [PUBLIC_KEY], ...config }),
      storeDir: "/nix/store",
      realStoreDir: `${this.dir}/store`,
      cacheDir: `${this.dir}/cache-home`,
    });
  }

  get store(): LocalStore {
    return (this.#store ??= LocalStore.open(this.settings));
  }

  get endpoint(): StoreEndpoint {
    return new StoreEndpoint(this.store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#store?.[Symbol.dispose]();
    await removeTree(this.dir);
  }
}

type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A web server that takes files by PUT and gives them again. */
export class FileServer implements AsyncDisposable {
  readonly url: string;
  readonly files = new Map<string, Buffer>();
  /** `PUT /nar/x`. */
  readonly requests: string[] = [];
  /** Answers first, where it returns true. */
  intercept: Answer = () => false;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async open(): Promise<FileServer> {
    let files: FileServer | undefined;
    const server = createServer((request, response) => void files?.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port");
    files = new FileServer(`http://127.0.0.1:${address.port}`, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return files;
  }

  /** How often names that end so were asked for. */
  count(method: string, ending: string): number {
    return this.requests.filter((line) => line.startsWith(`${method} `) && line.endsWith(ending)).length;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = request.url ?? "/";
    this.requests.push(`${request.method} ${name}`);
    if (this.intercept(request, response)) return;
    if (request.method === "PUT") {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      this.files.set(name, Buffer.concat(chunks));
      response.writeHead(201).end();
      return;
    }
    const bytes = this.files.get(name);
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? "0");
    const headers = { "content-length": bytes.length - start };
    if (start === 0) response.writeHead(200, headers);
    else
      response.writeHead(206, {
        ...headers,
        "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
    response.end(request.method === "HEAD" ? undefined : bytes.subarray(start));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
