import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEVSHELL, TestCommands, type CommandResult } from "../cli/testCommands.ts";
import { CuttingProxy, numbersFrom } from "./cuttingProxy.ts";
import { debianTree, isArchiveReachable, type DebianTree } from "./debianTree.ts";
import { NginxServer, makeCertificates } from "./nginxServer.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";
import { addChain, addRandom, fail, runCommand, startCommand, storeBeside, succeed } from "./runCommand.ts";

// A real web server. DEVSHELL_TEST_FULL=1 runs all; PEER_NIX: a directory of real Nix's programs, which reads what we put there.
const SUITE = "bookworm";
const isFull = process.env["DEVSHELL_TEST_FULL"] === "1";
const full = it.skipIf(!isFull);
const { PEER_NIX: peer = "" } = process.env;
const why = (await isArchiveReachable(SUITE)) ? "" : "no Debian mirror answers";

describe.skipIf(why !== "")(
  `a cache behind nginx${why && ` (skipped: ${why})`}`,
  { timeout: 120_000 },
  () => {
    let tree: DebianTree;
    let commands: TestCommands;
    /** The cache's files. */
    let files: string;
    let path: string;

    beforeAll(async () => {
      tree = await debianTree(SUITE, ["nginx", "openssl", "tinyproxy-bin"]);
    }, 600_000);
    afterAll(() => tree[Symbol.dispose]());

    beforeEach(async () => {
      commands = new TestCommands();
      files = join(commands.root, "files");
      mkdirSync(files);
      path = await addChain(commands, 20);
    });
    afterEach(() => commands[Symbol.dispose]());

    const start = (
      server: string,
      more: { http?: string; isSecure?: boolean } = {},
    ): Promise<NginxServer> => {
      const directory = join(commands.root, "nginx");
      return NginxServer.start(tree, {
        directory,
        server: `root ${files}; ${server}`,
        ...(more.http !== undefined && { http: more.http }),
        ...(more.isSecure === true && { certificates: makeCertificates(tree, join(commands.root, "tls")) }),
      });
    };
    const run = (...words: string[]): Promise<CommandResult> => runCommand(commands, words);
    /** Writes the cache's files past the server. */
    const fill = (...paths: string[]): Promise<string> =>
      succeed(run("nix", "copy", "--to", `file://${files}?compression=zstd`, ...paths));
    /** Another store, which has nothing yet. */
    const client = (name: string, config = ""): Record<string, string> => ({
      NIX_REMOTE: storeBeside(commands, name),
      NIX_STATE_DIR: join(commands.root, name, "var"),
      DEVSHELL_CACHE_DIR: join(commands.root, name, "cache"),
      NIX_CONFIG: `sandbox = false\nsubstituters =\n${config}`,
    });
    const read = (url: string, env: Record<string, string>, wanted = path): Promise<CommandResult> =>
      runCommand(commands, ["nix", "copy", "--no-check-sigs", "--from", url, wanted], env);
    const asPeer = (name: string): Record<string, string> => ({
      ...client(name, "experimental-features = nix-command\nbuild-users-group =\nrequire-sigs = false\n"),
      HOME: join(commands.root, name),
    });
    const isThere = (name: string, wanted = path): boolean =>
      existsSync(join(commands.root, name, "store", wanted.slice(wanted.lastIndexOf("/") + 1)));

    it("is read over few connections", async () => {
      await fill(path);
      await using server = await start("autoindex on; gzip on; gzip_types *; gzip_min_length 0;");
      await succeed(read(server.url, client("one")));
      expect(isThere("one")).toBe(true);
      const served = server.requests();
      expect(served.length).toBeGreaterThanOrEqual(41);
      expect(served.every(({ status }) => status === 200)).toBe(true);
      // A chain is asked for one after the other.
      expect(new Set(served.map(({ connection }) => connection)).size).toBeLessThan(10);
    });

    full("gives to those who have its key, by name of the substituter", async () => {
      const [secret, open] = [join(commands.root, "key.sec"), join(commands.root, "key.pub")];
      await succeed(run("nix-store", "--generate-binary-cache-key", "cache-1", secret, open));
      // What is addressed by its content needs no signature.
      const expression = commands.write(
        "default.nix",
        'derivation { name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ]; }',
      );
      const built = await succeed(run("nix-build", "--no-out-link", expression));
      await succeed(run("nix", "copy", "--to", `file://${files}?secret-key=${secret}`, built));
      await using server = await start("");
      const realise = (name: string, keys: string): Promise<CommandResult> =>
        runCommand(
          commands,
          [
            "nix-store",
            "--realise",
            built,
            "--option",
            "substituters",
            server.url,
            "--option",
            "trusted-public-keys",
            keys,
          ],
          client(name),
        );
      const refused = await realise("one", "other-1:br40dF3QSDDe5uGgih13HF13um40KlVwMo0IlPNNPS0=");
      expect(refused.status).toBe(1);
      expect(refused.err).toContain("not signed by any of the keys in 'trusted-public-keys'");
      await succeed(realise("two", readFileSync(open, "utf8").trim()));
      expect(isThere("two", built)).toBe(true);
    });

    full("is understood where it compresses on the way", async () => {
      await fill(path);
      for (const name of readdirSync(files).filter((each) => /^nix-cache-info$|\.narinfo$/.test(each))) {
        writeFileSync(join(files, `${name}.gz`), gzipSync(readFileSync(join(files, name))));
        rmSync(join(files, name));
      }
      await using server = await start("gzip_static always;");
      const answer = await fetch(`${server.url}/nix-cache-info`);
      expect(answer.headers.get("content-encoding")).toBe("gzip");
      await succeed(read(server.url, client("one")));
      expect(isThere("one")).toBe(true);
    });

    full("is named where it forbids, lacks or is no cache", async () => {
      await fill(path);
      // There it is, for those who may.
      cpSync(join(files, "nix-cache-info"), join(files, "locked/nix-cache-info"));
      await using server = await start(
        "location /locked/ { deny all; } location /broken/ { return 500; } location /empty/ { return 404; }",
      );
      const said = async (place: string, wanted?: string): Promise<string> =>
        await fail(read(`${server.url}${place}`, client("one"), wanted));
      expect(await said("/locked")).toContain(`'${server.url}/locked' does not appear to be a binary cache`);
      expect(await said("/empty")).toContain(`'${server.url}/empty' does not appear to be a binary cache`);
      expect(await said("/broken")).toContain("HTTP error 500 ('Internal Server Error')");
      const absent = `${commands.root}/store/${"0".repeat(32)}-absent`;
      expect(await said("", absent)).toContain(`path '${absent}' is not valid`);
    });

    full("is left for the next where it fails or lies", async () => {
      const wanted = await addRandom(commands, "wanted", 1);
      await succeed(run("nix", "copy", "--to", `file://${files}/good?compression=zstd`, wanted));
      for (const name of ["gone", "short", "broken"])
        cpSync(join(files, "good"), join(files, name), { recursive: true });
      const narIn = (name: string): string =>
        join(
          files,
          name,
          "nar",
          readdirSync(join(files, name, "nar")).find((each) => each.includes(".nar"))!,
        );
      rmSync(narIn("gone"));
      truncateSync(narIn("short"), 100_000);
      const bytes = readFileSync(narIn("broken"));
      bytes[500_000]! ^= 1;
      writeFileSync(narIn("broken"), bytes);
      await using server = await start("");
      const urls = ["gone", "short", "broken", "good"].map(
        (name, index) => `${server.url}/${name}?priority=${index + 1}&trusted=true`,
      );
      const { status, err } = await runCommand(
        commands,
        ["nix-store", "--realise", wanted, "--option", "substituters", urls.join(" ")],
        client("one"),
      );
      expect(status, err).toBe(0);
      expect(isThere("one", wanted)).toBe(true);
      expect(err).toMatch(/does not exist in binary cache '[^']*\/gone'/);
      expect(err).toMatch(/binary cache '[^']*\/short': .*bytes/s);
      expect(err).toMatch(/binary cache '[^']*\/broken': hash mismatch in file/);
      await succeed(runCommand(commands, ["nix-store", "--verify", "--check-contents"], client("one")));
    });

    full("is asked again when it says it is busy, as late as it says", async () => {
      const short = await addChain(commands, 2);
      await fill(short);
      await using server = await start(
        "location / { limit_req zone=few; limit_req_status 503; add_header Retry-After 1 always; }",
        { http: "limit_req_zone $server_port zone=few:1m rate=4r/s;" },
      );
      const { status, err } = await read(server.url, client("one"), short);
      expect(status, err).toBe(0);
      expect(server.requests().some((request) => request.status === 503)).toBe(true);
      const waits = [...err.matchAll(/HTTP error 503 .*; retrying in (\d+) ms/g)].map((match) =>
        Number(match[1]),
      );
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(1000);
    });

    full("wants a password, which a netrc file has", async () => {
      await fill(path);
      writeFileSync(join(commands.root, "users"), "me:{PLAIN}secret\n");
      await using server = await start(`auth_basic "members"; auth_basic_user_file ${commands.root}/users;`);
      const withPassword = (name: string, password: string): Promise<CommandResult> => {
        const file = commands.write(`netrc-${name}`, `machine 127.0.0.1 login me password ${password}\n`);
        return read(server.url, client(name, `netrc-file = ${file}\n`));
      };
      for (const refused of [read(server.url, client("none")), withPassword("wrong", "guess")]) {
        const said = await fail(refused);
        expect(said).toContain("HTTP error 401 ('Unauthorized')");
        expect(said).toContain("netrc-file");
      }
      await succeed(withPassword("right", "secret"));
      expect(isThere("right")).toBe(true);
      await succeed(read(server.url.replace("://", "://me:secret@"), client("address")));
      expect(isThere("address")).toBe(true);
    });

    const WEBDAV = "dav_methods PUT; create_full_put_path on; client_max_body_size 1m;";

    it("is written by PUT, as far as it lets one", async () => {
      await using server = await start(`location / { limit_except GET { allow all; } ${WEBDAV} }`);
      await succeed(
        run("nix", "copy", "--to", `${server.url}/deep?compression=xz&write-nar-listing=1`, path),
      );
      expect(readdirSync(join(files, "deep")).filter((name) => name.endsWith(".ls"))).toHaveLength(20);
      await succeed(read(`${server.url}/deep`, client("one")));
      expect(isThere("one")).toBe(true);
      // A second time nothing is sent again.
      const before = server.requests().length;
      await succeed(run("nix", "copy", "--to", `${server.url}/deep`, path));
      expect(
        server
          .requests()
          .slice(before)
          .filter(({ line }) => line.startsWith("PUT ")),
      ).toEqual([]);
      const large = await addRandom(commands, "large", 2);
      const said = await fail(run("nix", "copy", "--to", `${server.url}/deep?compression=none`, large));
      expect(said).toMatch(/unable to upload to '.*\.nar': HTTP error 413 \('Request Entity Too Large'\)/);
    });

    full("is written though connections are cut at random points", async () => {
      await using server = await start(`location / { ${WEBDAV} }`);
      const random = numbersFrom(3);
      await using proxy = await CuttingProxy.start(server.port, { cutAfter: () => random(100, 3000) });
      const { status, err } = await run("nix", "copy", "--to", `http://127.0.0.1:${proxy.port}`, path);
      expect(status, err).toBe(0);
      expect(err).toMatch(/warning: unable to upload to '.*': .*; retrying in/);
      expect(proxy.cuts).toBeGreaterThan(4);
      await succeed(read(server.url, client("one")));
      expect(isThere("one")).toBe(true);
    });

    full("that takes nothing says so", async () => {
      await using server = await start("");
      expect(await fail(run("nix", "copy", "--to", `${server.url}/new`, path))).toContain(
        "HTTP error 405 ('Not Allowed')",
      );
    });

    it("is believed by its certificate, if its authority is known", async () => {
      await fill(path);
      await using server = await start("", { isSecure: true });
      const authority = join(commands.root, "tls/authority.pem");
      const said = await fail(read(server.url, client("none")));
      expect(said).toContain("unable to verify the first certificate");
      expect(said).toContain("ssl-cert-file");
      await succeed(read(server.url, client("setting", `ssl-cert-file = ${authority}\n`)));
      await succeed(read(server.url, { ...client("variable"), NIX_SSL_CERT_FILE: authority }));
      expect([isThere("none"), isThere("setting"), isThere("variable")]).toEqual([false, true, true]);
      const wrong = await fail(
        read(server.url, client("wrong", `ssl-cert-file = ${commands.root}/absent\n`)),
      );
      expect(wrong).toContain(`Cannot use the certificates in "${commands.root}/absent"`);
    });

    full("stands before a server of ours", async () => {
      for (const compression of ["none", "zstd"]) {
        const port = await freePort();
        const serve = ["cache", "serve", "--listen", `127.0.0.1:${port}`, "--compression", compression];
        await using ours = await ServerProcess.start(port, [DEVSHELL, ...serve], commands.environment());
        // It asks by HTTP 1.0, unless told otherwise.
        await using server = await start(`location / { proxy_pass http://127.0.0.1:${ours.port}; }`);
        await succeed(read(server.url, client(compression)));
        expect(isThere(compression)).toBe(true);
        if (peer === "") continue;
        const words = [join(peer, "nix"), "copy", "--no-check-sigs", "--from", server.url, path];
        const name = `peer-${compression}`;
        await succeed(runCommand(commands, words, asPeer(name)));
        expect(isThere(name)).toBe(true);
      }
    });

    full("is reached through a proxy, by either protocol", async () => {
      await fill(path);
      await using server = await start("", { isSecure: true });
      const port = await freePort();
      const config = commands.write(
        "tinyproxy.conf",
        `Port ${port}\nListen 127.0.0.1\nBasicAuth me secret\nLogLevel Connect\n`,
      );
      await using proxy = await ServerProcess.start(port, [tree.program("tinyproxy"), "-d", "-c", config]);
      const authority = join(commands.root, "tls/authority.pem");
      const through = (name: string, login: string): Record<string, string> => ({
        ...client(name, `ssl-cert-file = ${authority}\n`),
        http_proxy: `http://${login}127.0.0.1:${port}`,
        https_proxy: `http://${login}127.0.0.1:${port}`,
      });
      await succeed(read(server.url, through("one", "me:secret@")));
      expect(isThere("one")).toBe(true);
      expect(proxy.log).toContain(`CONNECT 127.0.0.1:${server.port}`);
      const said = await fail(read(server.url, through("two", "")));
      expect(said).toContain("407 Proxy Authentication Required");
      expect(said).toContain("https_proxy");
      await server[Symbol.asyncDispose]();
      await using plain = await start("");
      await succeed(read(plain.url, through("three", "me:secret@")));
      expect(proxy.log).toContain(`GET http://127.0.0.1:${plain.port}/nix-cache-info`);
      expect(await fail(read(plain.url, through("four", "")))).toContain("HTTP error 407");
    });

    full("continues a download whose client was killed", async () => {
      const large = await addRandom(commands, "large", 4);
      await succeed(run("nix", "copy", "--to", `file://${files}?compression=none`, large));
      await using server = await start("");
      await using proxy = await CuttingProxy.start(server.port, { bytesPerSecond: 4 << 20 });
      const url = `http://127.0.0.1:${proxy.port}`;
      const downloads = join(commands.root, "one/var/devshell/downloads");
      const arrived = (): number =>
        existsSync(downloads)
          ? Math.max(0, ...readdirSync(downloads).map((name) => statSync(join(downloads, name)).size))
          : 0;
      const killed = startCommand(
        commands,
        ["nix", "copy", "--no-check-sigs", "--from", url, large],
        client("one"),
      );
      while (arrived() < 1 << 20) await sleep(10);
      killed.kill();
      await killed.done;
      const kept = arrived();
      proxy.habits = {};
      await succeed(read(url, client("one"), large));
      await succeed(runCommand(commands, ["nix-store", "--verify", "--check-contents"], client("one")));
      expect(server.requests().at(-1)).toMatchObject({ status: 206, range: `bytes=${kept}-` });
      expect(readdirSync(downloads)).toEqual([]);
    });

    it.skipIf(peer === "")("that we wrote is read by real Nix", async () => {
      await using server = await start(`location / { ${WEBDAV} }`);
      await succeed(run("nix", "copy", "--to", `${server.url}/ours?compression=zstd`, path));
      const words = [join(peer, "nix"), "copy", "--no-check-sigs", "--from", `${server.url}/ours`, path];
      await succeed(runCommand(commands, words, asPeer("peer")));
      expect(isThere("peer")).toBe(true);
    });
  },
);
