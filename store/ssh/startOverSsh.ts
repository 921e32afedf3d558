import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import type { Channel } from "./channel.ts";
import { KnownHostsFile, pinnedHost } from "./knownHostsFile.ts";
import type { SshAddress } from "./sshAddress.ts";
import { sshCommandLine } from "./sshCommandLine.ts";

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
  const pinned = pinnedHost(address);
  const knownHosts = pinned === undefined ? undefined : new KnownHostsFile(pinned);
  const [program = "", ...args] = sshCommandLine(address, command, {
    sshOptions: env["NIX_SSHOPTS"],
    hostKeyFile: knownHosts?.path,
  });
  const child = spawn(program, args, { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
  return new SshChannel(child, address, { onLine, knownHosts });
}

class SshChannel implements Channel {
  readonly input: Readable;
  readonly output: Writable;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #knownHosts: KnownHostsFile | undefined;
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;

  constructor(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    address: SshAddress,
    {
      onLine,
      knownHosts,
    }: { readonly onLine: SshStartOptions["onLine"]; readonly knownHosts: KnownHostsFile | undefined },
  ) {
    this.#child = child;
    this.#knownHosts = knownHosts;
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
    this.#knownHosts?.[Symbol.dispose]();
  }
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
