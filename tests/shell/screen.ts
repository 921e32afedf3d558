import { Terminal } from "@xterm/headless";
import { spawn } from "node-pty";
import type { IPty } from "node-pty";

/** A program in a terminal that is looked at as a user would: by what its screen shows. */
export class Screen implements AsyncDisposable {
  readonly terminal: Terminal;
  readonly exited: Promise<number>;
  /** Every byte it wrote. */
  output = "";
  readonly #pty: IPty;
  #hasExited = false;

  constructor(
    file: string,
    args: readonly string[],
    options: {
      readonly cwd: string;
      readonly env: Record<string, string>;
      readonly cols?: number;
      readonly rows?: number;
    },
  ) {
    const { cols = 100, rows = 30 } = options;
    this.terminal = new Terminal({ cols, rows, allowProposedApi: true, scrollback: 1000 });
    this.#pty = spawn(file, [...args], {
      name: "xterm-256color",
      cols,
      rows,
      cwd: options.cwd,
      env: options.env,
    });
    this.#pty.onData((data) => {
      this.output += data;
      this.terminal.write(data);
    });
    this.exited = new Promise((resolve) =>
      this.#pty.onExit(({ exitCode, signal }) => {
        this.#hasExited = true;
        resolve(signal ? 128 + signal : exitCode);
      }),
    );
  }

  get pid(): number {
    return this.#pty.pid;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(cols: number, rows: number): void {
    this.#pty.resize(cols, rows);
    this.terminal.resize(cols, rows);
  }

  kill(signal: NodeJS.Signals): void {
    this.#pty.kill(signal);
  }

  text(): string {
    const buffer = this.terminal.buffer.active;
    const lines: string[] = [];
    for (let y = 0; y < buffer.length; y++) lines.push(buffer.getLine(y)?.translateToString(true) ?? "");
    return lines.join("\n").trimEnd();
  }

  /** Waits until the screen matches; fails with what it shows. */
  async waitFor(pattern: RegExp | string, timeoutMs = 15_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      const text = this.text();
      if (typeof pattern === "string" ? text.includes(pattern) : pattern.test(text)) return text;
      if (this.#hasExited) await new Promise((resolve) => setTimeout(resolve, 50));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`never showed ${String(pattern)}; the screen:\n${this.text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasExited) this.#pty.kill("SIGKILL");
    await this.exited;
    this.terminal.dispose();
  }
}
