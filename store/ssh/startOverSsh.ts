import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import type { Channel } from "./channel.ts";
import type { SshAddress } from "./sshAddress.ts";
import { isHere, sshCommandLine } from "./sshCommandLine.ts";

export interface SshStartOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told each line that the other side prints on standard error; unset: it goes to ours. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** How long a program may take to end once it is told nothing more. */
const END_MS = 2000;
const SETTLE_MS = 500;
const COMPLAINT_LINES = 10;
const MAX_LINE_LENGTH = 64 << 10;

/** Starts a command on another machine, through the user's own `ssh` with all of its configuration. */
export function startOverSsh(
  address: SshAddress,
  command: readonly string[],
  { env, onLine }: SshStartOptions,
): Channel {
  const hostKey = isHere(address) ? "" : (address.parameters.get("base64-ssh-public-host-key") ?? "");
  const directory = hostKey === "" ? undefined : mkdtempSync(join(tmpdir(), "devshell-ssh-"));
  const hostKeyFile = directory === undefined ? undefined : join(directory, "host-key");
  if (hostKeyFile !== undefined) writeFileSync(hostKeyFile, knownHost(address, hostKey));
  const [program = "", ...args] = sshCommandLine(address, command, {
    sshOptions: env["NIX_SSHOPTS"],
    ...(hostKeyFile !== undefined && { hostKeyFile }),
  });
  const child = spawn(program, args, { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
  return new SshChannel(child, address, { onLine, directory });
}

class SshChannel implements Channel {
  readonly input: Readable;
  readonly output: Writable;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #directory: string | undefined;
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;

  constructor(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    address: SshAddress,
    {
      onLine,
      directory,
    }: { readonly onLine: SshStartOptions["onLine"]; readonly directory: string | undefined },
  ) {
    this.#child = child;
    this.#directory = directory;
    this.input = child.stdout;
    this.output = child.stdin;
    this.output.on("error", () => undefined); // whoever writes hears of it
    this.#ended = new Promise((resolve) => child.once("close", () => resolve()));
    child.once("error", (cause) => {
      const failure = new DevshellError("SSH_FAILED", `Cannot start ssh to '${address.host}'`, {
        cause,
        hint: "is ssh installed?",
      });
      this.#lines.push(bytesOfText(cause.message));
      this.input.destroy(failure);
    });
    splitLines(child.stderr, (line) => {
      this.#lines.push(line);
      if (this.#lines.length > COMPLAINT_LINES) this.#lines.shift();
      if (onLine === undefined) process.stderr.write(`${line}\n`, "latin1");
      else onLine(line);
    });
  }

  readonly complaint = (): string => this.#lines.join("\n");

  readonly settled = (): Promise<void> =>
    Promise.race([this.#ended, sleep(SETTLE_MS, undefined, { ref: false })]);

  async [Symbol.asyncDispose](): Promise<void> {
    this.output.end();
    // What it still has to say is of no interest, and must not keep it from ending.
    this.input.on("error", () => undefined).resume();
    const kill = setTimeout(() => this.#child.kill("SIGTERM"), END_MS);
    await this.#ended;
    clearTimeout(kill);
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A line of `known_hosts`; the key's kind and text come in base 64. */
function knownHost({ host }: SshAddress, base64: string): string {
  const key = Buffer.from(base64, "base64").toString("latin1").trim();
  if (!/^[\w@.-]+ [A-Za-z0-9+/=]+( .*)?$/.test(key))
    throw new DevshellError("SSH_ADDRESS_INVALID", `Cannot read the public key of the host '${host}'`, {
      hint: "it is the base 64 of a line of /etc/ssh/ssh_host_*_key.pub",
    });
  return `${host} ${key}\n`;
}

function splitLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("latin1");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
    if (rest.length <= MAX_LINE_LENGTH) return;
    onLine(rest);
    rest = "";
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}
