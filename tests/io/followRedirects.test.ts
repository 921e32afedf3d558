import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { followRedirects } from "../../io/index.ts";

let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/channel") response.writeHead(302, { location: "/releases/24.05" });
    else if (request.url === "/releases/24.05") response.writeHead(301, { location: `${origin}/there` });
    else response.writeHead(request.url === "/there" ? 200 : 404);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe("where a URL leads", () => {
  it("is the last of its redirects, or itself", async () => {
    expect(await followRedirects({ url: `${origin}/channel` })).toBe(`${origin}/there`);
    expect(await followRedirects({ url: `${origin}/there` })).toBe(`${origin}/there`);
    await expect(followRedirects({ url: `${origin}/nowhere` })).rejects.toMatchObject({
      code: "FETCH_NOT_FOUND",
    });
  });
});
