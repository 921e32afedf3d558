import { spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEVSHELL, TestCommands } from "./testCommands.ts";

/** `ssh` as a script that runs the command here, over a store of its own of the same directory's name. */
class WithHost implements Disposable {
  readonly commands: TestCommands;
  /** Where the other machine's files are. */
  readonly there: string;
  readonly address: string;

  constructor() {
    this.commands = new TestCommands();
    const { root } = this.commands;
    this.there = join(root, "there");
    this.address = `${this.there}?store=${root}/store&real=${this.there}/store`;
    const script = this.commands.write(
      "ssh-bin/ssh",
      `#!/bin/sh
echo "$*" >> ${root}/ssh-calls
while [ "$1" != -- ]; do shift; done
shift
export NIX_REMOTE='${this.address}'
exec sh -c "$*"
`,
    );
    chmodSync(script, 0o755);
  }

  get env(): Record<string, string> {
    const { root } = this.commands;
    return { PATH: `${root}/ssh-bin:${root}/bin:/usr/bin:/bin` };
  }

  /** Where a store path's files are on the other machine. */
  filesOf(path: string): string {
    return join(this.there, "store", path.slice(path.lastIndexOf("/") + 1));
  }

  [Symbol.dispose](): void {
    this.commands[Symbol.dispose]();
  }
}

describe("nix-copy-closure", () => {
  it("copies to another machine and back, through the user's ssh", () => {
    using host = new WithHost();
    const { commands, env } = host;
    const run = (command: string, ...args: string[]): string => {
      const { status, out, err } = commands.run(command, args, { env });
      expect(err, command).not.toContain("error:");
      expect(status, command).toBe(0);
      return out.trim();
    };
    const path = run("nix-store", "--add", commands.write("hello", "hello\n"));
    run("nix-copy-closure", "--gzip", "--to", "me@machine", path);
    expect(readFileSync(host.filesOf(path), "utf8")).toBe("hello\n");
    expect(readFileSync(join(commands.root, "ssh-calls"), "utf8")).toBe(
      "me@machine -x -C -- nix-store --serve --write\n",
    );
    run("nix-store", "--delete", path);
    expect(existsSync(path)).toBe(false);
    run("nix-copy-closure", "--from", "machine", path);
    expect(readFileSync(path, "utf8")).toBe("hello\n");
    expect(run("nix-store", "--check-validity", path)).toBe("");
  });

  it("says what the other machine says", () => {
    using host = new WithHost();
    const { commands, env } = host;
    chmodSync(
      commands.write("ssh-bin/ssh", "#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n"),
      0o755,
    );
    const path = commands.run("nix-store", ["--add", commands.write("x", "x")], { env }).out.trim();
    const { status, err } = commands.run("nix-copy-closure", ["machine", path], { env });
    expect(status).toBe(1);
    expect(err).toContain("cannot connect to 'machine'");
    expect(err).toContain("Permission denied (publickey).");
  });
});

describe("devshell cache serve", () => {
  it("serves until it is told to end", async () => {
    using commands = new TestCommands();
    const path = commands.run("nix-store", ["--add", commands.write("served", "served\n")]).out.trim();
    const secret = join(commands.root, "key.sec");
    commands.run("nix-store", [
      "--generate-binary-cache-key",
      "cache-1",
      secret,
      join(commands.root, "key.pub"),
    ]);
    const server = spawn(
      DEVSHELL,
      ["cache", "serve", "--listen", "127.0.0.1:0", "--secret-key", secret, "--priority", "5"],
      { env: commands.environment(), stdio: ["ignore", "pipe", "inherit"] },
    );
    const exited = once(server, "exit");
    const lines = createInterface(server.stdout)[Symbol.asyncIterator]();
    const [first, second] = [await lines.next(), await lines.next()];
    const url = / is served at (http:\S+)$/.exec(String(first.value))?.[1] ?? "";
    expect(String(second.value)).toBe(
      `signed by ${readFileSync(join(commands.root, "key.pub"), "utf8").trim()}`,
    );
    expect(await (await fetch(`${url}/nix-cache-info`)).text()).toContain("Priority: 5\n");
    const hashPart = path.slice(path.lastIndexOf("/") + 1).slice(0, 32);
    const info = await (await fetch(`${url}/${hashPart}.narinfo`)).text();
    expect(info).toMatch(/^Sig: cache-1:/m);
    server.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  it("says where it cannot listen, and what it does not know", () => {
    using commands = new TestCommands();
    commands.run("nix-store", ["--init"]);
    const run = (...args: string[]): string => commands.run(DEVSHELL, ["cache", ...args]).err;
    expect(run("serve", "--listen", "somewhere")).toContain('Cannot listen on "somewhere"');
    expect(run("serve", "--listen", "192.0.2.1:5000")).toContain("this machine has no such address");
    expect(run("serve", "--compression", "zst")).toContain("zstd");
    expect(run("serve", "--secret-key", "/absent")).toContain('Cannot read the secret key "/absent"');
    expect(run("sever")).toContain("serve");
  });
});
