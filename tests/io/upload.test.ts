import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { upload } from "../../io/index.ts";

let directory: string;
let url: string;
const received = new Map<string, { readonly bytes: Buffer; readonly headers: Record<string, unknown> }>();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    received.set(request.url ?? "", { bytes: Buffer.concat(chunks), headers: request.headers });
    response.writeHead(204).end();
  });
});

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "devshell-upload-"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

it("puts bytes and files, with their size, type and further headers", async () => {
  const bytes = Buffer.alloc(700_000, "x");
  writeFileSync(join(directory, "file"), bytes);
  const progress: number[] = [];
  await upload({
    url: `${url}/file`,
    content: { file: join(directory, "file"), sizeBytes: bytes.length },
    contentType: "application/x-nix-nar",
    headers: (method, to) => ({ "x-signed": `${method} ${to.pathname}` }),
    onProgress: (doneBytes) => progress.push(doneBytes),
  });
  const file = received.get("/file");
  expect(file?.bytes.equals(bytes)).toBe(true);
  expect(file?.headers).toMatchObject({
    "content-length": "700000",
    "content-type": "application/x-nix-nar",
    "x-signed": "PUT /file",
  });
  expect(progress.at(-1)).toBe(bytes.length);
  await upload({ url: `${url}/empty`, content: { bytes: Buffer.alloc(0) }, contentType: "text/plain" });
  expect(received.get("/empty")?.bytes.length).toBe(0);
});

it("is refused elsewhere than on the web", async () => {
  const content = { bytes: Buffer.from("x") };
  await expect(upload({ url: "file:///x", content, contentType: "text/plain" })).rejects.toThrow(
    "uploading to 'file:///x' is not supported",
  );
});

it("fails where nobody listens, after a few tries", async () => {
  const content = { bytes: Buffer.from("x") };
  const retries: string[] = [];
  await expect(
    upload({
      url: "http://127.0.0.1:1/x",
      content,
      contentType: "text/plain",
      attempts: 2,
      onRetry: (message) => retries.push(message),
    }),
  ).rejects.toThrow("unable to upload to 'http://127.0.0.1:1/x'");
  expect(retries).toHaveLength(1);
});
