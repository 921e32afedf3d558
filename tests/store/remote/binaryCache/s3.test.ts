import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { signAwsRequest } from "../../../../store/remote/binaryCache/awsSignature.ts";
import { copyPaths } from "../../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../../store/remote/openRemoteStore.ts";
import { placeOfS3 } from "../../../../store/remote/binaryCache/s3Address.ts";
import { parseStoreAddress } from "../../../../store/remote/storeAddress.ts";
import { DOC, FIXTURES, FileServer, TestPlace } from "./cacheFixture.ts";

const CREDENTIALS = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const VARIABLES = {
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  HOME: "/nonexistent",
};

const place = (text: string, env: Record<string, string> = {}) =>
  placeOfS3(parseStoreAddress(text), { HOME: "/nonexistent", ...env });

describe("a signature of version 4", () => {
  const date = new Date("2013-05-24T00:00:00Z");

  it("is that of the example in Amazon's reference", () => {
    const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const url = new URL("https://examplebucket.s3.amazonaws.com/test.txt");
    const request = { method: "GET", url, region: "us-east-1", service: "s3", payloadHash: empty, date };
    expect(
      signAwsRequest({ ...request, headers: { range: "bytes=0-9" } }, CREDENTIALS)["authorization"],
    ).toBe(
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, " +
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    const listing = new URL("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J");
    expect(signAwsRequest({ ...request, url: listing, headers: {} }, CREDENTIALS)["authorization"]).toContain(
      "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
  });

  it("covers a session's token and what else is sent", () => {
    const url = new URL("http://localhost:9000/bucket/a%20b");
    const request = { method: "PUT", url, region: "r", service: "s3", payloadHash: "UNSIGNED-PAYLOAD", date };
    const headers = signAwsRequest({ ...request, headers: {} }, { ...CREDENTIALS, sessionToken: "token" });
    expect(headers).toMatchObject({
      "x-amz-security-token": "token",
      "x-amz-date": "20130524T000000Z",
      authorization: expect.stringContaining(
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
      ),
    });
  });
});

describe("an address of a bucket", () => {
  it("says where its files are", () => {
    expect(place("s3://bucket").base).toBe("https://bucket.s3.us-east-1.amazonaws.com");
    expect(place("s3://bucket/some/prefix/?region=eu-west-1").base).toBe(
      "https://bucket.s3.eu-west-1.amazonaws.com/some/prefix",
    );
    expect(place("s3://dotted.bucket", { AWS_REGION: "eu-north-1" }).base).toBe(
      "https://s3.eu-north-1.amazonaws.com/dotted.bucket",
    );
    expect(place("s3://bucket?endpoint=localhost:9000&scheme=http").base).toBe(
      "http://localhost:9000/bucket",
    );
    expect(place("s3://bucket?endpoint=https://minio.example&addressing-style=virtual").base).toBe(
      "https://bucket.minio.example",
    );
    expect(() => place("s3://")).toThrow("names no bucket");
    expect(() => place("s3://bucket?scheme=ftp")).toThrow('"scheme" https or http');
  });

  it("takes credentials from variables and from Amazon's own files", async () => {
    await using t = new TestPlace();
    expect(place("s3://bucket").headers).toBeUndefined();
    const url = new URL("https://bucket.s3.us-east-1.amazonaws.com/x");
    expect(place("s3://bucket", VARIABLES).headers?.("GET", url)["authorization"]).toContain(
      `Credential=${CREDENTIALS.accessKeyId}/`,
    );
    mkdirSync(`${t.dir}/.aws`);
    writeFileSync(
      `${t.dir}/.aws/credentials`,
      "[default]\naws_access_key_id = A\naws_secret_access_key = B\n[work]\naws_access_key_id=C\naws_secret_access_key=D\n",
    );
    writeFileSync(`${t.dir}/.aws/config`, "[default]\nregion = r0\n[profile work]\nregion = r1\n");
    const inHome = (text: string, env: Record<string, string> = {}) => place(text, { ...env, HOME: t.dir });
    expect(inHome("s3://bucket").headers?.("GET", url)["authorization"]).toMatch(/Credential=A\/\d+\/r0\/s3/);
    expect(inHome("s3://bucket?profile=work", VARIABLES).headers?.("GET", url)["authorization"]).toMatch(
      /Credential=C\/\d+\/r1\/s3/,
    );
  });
});

describe("a binary cache in a bucket", () => {
  beforeEach(() => {
    for (const [name, value] of Object.entries(VARIABLES)) vi.stubEnv(name, value);
  });
  afterEach(() => void vi.unstubAllEnvs());

  it("is written and read with signed requests", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    const unsigned: string[] = [];
    server.intercept = (request) => {
      if (!request.headers.authorization?.startsWith("AWS4-HMAC-SHA256 ")) unsigned.push(request.url ?? "");
      return false;
    };
    const url = `s3://bucket?endpoint=${server.url.slice("http://".length)}&scheme=http&compression=zstd`;
    await using source = await openRemoteStore(t.settings, `file://${FIXTURES}/cache-none`);
    await using target = await openRemoteStore(t.settings, url, { isTarget: true });
    expect(await copyPaths({ source, target, paths: [DOC], isRecursive: true })).toHaveLength(3);
    expect(server.files.has("/bucket/nix-cache-info")).toBe(true);
    await using read = await openRemoteStore(t.settings, url);
    expect(
      await copyPaths({ source: read, target: t.endpoint, paths: [DOC], isRecursive: true }),
    ).toHaveLength(3);
    expect(unsigned).toEqual([]);
  });

  it("says what is wrong with credentials, though the same status means that nothing is there", async () => {
    await using t = new TestPlace();
    await using server = await FileServer.open();
    const url = `s3://bucket?endpoint=${server.url.slice("http://".length)}&scheme=http`;
    let code = "SignatureDoesNotMatch";
    server.intercept = (_, response) => {
      response
        .writeHead(403, { "content-type": "application/xml" })
        .end(`<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>Look at your key</Message></Error>`);
      return true;
    };
    await expect(openRemoteStore(t.settings, url)).rejects.toMatchObject({
      code: "FETCH_UNAUTHORIZED",
      message: `unable to download '${server.url}/bucket/nix-cache-info': HTTP error 403 ('Forbidden')`,
      hint: "it says: SignatureDoesNotMatch: Look at your key",
    });
    code = "AccessDenied";
    await expect(openRemoteStore(t.settings, url)).rejects.toThrow("does not appear to be a binary cache");
    await expect(openRemoteStore(t.settings, url, { isTarget: true })).rejects.toMatchObject({
      code: "UPLOAD_REFUSED",
      hint: "it says: AccessDenied: Look at your key",
    });
  });
});

describe("large files for a bucket", () => {
  beforeEach(() => {
    for (const [name, value] of Object.entries(VARIABLES)) vi.stubEnv(name, value);
  });
  afterEach(() => void vi.unstubAllEnvs());

  const MIB = 1 << 20;

  /** Takes parts as S3 does; `breaks` says whether a part, or their joining, is refused. */
  async function bucket(breaks: (number: number | "join") => boolean = () => false) {
    const server = await FileServer.open();
    const parts = new Map<number, Buffer>();
    const calls: string[] = [];
    server.intercept = (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", server.url);
      const number = Number(searchParams.get("partNumber"));
      if (!searchParams.has("uploads") && searchParams.get("uploadId") !== "an&id") return false;
      calls.push(`${request.method} ${number}`);
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        if (searchParams.has("uploads")) {
          const storageClass = request.headers["x-amz-storage-class"] ?? "none";
          calls.push(`class ${String(storageClass)}`);
          response.end("<R><UploadId>an&amp;id</UploadId></R>");
        } else if (request.method === "DELETE") response.writeHead(204).end();
        else if (request.method === "PUT") {
          if (breaks(number))
            return void response.writeHead(400).end("<Error><Code>BadDigest</Code></Error>");
          parts.set(number, body);
          response.writeHead(200, { etag: `"part-${number}"` }).end();
        } else if (breaks("join")) response.end("<Error><Message>disk full</Message></Error>");
        else {
          const named = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>"part-(\d+)"/g)];
          server.files.set(pathname, Buffer.concat(named.map((match) => parts.get(Number(match[2]))!)));
          response.end("<CompleteMultipartUploadResult/>");
        }
      });
      return true;
    };
    const address = (parameters: string): string =>
      `s3://bucket?endpoint=${server.url.slice("http://".length)}&scheme=http&compression=none${parameters}`;
    return { server, calls, address };
  }

  async function copyLarge(t: TestPlace, url: string) {
    writeFileSync(`${t.dir}/large`, randomBytes(11 * MIB));
    const path = t.store.addPath(`${t.dir}/large`, { name: "large", method: "nar" });
    await using target = await openRemoteStore(t.settings, url, { isTarget: true });
    await copyPaths({ source: t.endpoint, target, paths: [path], isRecursive: true });
    return path;
  }

  it("go in parts where they are asked for so", async () => {
    await using t = new TestPlace();
    const { server, calls, address } = await bucket();
    await using _server = server;
    const url = address(`&multipart-upload=true&multipart-threshold=${MIB}&storage-class=STANDARD_IA`);
    const path = await copyLarge(t, url);
    expect(calls).toEqual(["POST 0", "class STANDARD_IA", "PUT 1", "PUT 2", "PUT 3", "POST 0"]);
    await using u = new TestPlace();
    await using source = await openRemoteStore(u.settings, url);
    await copyPaths({ source, target: u.endpoint, paths: [path], isRecursive: true });
    expect((await u.store.verify({ checkContents: true })).problems).toEqual([]);
  });

  it.each([
    [2, "HTTP error 400"],
    ["join", "it could not join the parts"],
  ] as const)("that fail at %s leave no parts", async (broken, message) => {
    await using t = new TestPlace();
    const { server, calls, address } = await bucket((number) => number === broken);
    await using _server = server;
    const url = address(`&multipart-upload=true&multipart-threshold=${MIB}`);
    await expect(copyLarge(t, url)).rejects.toThrow(message);
    expect(calls.at(-1)).toBe("DELETE 0");
    expect([...server.files.keys()].filter((name) => name.endsWith(".narinfo"))).toEqual([]);
  });

  it("are told by numbers that can be", async () => {
    await using t = new TestPlace();
    const { server, address } = await bucket();
    await using _server = server;
    for (const parameters of ["multipart-upload=perhaps", "multipart-chunk-size=5", "multipart-threshold=x"])
      await expect(openRemoteStore(t.settings, address(`&${parameters}`))).rejects.toMatchObject({
        code: "CACHE_PARAMETER",
      });
  });
});
