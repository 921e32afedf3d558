import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { compare, measure, show, type Contender } from "../measure.ts";
import { findPeerNix, type PeerNix } from "../peer.ts";

/** Another build's, to compare with what was before. */
const LAUNCHER = process.env["BENCH_LAUNCHER"] ?? resolve(import.meta.dirname, "../../../cli/devshell");
const COMMANDS = ["nix", "nix-build", "nix-hash", "nix-instantiate", "nix-store"];
const MIB = 1 << 20;

/** What is compared: words of a command of Nix's, run by ours and by the real one. */
export interface Comparison {
  readonly name: string;
  /** The first names the command. */
  readonly words: readonly [string, ...string[]];
  /** Where standard input comes from and standard output goes to. */
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  /** Before each run of either, not timed. */
  readonly prepare?: (() => void) | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface RunOptions {
  readonly input?: string | undefined;
  /** A file for what it prints. */
  readonly output?: string | undefined;
  readonly isPeer?: boolean | undefined;
  /** Lines of `nix.conf`. */
  readonly conf?: readonly string[] | undefined;
}

/** A place on a memory disk with one store, which ours and the real Nix use in turn. */
export class StoreBench {
  readonly place: string;
  readonly storeDir: string;
  readonly stateDir: string;
  readonly peer: PeerNix | undefined;
  readonly #bin: string;
  readonly #scale = Number(process.env["BENCH_SCALE"] ?? "1");

  constructor(place: string) {
    this.place = place;
    this.storeDir = join(place, "store");
    this.stateDir = join(place, "state");
    this.peer = findPeerNix(place);
    this.#bin = join(place, "drop-in");
    for (const directory of [this.#bin, join(place, "home"), join(place, "etc")]) mkdirSync(directory);
    for (const name of COMMANDS) symlinkSync(LAUNCHER, join(this.#bin, name));
  }

  /** How many of what the issue counts. */
  count(whole: number): number {
    return Math.max(1, Math.round(whole * this.#scale));
  }

  /** Both sides' surroundings; options are lines of `nix.conf`. */
  env(options: readonly string[] = []): Record<string, string> {
    return {
      HOME: join(this.place, "home"),
      // Where both keep what binary caches said, and Node compiled forms of our program.
      XDG_CACHE_HOME: join(this.place, "home/.cache"),
      DEVSHELL_CACHE_DIR: join(this.place, "home/.cache/devshell"),
      NIX_STORE_DIR: this.storeDir,
      NIX_STATE_DIR: this.stateDir,
      NIX_LOG_DIR: join(this.place, "log"),
      NIX_CONF_DIR: join(this.place, "etc"),
      NIX_REMOTE: "local",
      NIX_CONFIG: [
        "build-users-group =",
        "sandbox = false",
        "substituters =",
        "experimental-features = nix-command",
        ...options,
      ].join("\n"),
    };
  }

  /** An empty store, made by the next command; and no memory of binary caches. */
  clear(): void {
    spawnSync("rm", ["-rf", this.storeDir, this.stateDir]);
    this.forgetCaches();
  }

  /** What either remembers that binary caches have. */
  forgetCaches(): void {
    for (const name of ["nix", "devshell"]) {
      const directory = join(this.place, "home/.cache", name);
      const entries = existsSync(directory) ? readdirSync(directory) : [];
      for (const entry of entries)
        if (entry.startsWith("binary-cache")) rmSync(join(directory, entry), { force: true });
    }
  }

  /** Runs one of our commands, or the real Nix's where there is one and it is asked for. @returns what it printed */
  run(words: readonly [string, ...string[]], options: RunOptions = {}): string {
    const [command, ...rest] = words;
    const bin = options.isPeer === true ? (this.peer?.bin ?? this.#bin) : this.#bin;
    const output = options.output === undefined ? "pipe" : openSync(options.output, "w");
    const result = spawnSync(join(bin, command), rest, {
      env: { ...process.env, ...this.env(options.conf) },
      input: options.input,
      stdio: ["pipe", output, "pipe"],
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    if (typeof output === "number") closeSync(output);
    if (result.status !== 0)
      throw new Error(`${words.join(" ").slice(0, 200)} failed: ${result.stderr.slice(-2000)}`);
    return result.stdout ?? "";
  }

  /** Times a command of ours against the real one and prints the ratio; ours alone where there is no real one. */
  report({ name, words, input = "/dev/null", output = "/dev/null", prepare, options }: Comparison): void {
    const [command, ...rest] = words;
    const script = `exec "$0" "$@" <${input} >${output}`;
    const contender = (side: string, bin: string): Contender => ({
      name: `${side}: ${name}`,
      argv: ["sh", "-c", script, join(bin, command), ...rest],
      env: this.env(options),
      prepare,
    });
    const ours = contender("devshell", this.#bin);
    if (this.peer === undefined) {
      console.log(`${name}: ${show(measure(ours))} (no real Nix found)`);
      return;
    }
    const { a, b, ratio, cpuRatio } = compare(ours, contender("nix", this.peer.bin));
    console.log(`${name}: wall ${ratio.toFixed(2)}, cpu ${cpuRatio.toFixed(2)} (${show(a)}; nix ${show(b)})`);
  }

  /** @returns a file of so many MiB that compresses to half */
  largeFile(): string {
    const file = join(this.place, "large");
    const block = Buffer.alloc(MIB, "a line of some length, over and over again\n");
    const fd = openSync(file, "w");
    const noise = new Noise(7);
    for (let written = 0; written < this.count(1024); written++) {
      noise.fill(block.subarray(0, MIB / 2));
      writeSync(fd, block);
    }
    closeSync(fd);
    return file;
  }

  /** @returns a tree of small files, four kilobytes each in the mean */
  manyFiles(): string {
    const tree = join(this.place, "tree");
    const noise = new Noise(11);
    for (let directory = 0; directory < this.count(20_000) / 100; directory++) {
      mkdirSync(join(tree, `d${directory}`), { recursive: true });
      for (let file = 0; file < 100; file++) {
        const bytes = Buffer.allocUnsafe(100 + ((directory * 100 + file) % 8000));
        noise.fill(bytes);
        writeFileSync(join(tree, `d${directory}`, `file${file}`), bytes);
      }
    }
    return tree;
  }
}

/** The same bytes each time, that no compressor makes smaller. */
export class Noise {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  fill(buffer: Buffer): void {
    let state = this.#state;
    for (let at = 0; at < buffer.length; at++) {
      // Marsaglia's xorshift.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      buffer[at] = state;
    }
    this.#state = state;
  }
}
