import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEVSHELL, TestCommands, type CommandResult } from "./testCommands.ts";

// Real Nix at the other end. PEER_NIX: the directory of its programs. It builds only where no directory on the way to its
// store is everybody's to write: TMPDIR names such a place.
const { PEER_NIX: peer = "" } = process.env;

const CONFIG = `experimental-features = nix-command flakes
build-users-group =
substituters =
require-sigs = false
sandbox = true
sandbox-paths = /bin /lib /lib64 /usr`;

/** Our commands and the peer's, each with a store of its own of one directory's name. */
class WithPeer implements Disposable {
  readonly ours: TestCommands;
  readonly #peerRoot: string;

  constructor() {
    this.ours = new TestCommands();
    this.#peerRoot = join(this.ours.root, "peer");
  }

  /** The peer's store's address, for whoever starts its programs. */
  get peerStore(): string {
    return `${this.#peerRoot}?store=${this.ours.root}/store&real=${this.#peerRoot}/store&state=${this.#peerRoot}/var`;
  }

  get ourStore(): string {
    const { root } = this.ours;
    return `${root}/there?store=${root}/store&real=${root}/there/store&state=${root}/there/var`;
  }

  /** Our store behind `ssh://localhost`. */
  get ourMachine(): string {
    return this.#machine("ours", this.ourStore, join(this.ours.root, "bin/nix-store"));
  }

  get peerMachine(): string {
    return this.#machine("peers", this.peerStore, join(peer, "nix-store"));
  }

  #machine(name: string, store: string, program: string): string {
    const file = this.ours.write(
      name,
      `#!/bin/sh\nNIX_REMOTE='${store}' NIX_CONFIG='${CONFIG}' exec ${program} "$@"\n`,
    );
    chmodSync(file, 0o755);
    return `ssh://localhost?remote-program=${file}`;
  }

  runPeer(command: string, args: readonly string[]): CommandResult {
    const { root } = this.ours;
    const { status, stdout, stderr } = spawnSync(join(peer, command), args, {
      cwd: root,
      encoding: "utf8",
      env: {
        ...this.ours.environment(),
        PATH: `${peer}:/usr/bin:/bin`,
        NIX_REMOTE: this.peerStore,
        NIX_STATE_DIR: `${this.#peerRoot}/var`,
        NIX_CONFIG: CONFIG,
      },
    });
    return { status, out: stdout, err: stderr };
  }

  [Symbol.dispose](): void {
    this.ours[Symbol.dispose]();
  }
}

function succeed({ status, out, err }: CommandResult): string {
  expect(status, err).toBe(0);
  return out.trim();
}

describe.skipIf(peer === "")("real Nix at the other end", { timeout: 120_000 }, () => {
  it("copies to us and from us by ssh://", () => {
    using pair = new WithPeer();
    const { ours } = pair;
    const file = ours.write("hello", "hello\n");
    const path = succeed(pair.runPeer("nix-store", ["--add", file]));
    succeed(pair.runPeer("nix", ["copy", "--to", pair.ourMachine, path]));
    const there = join(ours.root, "there/store", path.slice(path.lastIndexOf("/") + 1));
    expect(readFileSync(there, "utf8")).toBe("hello\n");
    succeed(pair.runPeer("nix-store", ["--delete", path]));
    succeed(pair.runPeer("nix", ["copy", "--no-check-sigs", "--from", pair.ourMachine, path]));
    succeed(pair.runPeer("nix-store", ["--check-validity", path]));
  });

  it("is copied to and from by us", () => {
    using pair = new WithPeer();
    const { ours } = pair;
    const path = succeed(ours.run("nix-store", ["--add", ours.write("hello", "hello\n")]));
    succeed(ours.run("nix", ["copy", "--to", pair.peerMachine, path]));
    succeed(pair.runPeer("nix-store", ["--check-validity", path]));
    succeed(ours.run("nix-store", ["--delete", path]));
    expect(existsSync(path)).toBe(false);
    succeed(ours.run("nix", ["copy", "--no-check-sigs", "--from", pair.peerMachine, path]));
    expect(readFileSync(path, "utf8")).toBe("hello\n");
  });

  it("takes us as its substituter over HTTP", async () => {
    using pair = new WithPeer();
    const { ours } = pair;
    const path = succeed(ours.run("nix-store", ["--add", ours.write("hello", "hello\n")]));
    const [secret, open] = [join(ours.root, "key.sec"), join(ours.root, "key.pub")];
    succeed(ours.run("nix-store", ["--generate-binary-cache-key", "cache-1", secret, open]));
    for (const compression of ["none", "zstd"]) {
      const server = spawn(
        DEVSHELL,
        ["cache", "serve", "--listen", "127.0.0.1:0", "--secret-key", secret, "--compression", compression],
        { env: ours.environment(), stdio: ["ignore", "pipe", "inherit"] },
      );
      const exited = once(server, "exit");
      const line = await createInterface(server.stdout)[Symbol.asyncIterator]().next();
      const url = / is served at (http:\S+)$/.exec(String(line.value))?.[1] ?? "";
      const realise = [
        "--realise",
        path,
        "--option",
        "substituters",
        url,
        "--option",
        "require-sigs",
        "true",
      ];
      const withKey = ["--option", "trusted-public-keys", readFileSync(open, "utf8").trim()];
      succeed(pair.runPeer("nix-store", [...realise, ...withKey]));
      succeed(pair.runPeer("nix-store", ["--delete", path]));
      server.kill("SIGTERM");
      expect(await exited).toEqual([0, null]);
    }
  });

  const EXPRESSION = `
    let made = name: script: derivation {
      inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ];
    };
    in made "second" "read -r line < \${made "first" "echo built > $out"}; echo $line twice > $out"`;

  it("has us build by ssh://", () => {
    using pair = new WithPeer();
    const expression = pair.ours.write("default.nix", EXPRESSION);
    const built = pair.runPeer("nix-build", [
      expression,
      "--no-out-link",
      "-j0",
      "--builders",
      `${pair.ourMachine} - - 2 1`,
    ]);
    const out = succeed(built);
    expect(built.err).toContain("on 'ssh://localhost");
    const file = join(pair.ours.root, "peer/store", out.slice(out.lastIndexOf("/") + 1));
    expect(readFileSync(file, "utf8")).toBe("built twice\n");
  });

  it("takes our program for its build hook", () => {
    using pair = new WithPeer();
    const expression = pair.ours.write("default.nix", EXPRESSION);
    const hook = `${join(pair.ours.root, "bin/nix")} __build-remote`;
    const build = [expression, "--no-out-link", "-j0", "--builders", `${pair.ourMachine} - - 2 1`];
    const built = pair.runPeer("nix-build", [...build, "--option", "build-hook", hook]);
    const out = succeed(built);
    const file = join(pair.ours.root, "peer/store", out.slice(out.lastIndexOf("/") + 1));
    expect(readFileSync(file, "utf8")).toBe("built twice\n");
  });

  it("builds for us by ssh://", () => {
    using pair = new WithPeer();
    const expression = pair.ours.write("default.nix", EXPRESSION);
    const out = succeed(
      pair.ours.run("nix-build", [
        expression,
        "--no-out-link",
        "-j0",
        "--builders",
        `${pair.peerMachine} - - 2 1`,
      ]),
    );
    expect(readFileSync(out, "utf8")).toBe("built twice\n");
  });
});
