import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fetchFromMirror, isOnMirror, streamFromMirror } from "../../../packages/debian/index/fetch.ts";

async function serve(listener: RequestListener): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/file`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("a mirror", () => {
  it("is asked again after a passing failure, and a stream begins anew", async () => {
    let requests = 0;
    await using server = await serve((_, response) => {
      requests++;
      if (requests === 1) return void response.writeHead(503).end();
      response.writeHead(200, { "content-length": 6 });
      if (requests === 2) return void response.write("abc", () => response.destroy());
      response.end("abcdef");
    });
    let starts = 0;
    const text = await streamFromMirror(server.url, 100, async (body) => {
      starts++;
      let all = "";
      for await (const chunk of body) all += chunk.toString();
      return all;
    });
    expect({ text, requests, starts }).toEqual({ text: "abcdef", requests: 3, starts: 2 });
  });

  it("is given up in the end", async () => {
    let requests = 0;
    await using server = await serve((_, response) => {
      requests++;
      response.writeHead(502).end();
    });
    await expect(fetchFromMirror(server.url, 100)).rejects.toMatchObject({
      code: "DEBIAN_FETCH_FAILED",
      message: expect.stringContaining("502"),
      hint: expect.stringContaining("DEVSHELL_DEBIAN_MIRROR"),
    });
    expect(requests).toBe(3);
  });

  it("is asked once for what it does not have", async () => {
    const methods: (string | undefined)[] = [];
    await using server = await serve((request, response) => {
      methods.push(request.method);
      response.writeHead(404).end();
    });
    await expect(fetchFromMirror(server.url, 100)).rejects.toMatchObject({ code: "DEBIAN_FETCH_MISSING" });
    expect(await isOnMirror(server.url)).toBe(false);
    expect(methods).toEqual(["GET", "HEAD"]);
  });

  it("that refuses is not taken for one that lacks the file", async () => {
    await using server = await serve((_, response) => void response.writeHead(403).end());
    await expect(isOnMirror(server.url)).rejects.toMatchObject({ code: "DEBIAN_FETCH_FAILED" });
  });

  it("cannot make us read without end, nor send us to what is no URL", async () => {
    await using endless = await serve((_, response) => void response.end("x".repeat(2000)));
    await expect(fetchFromMirror(endless.url, 1000)).rejects.toMatchObject({ code: "DEBIAN_FETCH_FAILED" });
    await using astray = await serve((_, response) => {
      response.writeHead(302, { location: "http://[" }).end();
    });
    await expect(fetchFromMirror(astray.url, 1000)).rejects.toMatchObject({ code: "DEBIAN_FETCH_FAILED" });
  });

  it("in a directory has only files", async () => {
    const directory = mkdtempSync(join(tmpdir(), "devshell-fetch-"));
    try {
      await expect(fetchFromMirror(`file://${directory}`, 10)).rejects.toMatchObject({
        code: "DEBIAN_FETCH_MISSING",
      });
      expect(await isOnMirror(`file://${directory}/absent`)).toBe(false);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
