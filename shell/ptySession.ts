import type { IPty } from "node-pty";
import { readTerminalSettings, restoreTerminal, setTerminalRaw } from "./terminal.ts";
import type { InputTerminal, OutputTerminal, TerminalSettings } from "./terminal.ts";
import { TerminalModes } from "./terminalModes.ts";

export interface PtyCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
}

export interface PtySessionOptions {
  /** The terminal in front of the user. */
  readonly stdin?: InputTerminal | undefined;
  readonly stdout?: OutputTerminal | undefined;
}

/** How often to look whether the launcher, which would put the terminal back, is still there. */
const PARENT_CHECK_MS = 1_000;
/** How long keys wait for the first prompt: earlier the pseudo-terminal would echo them, and the prompt again. */
const HOLD_INPUT_MS = 2_000;
const LINE_FEED = 0x0a;
const CTRL_C = 0x03;
const FALLBACK_SIZE = { columns: 80, rows: 24 };

/**
 * A command in a pseudo-terminal of its own, joined byte for byte with the user's terminal. Closing puts the
 * terminal back as it was, whatever ended the command.
 */
export class PtySession implements AsyncDisposable {
  /** The command's exit status; 128 and the signal's number when a signal ended it. */
  readonly exited: Promise<number>;
  readonly #pty: IPty;
  readonly #stdin: InputTerminal;
  readonly #stdout: OutputTerminal;
  readonly #settings: TerminalSettings | undefined;
  readonly #modes = new TerminalModes();
  readonly #cleanups: (() => void)[] = [];
  #isClosed = false;
  #hasExited = false;

  /** @throws when node-pty's compiled part is missing or no pseudo-terminal can be had */
  static async start(command: PtyCommand, options: PtySessionOptions = {}): Promise<PtySession> {
    const { spawn } = await import("node-pty");
    const stdin = options.stdin ?? process.stdin;
    const stdout = options.stdout ?? process.stdout;
    const settings = stdin.isTTY ? readTerminalSettings(stdin.fd, process.env["DEVSHELL_TTY"]) : undefined;
    const pty = spawn(command.file, [...command.args], {
      name: command.environment["TERM"] ?? "xterm-256color",
      cols: stdout.columns || FALLBACK_SIZE.columns,
      rows: stdout.rows || FALLBACK_SIZE.rows,
      cwd: command.directory,
      env: { ...command.environment },
      encoding: null,
    });
    return new PtySession(pty, stdin, stdout, settings);
  }

  private constructor(
    pty: IPty,
    stdin: InputTerminal,
    stdout: OutputTerminal,
    settings: TerminalSettings | undefined,
  ) {
    this.#pty = pty;
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#settings = settings;
    this.exited = new Promise((resolve) => {
      pty.onExit(({ exitCode, signal }) => {
        this.#hasExited = true;
        resolve(signal === undefined || signal === 0 ? exitCode : 128 + signal);
      });
    });
    if (settings !== undefined) setTerminalRaw(stdin.fd);
    this.#joinStreams();
    this.#joinSignals();
  }

  get pid(): number {
    return this.#pty.pid;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    return Promise.resolve();
  }

  #joinStreams(): void {
    let held: Buffer[] | undefined = [];
    const release = (): void => {
      const chunks = held ?? [];
      held = undefined;
      for (const chunk of chunks) this.#pty.write(chunk);
    };
    const holding = setTimeout(release, HOLD_INPUT_MS);
    // With `encoding: null` node-pty hands out buffers, which its types do not say.
    const output = this.#pty.onData((data) => {
      const chunk = data as unknown as Buffer;
      this.#modes.feed(chunk);
      // A line that is not ended is a prompt.
      if (held !== undefined && chunk.at(-1) !== LINE_FEED) release();
      if (!this.#stdout.write(chunk)) {
        this.#pty.pause();
        this.#stdout.once("drain", () => this.#pty.resume());
      }
    });
    const input = (chunk: Buffer): void => {
      if (held === undefined) return this.#pty.write(chunk);
      held.push(chunk);
      if (chunk.includes(CTRL_C)) release();
    };
    const end = (): void => this.#hangUp();
    // A terminal that has gone away makes writing fail: that is a hang-up, not a crash.
    const gone = (): void => this.#hangUp();
    this.#stdin.on("data", input);
    this.#stdin.on("end", end);
    this.#stdin.on("error", gone);
    this.#stdout.on("error", gone);
    this.#stdin.resume();
    this.#cleanups.push(() => {
      clearTimeout(holding);
      output.dispose();
      this.#stdin.off("data", input);
      this.#stdin.off("end", end);
      this.#stdin.off("error", gone);
      this.#stdout.off("error", gone);
      this.#stdin.pause();
      this.#stdin.unref?.();
    });
  }

  #joinSignals(): void {
    const resize = (): void => {
      const { columns, rows } = this.#stdout;
      if (columns > 0 && rows > 0) this.#pty.resize(columns, rows);
    };
    this.#on("SIGWINCH", resize);
    this.#on("SIGHUP", () => this.#hangUp());
    this.#on("SIGTERM", () => this.#hangUp());
    // Typed keys arrive as bytes; these come only from outside, for the command in the foreground.
    this.#on("SIGINT", () => this.#pty.write("\x03"));
    this.#on("SIGQUIT", () => this.#pty.write("\x1c"));
    const takeTerminal = (): void => {
      if (this.#settings !== undefined && !this.#isClosed) setTerminalRaw(this.#stdin.fd);
      resize();
    };
    // What the shell's `suspend` sends (session.bash). The whole job stops, the launcher too; where nobody could wake
    // it again the kernel lets the signal pass, and all goes on.
    const suspend = (): void => {
      this.#restore();
      process.off("SIGTSTP", suspend);
      process.kill(0, "SIGTSTP");
      setImmediate(() => {
        if (this.#isClosed) return;
        process.on("SIGTSTP", suspend);
        takeTerminal();
      });
    };
    this.#on("SIGTSTP", suspend);
    this.#on("SIGCONT", takeTerminal);
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.ppid !== parent) this.#hangUp();
    }, PARENT_CHECK_MS);
    watch.unref();
    this.#cleanups.push(() => clearInterval(watch));
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener);
    this.#cleanups.push(() => process.off(signal, listener));
  }

  /** What a closing terminal window does to a shell. */
  #hangUp(): void {
    if (this.#hasExited) return;
    this.#pty.kill("SIGHUP");
    // A stopped shell must wake to hear of it.
    this.#pty.kill("SIGCONT");
  }

  #restore(): void {
    const reset = this.#modes.resetSequence();
    if (reset !== "") this.#stdout.write(reset);
    if (this.#settings !== undefined) restoreTerminal(this.#stdin.fd, this.#settings);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const cleanup of this.#cleanups.toReversed()) cleanup();
    this.#restore();
    this.#hangUp();
  }
}
