import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { DebianTree } from "./debianTree.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";

export interface SshServerOptions {
  /** Made, and used for all its files. */
  readonly directory: string;
  /** Of the sessions. */
  readonly env: Readonly<Record<string, string>>;
}

/** An OpenSSH server of an ordinary user's, with keys of its own. */
export class SshServer implements AsyncDisposable {
  readonly user: string;
  readonly #process: ServerProcess;
  readonly #tree: DebianTree;
  readonly #directory: string;

  private constructor(server: ServerProcess, user: string, tree: DebianTree, directory: string) {
    this.#process = server;
    this.user = user;
    this.#tree = tree;
    this.#directory = directory;
  }

  /** Why there can be none here; "" where there can. */
  static whyNot(): string {
    if (process.getuid?.() !== 0) return "";
    return spawnSync("unshare", ["--user", "--map-root-user", "--mount", "true"]).status === 0
      ? ""
      : "root needs namespaces to run one as somebody else";
  }

  static async start(tree: DebianTree, { directory, env }: SshServerOptions): Promise<SshServer> {
    mkdirSync(directory, { recursive: true });
    for (const name of ["host_key", "other_host_key", "id"]) makeKey(tree, join(directory, name));
    writeFileSync(join(directory, "authorized_keys"), readFileSync(join(directory, "id.pub")));
    const session = join(directory, "session");
    const variables = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
    writeFileSync(session, `#!/bin/sh\n${variables.join("")}exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n`);
    chmodSync(session, 0o755);
    const port = await freePort();
    const config = join(directory, "sshd_config");
    writeFileSync(
      config,
      `ListenAddress 127.0.0.1
Port ${port}
HostKey ${directory}/host_key
PidFile none
AuthorizedKeysFile ${directory}/authorized_keys
AuthenticationMethods publickey
StrictModes no
UsePAM no
PrintMotd no
LogLevel VERBOSE
MaxStartups 200
MaxSessions 200
ForceCommand ${session}
`,
    );
    const argv = [tree.program("sshd"), "-D", "-e", "-f", config];
    const [user, all] = process.getuid?.() === 0 ? asSomebody(directory, argv) : [userInfo().username, argv];
    return new SshServer(await ServerProcess.start(port, all), user, tree, directory);
  }

  get port(): number {
    return this.#process.port;
  }

  get log(): string {
    return this.#process.log;
  }

  /** The public key in the form that addresses of stores hold. */
  hostKey(name: "host_key" | "other_host_key"): string {
    const key = readFileSync(join(this.#directory, `${name}.pub`), "utf8");
    return encodeURIComponent(Buffer.from(key).toString("base64"));
  }

  /** What the user's own configuration says, in `NIX_SSHOPTS`; a name of a file of keys is believed. */
  clientOptions(port = this.port, hostKey: "host_key" | "other_host_key" = "host_key"): string {
    const file = join(this.#directory, `client-${port}-${hostKey}`);
    const key = readFileSync(join(this.#directory, `${hostKey}.pub`), "utf8");
    writeFileSync(`${file}.hosts`, `[127.0.0.1]:${port} ${key}`);
    writeFileSync(
      file,
      `Host *
  IdentityFile ${this.#directory}/id
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${file}.hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  BatchMode yes
`,
    );
    return `-F ${file}`;
  }

  /** The directory of the client of the same version. */
  get clientPath(): string {
    return this.#tree.program("ssh").replace(/\/ssh$/, "");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** Root would have to make directories and users for it: so nobody is root, in namespaces of its own. */
function asSomebody(directory: string, argv: readonly string[]): [user: string, argv: readonly string[]] {
  const passwd = join(directory, "passwd");
  writeFileSync(passwd, `root:x:0:0::/:/bin/sh\ntester:x:1000:1000::${directory}:/bin/sh\n`);
  const script =
    'mount --bind "$0" /etc/passwd && exec unshare --user --map-user=1000 --map-group=1000 -- "$@"';
  const outer = ["unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", script, passwd];
  return ["tester", [...outer, ...argv]];
}

function makeKey(tree: DebianTree, file: string): void {
  const args = ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file];
  const { status, stderr } = spawnSync(tree.program("ssh-keygen"), args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ssh-keygen: ${stderr}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
