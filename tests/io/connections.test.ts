import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { fetchBytes, isNotFound, probeUrl } from "../../io/index.ts";

it("what is absent, and what is only asked about, leave the connection for what comes next", async () => {
  let connections = 0;
  const server = createServer((request, response) => {
    const isThere = request.url === "/there";
    const text = isThere ? "yes" : "there is no such file here";
    response.writeHead(isThere ? 200 : 404, { "content-length": text.length }).end(text);
  });
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    for (let round = 0; round < 3; round++) {
      expect(await probeUrl({ url: `${base}/there` })).toBe(true);
      expect(await probeUrl({ url: `${base}/absent` })).toBe(false);
      const absent = fetchBytes({ url: `${base}/absent`, maxBytes: 100 });
      await expect(absent).rejects.toSatisfy(isNotFound);
      expect((await fetchBytes({ url: `${base}/there`, maxBytes: 100 })).toString()).toBe("yes");
      // The agent takes a connection back when its answer has been read, a turn later.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(connections).toBeLessThan(4);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
