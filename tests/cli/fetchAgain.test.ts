import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands } from "./testCommands.ts";

let commands: TestCommands;
let server: ChildProcess;
let url: string;

/** Serves the file `content`, its first word being its ETag; 404 where there is none. Requests are listed in `asked`. */
const SERVER = `
const fs = require("node:fs");
const server = require("node:http").createServer((request, response) => {
  fs.appendFileSync("asked", (request.headers["if-none-match"] ?? "-") + "\\n");
  const content = fs.existsSync("content") ? fs.readFileSync("content", "utf8") : "";
  const etag = JSON.stringify(content.split(" ")[0]);
  fs.appendFileSync("logins", (request.headers.authorization ?? "-") + "\\n");
  if (content === "") return response.writeHead(404).end();
  if (request.headers["if-none-match"] === etag) return response.writeHead(304).end();
  response.writeHead(200, { etag }).end(content);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

beforeAll(async () => {
  commands = new TestCommands();
  server = spawn(process.execPath, ["-e", SERVER], {
    cwd: commands.root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = (await once(server.stdout!, "data")) as [Buffer];
  url = `http://127.0.0.1:${port.toString().trim()}/file`;
});
afterAll(() => {
  server.kill();
  commands[Symbol.dispose]();
});

function serve(content: string): void {
  writeFileSync(join(commands.root, "content"), content);
}

function fetched(...flags: string[]): { readonly out: string; readonly err: string } {
  const expression = `builtins.readFile (builtins.fetchurl "${url}")`;
  const { out, err } = commands.run("nix", ["eval", "--impure", "--raw", "--expr", expression, ...flags]);
  return { out, err };
}

describe("builtins.fetchurl without a hash", () => {
  it("asks again after tarball-ttl, and downloads what has changed", () => {
    serve("one 1");
    expect(fetched()).toEqual({ out: "one 1", err: "" });
    serve("two 2");
    expect(fetched().out).toBe("one 1");
    expect(fetched("--refresh").out).toBe("two 2");
    expect(fetched("--tarball-ttl", "0").out).toBe("two 2");
    serve("");
    const { out, err } = fetched("--refresh");
    expect(out).toBe("two 2");
    expect(err).toContain("HTTP error 404 ('Not Found'); using cached version");
    const asked = readFileSync(join(commands.root, "asked"), "utf8");
    expect(asked.trim().split("\n")).toEqual(["-", '"one"', '"two"', '"two"']);
  });

  it("logs in as netrc-file says", () => {
    serve("three 3");
    const netrc = commands.write("netrc", "machine 127.0.0.1 login me password secret\n");
    expect(fetched("--refresh", "--netrc-file", netrc).out).toBe("three 3");
    const [last] = readFileSync(join(commands.root, "logins"), "utf8").trim().split("\n").slice(-1);
    expect(last).toBe(`Basic ${Buffer.from("me:secret").toString("base64")}`);
  });
});
