import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fetchTree, type FetchContext } from "../../env/fetch/index.ts";
import { fetchBytes } from "../../io/index.ts";
import { TestStore, sendBytes, serve } from "../store/realiseFixture.ts";

afterEach(() => vi.unstubAllEnvs());

function contextOf(t: TestStore): FetchContext {
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(t.dir, "cache"));
  return {
    store: t.store,
    setting: () => undefined,
    signal: new AbortController().signal,
    warn: () => undefined,
  };
}

function archiveIn(t: TestStore): Buffer {
  mkdirSync(join(t.dir, "tree"));
  writeFileSync(join(t.dir, "tree/file"), "hi\n");
  execFileSync("tar", ["-cf", join(t.dir, "tree.tar"), "--mtime=@1000000000", "-C", t.dir, "tree"]);
  return readFileSync(join(t.dir, "tree.tar"));
}

describe("an archive that was downloaded before", () => {
  it("is downloaded again only where the server has another by then", async () => {
    await using t = TestStore.create();
    const context = {
      ...contextOf(t),
      setting: (name: string) => (name === "tarball-ttl" ? "0" : undefined),
    };
    let bytes = archiveIn(t);
    let etag = '"one"';
    const asked: (string | undefined)[] = [];
    let sent = 0;
    await using server = await serve((path, request, response) => {
      if (path === "/moved.tar") {
        response.writeHead(302, { location: "/tree.tar" }).end();
        return true;
      }
      asked.push(request.headers["if-none-match"]);
      response.setHeader("etag", etag);
      if (request.headers["if-none-match"] === etag) {
        response.writeHead(304).end();
        return true;
      }
      sent++;
      return sendBytes(bytes, request, response);
    });
    const url = `${server.url}/moved.tar`;
    const fetched = async (): Promise<string> => {
      const input = new Map(Object.entries({ type: "tarball", url }));
      const { storePath, attributes } = await fetchTree(input, url, context);
      expect(attributes.get("lastModified")).toBe(1_000_000_000n);
      return readFileSync(t.store.realPath(`${storePath}/file`), "utf8");
    };
    expect([await fetched(), await fetched(), await fetched(), sent]).toEqual(["hi\n", "hi\n", "hi\n", 1]);
    writeFileSync(join(t.dir, "tree/file"), "new\n");
    execFileSync("tar", ["-cf", join(t.dir, "tree.tar"), "--mtime=@1000000000", "-C", t.dir, "tree"]);
    bytes = readFileSync(join(t.dir, "tree.tar"));
    etag = '"two"';
    expect([await fetched(), await fetched(), sent]).toEqual(["new\n", "new\n", 2]);
    expect(asked).toEqual([undefined, '"one"', '"one"', '"one"', '"two"']);
  });
});

describe("an archive's immutable address", () => {
  const rev = "b7d54341d9d337d671e64f79855af42836ccb4a1";

  it("is what is locked, also where the archive is known already", async () => {
    await using t = TestStore.create();
    const context = contextOf(t);
    const bytes = archiveIn(t);
    await using server = await serve((path, request, response) => {
      if (path === "/main.tar.gz") {
        response.writeHead(302, { location: "/latest.tar.gz" }).end();
        return true;
      }
      response.setHeader("link", `<${server.url}/${rev}.tar.gz?rev=${rev}&revCount=3>; rel="immutable"`);
      return sendBytes(bytes, request, response);
    });
    const url = `${server.url}/main.tar.gz`;
    for (let turn = 0; turn < 2; turn++) {
      const { attributes } = await fetchTree(new Map(Object.entries({ type: "tarball", url })), url, context);
      expect(Object.fromEntries(attributes)).toEqual({
        lastModified: 1_000_000_000n,
        narHash: expect.stringMatching(/^sha256-/),
        rev,
        revCount: 3n,
        type: "tarball",
        url: `${server.url}/${rev}.tar.gz`,
      });
    }
    expect(server.requests).toEqual(["/main.tar.gz", "/latest.tar.gz"]);
  });

  it("must be an archive's", async () => {
    await using t = TestStore.create();
    const bytes = archiveIn(t);
    await using server = await serve((_, request, response) => {
      response.setHeader("link", '<github:owner/repo>; rel="immutable"');
      return sendBytes(bytes, request, response);
    });
    const url = `${server.url}/tree.tar`;
    const given = new Map(Object.entries({ type: "tarball", url }));
    await expect(fetchTree(given, url, contextOf(t))).rejects.toThrow(
      "tarball 'Link' headers that redirect to non-tarball URLs are not supported",
    );
  });
});

describe("headers with secrets", () => {
  it("go to the host they are for, not where it redirects to", async () => {
    const seen: (string | undefined)[] = [];
    await using other = await serve((_, request, response) => {
      seen.push(request.headers.authorization);
      return sendBytes(Buffer.from("there"), request, response);
    });
    await using server = await serve((path, request, response) => {
      seen.push(request.headers.authorization);
      const location = path === "/first" ? "/second" : `${other.url}/third`;
      response.writeHead(302, { location }).end();
      return true;
    });
    const headers = { authorization: "token secret" };
    const body = await fetchBytes({ url: `${server.url}/first`, maxBytes: 100, headers });
    expect(body.toString()).toBe("there");
    expect(seen).toEqual(["token secret", "token secret", undefined]);
  });
});
