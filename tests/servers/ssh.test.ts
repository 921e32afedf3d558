import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult } from "../cli/testCommands.ts";
import { CuttingProxy } from "./cuttingProxy.ts";
import { debianTree, isArchiveReachable, type DebianTree } from "./debianTree.ts";
import { addChain, addRandom, fail, runCommand, storeBeside, succeed } from "./runCommand.ts";
import { freePort } from "./serverProcess.ts";
import { SshServer } from "./sshServer.ts";

// A real OpenSSH server, and the user's own ssh. DEVSHELL_TEST_FULL=1 runs all; PEER_NIX: a directory of real Nix's programs, as client and server too.
const SUITE = "bookworm";
const isFull = process.env["DEVSHELL_TEST_FULL"] === "1";
const BOTH = ["ssh", "ssh-ng"];
const full = it.skipIf(!isFull);
const { PEER_NIX: peer = "" } = process.env;
const why = SshServer.whyNot() || ((await isArchiveReachable(SUITE)) ? "" : "no Debian mirror answers");

describe.skipIf(why !== "")(`stores behind sshd${why && ` (skipped: ${why})`}`, { timeout: 120_000 }, () => {
  let tree: DebianTree;
  let commands: TestCommands;
  let server: SshServer;
  let env: Record<string, string>;

  beforeAll(async () => {
    tree = await debianTree(SUITE, ["openssh-server", "openssh-client"]);
  }, 600_000);
  afterAll(() => tree[Symbol.dispose]());

  beforeEach(async () => {
    commands = new TestCommands();
    const { root } = commands;
    server = await SshServer.start(tree, {
      directory: join(root, "ssh"),
      env: {
        ...commands.environment(),
        PATH: `${root}/bin:/usr/bin:/bin`,
        DEVSHELL_CACHE_DIR: join(root, "there/cache"),
        NIX_REMOTE: storeBeside(commands, "there"),
        NIX_STATE_DIR: join(root, "there/var"),
      },
    });
    env = {
      PATH: `${root}/bin:${server.clientPath}:/usr/bin:/bin`,
      NIX_SSHOPTS: server.clientOptions(),
    };
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    commands[Symbol.dispose]();
  });

  const run = (...words: string[]): Promise<CommandResult> => runCommand(commands, words, env);
  const address = (scheme: string, port = server.port): string =>
    `${scheme}://${server.user}@127.0.0.1:${port}`;
  const placeThere = (path: string): string =>
    join(commands.root, "there/store", path.slice(path.lastIndexOf("/") + 1));

  it.each(isFull ? BOTH : ["ssh-ng"])("take and give closures by %s://", async (scheme) => {
    const path = await addChain(commands, 30);
    const url = address(scheme);
    await succeed(run("nix", "copy", "--to", url, path));
    expect(readFileSync(placeThere(path), "utf8")).toBe(readFileSync(path, "utf8"));
    const closure = await succeed(run("nix", "path-info", "--recursive", path));
    expect(closure.split("\n")).toHaveLength(30);
    expect(await succeed(run("nix", "path-info", "--recursive", "--store", url, path))).toBe(closure);
    await succeed(run("nix-store", "--delete", ...closure.split("\n")));
    expect(existsSync(path)).toBe(false);
    await succeed(run("nix", "copy", "--no-check-sigs", "--from", url, path));
    await succeed(run("nix-store", "--verify", "--check-contents"));
    expect(await succeed(run("nix", "path-info", "--recursive", path))).toBe(closure);
  });

  full("are written and read by nix-copy-closure", async () => {
    const path = await addChain(commands, 5);
    const host = `${server.user}@127.0.0.1`;
    env["NIX_SSHOPTS"] += ` -p ${server.port}`;
    await succeed(run("nix-copy-closure", "--to", host, path));
    expect(existsSync(placeThere(path))).toBe(true);
    await succeed(run("nix-store", "--gc"));
    expect(existsSync(path)).toBe(false);
    await succeed(run("nix-copy-closure", "--gzip", "--from", host, path));
    await succeed(run("nix-store", "--check-validity", path));
  });

  const EXPRESSION = `
    let made = name: script: derivation {
      inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ];
    };
    in made "second" "read -r line < \${made "first" "echo built > $out"}; echo $line twice > $out"`;

  it.each(isFull ? BOTH : ["ssh"])("build for us by %s://", async (scheme) => {
    const expression = commands.write("default.nix", EXPRESSION);
    const words = [expression, "--no-out-link", "-j0", "--builders", `${address(scheme)} x86_64-linux - 2 1`];
    const built = await run("nix-build", ...words);
    const path = await succeed(built);
    expect(built.err).toContain(`on '${address(scheme)}'`);
    expect(readFileSync(path, "utf8")).toBe("built twice\n");
    expect(readFileSync(placeThere(path), "utf8")).toBe("built twice\n");
  });

  it.each(BOTH)("with another key than is known are not spoken to by %s://", async (scheme) => {
    const path = await addChain(commands, 1);
    env["NIX_SSHOPTS"] = server.clientOptions(server.port, "other_host_key");
    const said = await fail(run("nix", "copy", "--to", address(scheme), path));
    expect(said).toContain("Host key verification failed");
    expect(said).toMatch(/error: cannot (?:connect to|open connection to remote store) '[^']*127\.0\.0\.1/);
    expect(existsSync(placeThere(path))).toBe(false);
  });

  full.each(BOTH)(
    "with a key that the address pins are spoken to by %s://, and no others",
    async (scheme) => {
      const path = await addChain(commands, 1);
      // The user's own files know nothing of the host.
      env["NIX_SSHOPTS"] = server.clientOptions(1);
      const pinned = (key: "host_key" | "other_host_key"): string =>
        `${address(scheme)}?base64-ssh-public-host-key=${server.hostKey(key)}`;
      expect(await fail(run("nix", "copy", "--to", pinned("other_host_key"), path))).toContain(
        "Host key verification failed",
      );
      await succeed(run("nix", "copy", "--to", pinned("host_key"), path));
      expect(existsSync(placeThere(path))).toBe(true);
    },
  );

  full.each(BOTH)("that nobody serves are said to be so by %s://", async (scheme) => {
    const path = await addChain(commands, 1);
    const said = await fail(run("nix", "copy", "--to", address(scheme, await freePort()), path));
    expect(said).toContain("Connection refused");
    expect(said).toMatch(/error: cannot (?:connect to|open connection to remote store) '[^']*127\.0\.0\.1/);
  });

  full.each(BOTH)("that are cut off in the middle lose nothing by %s://", async (scheme) => {
    const path = await addRandom(commands, "large", 4);
    await succeed(run("nix", "copy", "--to", address(scheme), path));
    await succeed(run("nix-store", "--delete", path));
    await using proxy = await CuttingProxy.start(server.port, { cutAfter: () => 2 << 20 });
    env["NIX_SSHOPTS"] = server.clientOptions(proxy.port);
    const copy = ["nix", "copy", "--no-check-sigs", "--from", address(scheme, proxy.port), path];
    const said = await fail(run(...copy));
    expect(proxy.cuts).toBe(1);
    expect(said).toMatch(/error: .*(?:has ended|disconnected unexpectedly)/);
    expect(existsSync(path)).toBe(false);
    await succeed(run("nix-store", "--verify", "--check-contents"));
    proxy.habits = {};
    await succeed(run(...copy));
    await succeed(run("nix-store", "--verify", "--check-contents"));
  });

  full.each(BOTH)("are substituters by %s://", async (scheme) => {
    const path = await addChain(commands, 8);
    await succeed(run("nix", "copy", "--to", address(scheme), path));
    await succeed(run("nix-store", "--gc"));
    expect(existsSync(path)).toBe(false);
    const realised = await run("nix-store", "--realise", path, "--option", "substituters", address(scheme));
    expect(await succeed(realised)).toBe(path);
    await succeed(run("nix-store", "--verify", "--check-contents"));
  });

  describe.skipIf(peer === "")("real Nix", () => {
    const runPeer = (...words: string[]): Promise<CommandResult> => {
      const [command = "", ...args] = words;
      return runCommand(commands, [join(peer, command), ...args], {
        ...env,
        PATH: `${peer}:${env["PATH"] ?? ""}`,
        NIX_REMOTE: storeBeside(commands, "peer"),
        NIX_STATE_DIR: join(commands.root, "peer/var"),
        NIX_CONFIG:
          "experimental-features = nix-command\nbuild-users-group =\nsubstituters =\nsandbox = false\nrequire-sigs = false",
      });
    };

    it.each(BOTH)("is served by us through %s://", async (scheme) => {
      const path = await succeed(runPeer("nix-store", "--add", commands.write("hello", "hello\n")));
      await succeed(runPeer("nix", "copy", "--to", address(scheme), path));
      expect(readFileSync(placeThere(path), "utf8")).toBe("hello\n");
      await succeed(runPeer("nix-store", "--delete", path));
      await succeed(runPeer("nix", "copy", "--no-check-sigs", "--from", address(scheme), path));
      await succeed(runPeer("nix-store", "--check-validity", path));
    });

    it.each(BOTH)("has us build through %s://", async (scheme) => {
      const expression = commands.write("default.nix", EXPRESSION);
      const builders = `${address(scheme)} x86_64-linux - 2 1`;
      const built = await runPeer("nix-build", expression, "--no-out-link", "-j0", "--builders", builders);
      const path = await succeed(built);
      expect(built.err).toContain(`on '${address(scheme)}'`);
      expect(readFileSync(placeThere(path), "utf8")).toBe("built twice\n");
    });

    it.each(BOTH)("serves us through %s://", async (scheme) => {
      const program = join(peer, scheme === "ssh" ? "nix-store" : "nix-daemon");
      const store = encodeURIComponent(storeBeside(commands, "peer"));
      const url = `${address(scheme)}?remote-program=${program}&remote-store=${store}`;
      const path = await succeed(run("nix-store", "--add", commands.write("hello", "hello\n")));
      await succeed(run("nix", "copy", "--no-check-sigs", "--to", url, path));
      expect(await succeed(runPeer("nix-store", "--check-validity", path))).toBe("");
      await succeed(run("nix-store", "--delete", path));
      await succeed(run("nix", "copy", "--no-check-sigs", "--from", url, path));
      expect(readFileSync(path, "utf8")).toBe("hello\n");
    });
  });
});
