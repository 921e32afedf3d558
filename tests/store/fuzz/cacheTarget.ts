import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseNarInfo } from "../../../store/format/narInfo.ts";
import { LocalStore, deleteTree, realise } from "../../../store/index.ts";
import { DOC, FIXTURES, PUBLIC_KEY } from "../remote/binaryCache/cacheFixture.ts";
import { testSettings } from "../realiseFixture.ts";
import type { FuzzTarget } from "./target.ts";

const STORE_DIR = "/nix/store";
const COMPRESSIONS = ["none", "zstd", "gzip", "br"];

/**
 * A binary cache on a web server that changes one of its files. An input's first byte says which one, the rest is what
 * it holds.
 */
export async function makeTarget(): Promise<FuzzTarget> {
  const directory = mkdtempSync(join(tmpdir(), "devshell-fuzz-"));
  const files = new Map<string, Buffer>();
  for (const compression of COMPRESSIONS)
    for (const name of readdirSync(`${FIXTURES}/cache-${compression}`, { recursive: true, encoding: "utf8" }))
      if (name.includes(".") || name === "nix-cache-info")
        files.set(`/${compression}/${name}`, readFileSync(`${FIXTURES}/cache-${compression}/${name}`));
  const names = [...files.keys()];
  const genuine = new Map(
    [...files]
      .filter(([name]) => name.endsWith(".narinfo"))
      .map(([name, bytes]) => parseNarInfo(STORE_DIR, bytes.toString("latin1"), name))
      .map(({ path, narHash }) => [path, narHash.digest.toString("hex")]),
  );
  let changed: { readonly name: string; readonly bytes: Buffer } | undefined;
  const server = createServer((request, response) => {
    const name = request.url ?? "/";
    const bytes = changed?.name === name ? changed.bytes : files.get(name);
    if (bytes === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  let url = "";
  const settings = testSettings(directory, { trustedPublicKeys: [PUBLIC_KEY] });
  const store = LocalStore.open({
    ...settings,
    storeDir: STORE_DIR,
    realStoreDir: `${directory}/store`,
    config: {
      ...settings.config,
      // Another one each time, of one store.
      get substituters() {
        return [url];
      },
    },
  });
  return {
    corpus: names.map((name, index) => Buffer.concat([Buffer.from([index]), files.get(name)!])),
    isCorpusRight: true,
    tokens: [
      "\n",
      "References: ",
      "URL: ",
      "NarSize: 0\n",
      "FileSize: 1\n",
      "Compression: xz\n",
      "Compression: br\n",
      "URL: nar/../x\n",
      "URL: http://[\n",
      "URL: file:///etc/passwd\n",
      "CA: text:sha256:",
      "StoreDir: /other\n",
      ...[...genuine.keys()].map((path) => path.slice(STORE_DIR.length + 1)),
    ].map((text) => Buffer.from(text)),
    run: async (input) => {
      const name = names[(input[0] ?? 0) % names.length]!;
      changed = { name, bytes: input.subarray(1) };
      url = `http://127.0.0.1:${address.port}/${name.split("/")[1]}`;
      const { failures } = await realise(store, [{ kind: "opaque", path: DOC }]);
      const paths = store.allValidPaths();
      for (const path of paths)
        if (genuine.get(path) !== store.pathInfo(path).narHash.digest.toString("hex"))
          throw new Error(`${path} was taken with content that nobody signed`);
      if (paths.length > 0) {
        const { problems } = await store.verify({ checkContents: true });
        if (problems.length > 0) throw new Error(problems.join("; "));
      }
      // The next one is to fetch everything again.
      for (const path of store.topologicalSort(paths).toReversed()) {
        store.db.invalidatePath(path);
        deleteTree(store.realPath(path));
      }
      if (failures[0] !== undefined) throw failures[0];
      if (paths.length < genuine.size) throw new Error("nothing failed, yet paths are missing");
    },
    end: async () => {
      store[Symbol.dispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      deleteTree(directory);
    },
  };
}
