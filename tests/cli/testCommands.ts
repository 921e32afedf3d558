import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

export interface CommandResult {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** From the root. */
  readonly cwd?: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly encoding?: BufferEncoding;
}

/** The drop-in commands over a store of their own, through the launcher and the bundle (`npm test` makes it first). */
export class TestCommands implements Disposable {
  /** Real path of a directory that goes with it: home, store, state, and what tests write. */
  readonly root: string = realpathSync(mkdtempSync(join(tmpdir(), "devshell-commands-")));
  readonly #variables: Readonly<Record<string, string>>;

  /** @param variables over those of {@link environment}; of `NIX_CONFIG`, lines beside its own */
  constructor({ NIX_CONFIG = "", ...variables }: Readonly<Record<string, string>> = {}) {
    this.#variables = { NIX_CONFIG: `sandbox = false\nsubstituters =\n${NIX_CONFIG}`, ...variables };
    const made = this.run(DEVSHELL, ["compat", join(this.root, "bin")]);
    if (made.status !== 0) throw new Error(made.err);
  }

  environment(): Record<string, string> {
    const { root } = this;
    return {
      PATH: "/usr/bin:/bin",
      HOME: root,
      TMPDIR: root,
      DEVSHELL_CACHE_DIR: join(root, "cache"),
      NIX_STORE_DIR: join(root, "store"),
      NIX_STATE_DIR: join(root, "var"),
      NIX_LOG_DIR: join(root, "log"),
      NIX_CONF_DIR: join(root, "etc"),
      ...this.#variables,
    };
  }

  /** @param command a drop-in command's name, or a path */
  run(command: string, args: readonly string[], options: RunOptions = {}): CommandResult {
    const { status, stdout, stderr } = spawnSync(resolve(this.root, "bin", command), args, {
      cwd: resolve(this.root, options.cwd ?? "."),
      env: { ...this.environment(), ...options.env },
      input: options.input ?? "",
      encoding: options.encoding ?? "utf8",
    });
    return { status, out: stdout, err: stderr };
  }

  write(path: string, text: string): string {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  [Symbol.dispose](): void {
    spawnSync("chmod", ["-R", "u+w", this.root]);
    rmSync(this.root, { recursive: true, force: true });
  }
}
