import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult } from "../cli/testCommands.ts";
import { debianTree, isArchiveReachable, type DebianTree } from "./debianTree.ts";
import { addChain, addRandom, fail, runCommand, storeBeside, succeed } from "./runCommand.ts";
import { S3Server } from "./s3Server.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";

// A bucket at Ceph's gateway, a real server of S3. DEVSHELL_TEST_FULL=1, since it is a download of its own from a
// newer suite; PEER_NIX: a directory of real Nix's programs, the other user of the bucket.
const SUITE = "trixie";
const { PEER_NIX: peer = "" } = process.env;
const isFull = process.env["DEVSHELL_TEST_FULL"] === "1";
const why = !isFull
  ? "unless DEVSHELL_TEST_FULL=1"
  : (await isArchiveReachable(SUITE))
    ? ""
    : "no Debian mirror answers";

describe.skipIf(why !== "")(`a bucket of Ceph's${why && ` (skipped: ${why})`}`, { timeout: 120_000 }, () => {
  let tree: DebianTree;
  let commands: TestCommands;
  let server: S3Server;
  let path: string;

  beforeAll(async () => {
    tree = await debianTree(SUITE, ["radosgw"]);
  }, 600_000);
  afterAll(() => tree[Symbol.dispose]());

  beforeEach(async () => {
    commands = new TestCommands();
    server = await S3Server.start(tree, join(commands.root, "s3"));
    path = await addChain(commands, 20);
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    commands[Symbol.dispose]();
  });

  const address = (prefix: string, parameters = ""): string =>
    `s3://bucket/${prefix}?endpoint=127.0.0.1:${server.port}&scheme=http&region=us-east-1${parameters}`;
  const run = (env: Record<string, string>, ...words: string[]): Promise<CommandResult> =>
    runCommand(commands, words, env);
  const copyTo = (
    url: string,
    env: Record<string, string> = server.login,
    wanted = path,
  ): Promise<CommandResult> => run(env, "nix", "copy", "--to", url, wanted);
  const copyFrom = (url: string, name: string, wanted = path): Promise<CommandResult> =>
    run(
      {
        ...server.login,
        NIX_REMOTE: storeBeside(commands, name),
        NIX_STATE_DIR: join(commands.root, name, "var"),
        DEVSHELL_CACHE_DIR: join(commands.root, name, "cache"),
      },
      "nix",
      "copy",
      "--no-check-sigs",
      "--from",
      url,
      wanted,
    );
  const isThere = (name: string, wanted = path): boolean =>
    existsSync(join(commands.root, name, "store", wanted.slice(wanted.lastIndexOf("/") + 1)));

  it("is written and read with the variables' credentials", async () => {
    await succeed(copyTo(address("one", "&compression=zstd&write-nar-listing=1")));
    for (const ending of [".narinfo", ".ls"])
      expect(
        server.log.split("\n").filter((line) => /"PUT/.test(line) && line.includes(`${ending} `)),
      ).toHaveLength(20);
    await succeed(copyFrom(address("one"), "there"));
    expect(isThere("there")).toBe(true);
  });

  it("is written with the credentials of the user's profile", async () => {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = server.login;
    const text = `[work]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`;
    commands.write(".aws/credentials", text);
    await succeed(copyTo(address("two", "&profile=work"), {}));
    await succeed(copyFrom(address("two"), "there"));
    expect(isThere("there")).toBe(true);
  });

  it("takes large files in parts", async () => {
    // What Ceph's database joins of parts, rclone's too, is not what was sent (18.2): this one is moto.
    using moto = await debianTree(SUITE, ["python3-moto", "python3-flask-cors"]);
    const port = await freePort();
    const argv = [moto.program("python3"), "-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)];
    await using other = await ServerProcess.start(port, argv, { HOME: commands.root });
    expect((await fetch(`http://127.0.0.1:${port}/bucket`, { method: "PUT" })).status).toBe(200);
    const at = (parameters: string): string =>
      address("parts", parameters).replace(`:${server.port}&`, `:${port}&`);
    const large = await addRandom(commands, "large", 12);
    const parts = "&compression=none&multipart-upload=true&multipart-threshold=5242880";
    await succeed(copyTo(at(parts), server.login, large));
    expect(other.log).toMatch(/"PUT \S+\?partNumber=3&/);
    await succeed(copyFrom(at(""), "there", large));
    expect(readFileSync(join(commands.root, "there/store", large.slice(large.lastIndexOf("/") + 1)))).toEqual(
      readFileSync(large),
    );
  });

  it("says what is wrong with credentials", async () => {
    const wrong = await fail(copyTo(address("x"), { ...server.login, AWS_SECRET_ACCESS_KEY: "wrong" }));
    expect(wrong).toContain("SignatureDoesNotMatch");
    const unknown = await fail(copyTo(address("x"), { ...server.login, AWS_ACCESS_KEY_ID: "NOBODY" }));
    expect(unknown).toContain("InvalidAccessKeyId");
  });

  it("says where there is no such bucket", async () => {
    const said = await fail(copyTo(address("x").replace("//bucket/", "//absent/")));
    expect(said).toContain("NoSuchBucket");
  });

  describe.skipIf(peer === "")("shared with real Nix", () => {
    // It is often built without what signs.
    beforeEach(() => server.open());

    const runPeer = (...words: string[]): Promise<CommandResult> => {
      const [command = "", ...args] = words;
      return runCommand(commands, [join(peer, command), ...args], {
        ...server.login,
        NIX_REMOTE: storeBeside(commands, "peer"),
        NIX_STATE_DIR: join(commands.root, "peer/var"),
        HOME: join(commands.root, "peer"),
        NIX_CONFIG:
          "experimental-features = nix-command\nbuild-users-group =\nsubstituters =\nrequire-sigs = false\n",
      });
    };

    it("is read by it as we wrote it", async () => {
      await succeed(copyTo(address("ours", "&compression=xz")));
      await succeed(runPeer("nix", "copy", "--no-check-sigs", "--from", address("ours"), path));
      expect(isThere("peer")).toBe(true);
    });

    it("is read by us as it wrote it, with what it compresses on the way", async () => {
      const theirs = await succeed(runPeer("nix-store", "--add", commands.write("theirs", "theirs\n")));
      const parameters = "&compression=zstd&narinfo-compression=gzip";
      await succeed(runPeer("nix", "copy", "--to", address("theirs", parameters), theirs));
      await succeed(copyFrom(address("theirs"), "there", theirs));
      expect(isThere("there", theirs)).toBe(true);
    });
  });
});
