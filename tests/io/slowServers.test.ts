import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { fetchBytes } from "../../io/index.ts";

let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer(({ url }, response) => {
    const piece = url === "/drops" ? "x" : "x".repeat(100);
    let count = 0;
    const timer = setInterval(() => {
      // For each piece ten seconds pass.
      vi.advanceTimersByTime(10_000);
      response.write(piece);
      if (++count === 30) response.end();
      if (count === 30 || response.destroyed) clearInterval(timer);
    }, 2);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => void vi.useRealTimers());
afterAll(() => new Promise((resolve) => server.close(resolve)));

it("a server that sends a byte now and then is left, one that is only slow is not", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const request = { maxBytes: 1 << 20, attempts: 1 };
  await expect(fetchBytes({ ...request, url: `${origin}/drops` })).rejects.toThrow(
    "the server sends less than a byte a second",
  );
  expect(await fetchBytes({ ...request, url: `${origin}/slow` })).toHaveLength(3000);
});
