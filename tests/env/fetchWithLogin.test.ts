import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchTree } from "../../env/fetch/index.ts";
import { splitLogin } from "../../env/fetch/splitLogin.ts";
import { TestStore } from "../store/realiseFixture.ts";

const LOGIN = { user: "me@example.org", password: "s3:cr/t" };
const IN_URL = "me%40example.org:s3:cr%2Ft";

let t: TestStore;
let server: Server;
let origin: string;
let logins: Set<string>;
let upstream: ChildProcess | undefined;
let warnings: string[];

beforeEach(async () => {
  t = TestStore.create();
  logins = new Set();
  warnings = [];
  upstream = undefined;
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(t.dir, "cache"));
  vi.stubEnv("HGRCPATH", "");
  vi.stubEnv("HOME", t.dir);
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  let upstreamPort: number | undefined;
  server = createServer((asked, answer) => {
    const { authorization } = asked.headers;
    if (authorization === undefined) {
      answer.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
      return;
    }
    logins.add(Buffer.from(authorization.replace("Basic ", ""), "base64").toString());
    const path = (asked.url ?? "").replace(/\?.*/, "");
    if (upstream === undefined) {
      createReadStream(join(t.dir, "served", path))
        .on("error", () => answer.writeHead(404).end())
        .pipe(answer);
      return;
    }
    upstreamPort ??= Number(readFileSync(join(t.dir, "port"), "utf8"));
    const { method, headers } = asked;
    const client = request({ port: upstreamPort, path: asked.url, method, headers }, (reply) => {
      answer.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(answer);
    });
    asked.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  upstream?.kill();
  server.close();
  server.closeAllConnections();
  vi.unstubAllEnvs();
  await t[Symbol.asyncDispose]();
});

/** Where a program lies; `io/findProgram.ts` would remember it. */
function programNamed(name: string): string | undefined {
  const { stdout } = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" });
  return stdout.trim() || undefined;
}

/** Puts a program before the real one that writes down its command line. */
function watch(program: string): () => string {
  const bin = join(t.dir, "bin");
  const log = join(t.dir, "words");
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh\necho "$*" >>'${log}'\nexec '${programNamed(program)}' "$@"\n`;
  writeFileSync(join(bin, program), script, { mode: 0o755 });
  vi.stubEnv("PATH", `${bin}:${process.env["PATH"]}`);
  return () => readFileSync(log, "utf8");
}

async function fetch(type: string, url: string): Promise<string> {
  const { storePath } = await fetchTree(new Map(Object.entries({ type, url })), url, {
    store: t.store,
    setting: () => undefined,
    signal: new AbortController().signal,
    warn: (message) => warnings.push(message),
  });
  return readFileSync(join(t.store.realPath(storePath), "hello"), "utf8");
}

describe("logins in addresses", { timeout: 60_000 }, () => {
  it.each([
    ["https://a:b@c.org/x@y", "https://c.org/x@y", { user: "a", password: "b" }],
    ["http://a%40b:c%3A:d@[::1]:80/", "http://[::1]:80/", { user: "a@b", password: "c::d" }],
    ["https://token@c.org", "https://c.org", { user: "token", password: undefined }],
    ["https://100%:p@c.org", "https://c.org", { user: "100%", password: "p" }],
    ["https://@c.org", "https://c.org", undefined],
    ["ssh://git@c.org/x", "ssh://git@c.org/x", undefined],
    ["ssh://git:pw@c.org/x", "ssh://git@c.org/x", undefined],
    ["/tmp/a:b@c", "/tmp/a:b@c", undefined],
  ])("are taken out of %s", (given, url, login) => {
    expect(splitLogin(given)).toEqual({ url, login });
  });

  it("may hold no line breaks", () => {
    expect(() => splitLogin("https://a%0ahost=b:c@d.org/")).toThrow(
      "Cannot fetch 'https://d.org/': its login",
    );
  });

  it("reach Git's server, and stand on no command line, in no message and in no file", async () => {
    const work = join(t.dir, "work");
    mkdirSync(work);
    writeFileSync(join(work, "hello"), "from Git\n");
    const git = (...args: string[]): unknown =>
      execFileSync("git", ["-C", work, ...args], { stdio: "ignore" });
    git("init", "-b", "master");
    git("add", "hello");
    git("-c", "user.name=a", "-c", "user.email=b", "commit", "-m", "one");
    execFileSync("git", ["clone", "--quiet", "--bare", work, join(t.dir, "served/r.git")]);
    execFileSync("git", ["-C", join(t.dir, "served/r.git"), "update-server-info"]);
    // Who has a helper gets this one asked, which knows another login.
    writeFileSync(
      join(t.dir, ".gitconfig"),
      '[credential]\nhelper = "!echo username=x; echo password=y; :"\n',
    );
    const words = watch("git");
    expect(await fetch("git", `http://${IN_URL}@${origin}/r.git`)).toBe("from Git\n");
    expect([...logins]).toEqual([`${LOGIN.user}:${LOGIN.password}`]);
    expect(words()).toContain(`http://${origin}/r.git`);
    expect(words()).not.toMatch(/s3:cr|example\.org/);
    execFileSync("sh", ["-c", `! grep -rF s3:cr '${join(t.dir, "cache")}'`]);

    await expect(fetch("git", `http://${IN_URL}@${origin}/absent.git`)).rejects.not.toThrow(/s3:cr|me%40/);
    expect(warnings).not.toEqual([]);
    for (const warning of warnings) expect(warning).not.toMatch(/s3:cr|me%40/);
  });

  it.skipIf(programNamed("hg") === undefined)(
    "reach Mercurial's server, and stand on no command line",
    async () => {
      const work = join(t.dir, "work");
      mkdirSync(work);
      writeFileSync(join(work, "hello"), "from Mercurial\n");
      execFileSync("hg", ["init", work]);
      execFileSync("hg", ["-R", work, "--config", "ui.username=a", "commit", "-A", "-m", "one"]);
      upstream = spawn("hg", ["-R", work, "serve", "-p", "0", "--print-url"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const url = await new Promise<string>((resolve) =>
        upstream!.stdout!.once("data", (said: Buffer) => resolve(said.toString())),
      );
      writeFileSync(join(t.dir, "port"), /:(\d+)\//.exec(url)![1]!);
      const words = watch("hg");
      expect(await fetch("hg", `http://${IN_URL}@${origin}/`)).toBe("from Mercurial\n");
      expect([...logins]).toEqual([`${LOGIN.user}:${LOGIN.password}`]);
      expect(words()).not.toMatch(/s3:cr|example\.org/);
      await expect(fetch("hg", `http://${IN_URL}@${origin}/?absent`)).rejects.not.toThrow(/s3:cr|me%40/);
    },
  );
});
