import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect } from "node:net";
import { DevshellError } from "../../../core/index.ts";
import { CacheServer } from "../../../store/index.ts";
import { TestStore } from "../realiseFixture.ts";
import type { FuzzTarget } from "./target.ts";

const CANARY = "nobody may read this";
const MOST_BYTES = 8 << 20;
/** After so many requests the server must still answer a right one. */
const CHECKED = 20;
const QUIET_MS = 10;

/** Our own binary cache on the web, asked by who sends anything. */
export async function makeTarget(): Promise<FuzzTarget> {
  const t = TestStore.create();
  const path = t.store.addText("served", "content ".repeat(1000), []);
  const log = t.store.logPath(path);
  for (const file of [join(t.dir, "secret"), join(t.dir, "log/secret"), join(t.dir, "store/secret")]) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, CANARY);
  }
  mkdirSync(dirname(log), { recursive: true });
  writeFileSync(log, "a log");
  const server = await CacheServer.start({ store: t.store, listen: { host: "127.0.0.1", port: 0 } });
  const port = Number(new URL(server.url).port);
  const baseName = path.slice(path.lastIndexOf("/") + 1);
  const info = `/${baseName.slice(0, 32)}.narinfo`;
  const narInfo = await talk(port, get(info));
  const nar = /^URL: (.*)$/m.exec(narInfo)?.[1];
  if (nar === undefined) throw new Error(`no narinfo: ${narInfo}`);
  let count = 0;
  const range = "Range: bytes=10-20\r\n";
  const requests = [
    get("/nix-cache-info"),
    get(info),
    get(`/${nar}`),
    get(`/${nar}`, range),
    get(`/log/${baseName}`),
  ];
  return {
    corpus: [...requests, Buffer.concat([get(info).subarray(0, -21), get(`/${nar}`)])],
    tokens: [
      "../",
      "%2e%2e/",
      "%2f",
      "..%5c",
      "/",
      "?",
      "#",
      "*",
      "http://other/",
      "%00",
      "%ff",
      "secret",
      "store/secret",
      "HEAD ",
      "PUT ",
      "OPTIONS ",
      "HTTP/1.0",
      "\r\n",
      "\r\n\r\n",
      "Range: bytes=",
      "-",
      ",",
      "0-0",
      "-1",
      "5-2",
      "99999999999999999999",
      "Content-Length: 5\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Expect: 100-continue\r\n",
      "Upgrade: websocket\r\nConnection: upgrade\r\n",
      "Accept-Encoding: gzip, zstd\r\n",
      "x".repeat(20_000),
      info,
      nar,
      baseName,
    ].map((text) => Buffer.from(text, "latin1")),
    run: async (input) => {
      const answer = await talk(port, input, QUIET_MS);
      if (answer.includes(CANARY)) throw new Error("it served what is not for others");
      if (count++ % CHECKED === 0) {
        const again = await talk(port, get(info));
        if (bodyOf(again) !== bodyOf(narInfo))
          throw new Error(`it does not answer as before any more: ${again}`);
      }
      const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
      if (status?.startsWith("2") !== true) throw new DevshellError(`WEB_${status}`, "it is refused");
    },
    end: async () => {
      await server[Symbol.asyncDispose]();
      await t[Symbol.asyncDispose]();
    },
  };
}

function get(path: string, headers = ""): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`);
}

function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf("\r\n\r\n"));
}

/** Sends bytes. @param quietMs hangs up where nothing is answered for so long @returns what is answered */
function talk(port: number, request: Buffer, quietMs = 10_000): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setEncoding("latin1");
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > MOST_BYTES) socket.destroy();
    });
    // It may hang up first.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(answer));
    socket.write(request);
  });
}
