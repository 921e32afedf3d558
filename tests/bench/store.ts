import { randomBytes } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmSync,
  existsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSync } from "esbuild";
import { dumpNar } from "../../store/index.ts";
import { compare, measure, type Contender } from "./measure.ts";
import { findPeerNix } from "./peer.ts";

const FILES = 20_000;
const PATHS = 2_000;

/** NAR hashing and unpacking of 20,000 files, collection and optimising of 2,000 paths, on a memory disk. */
export function benchStore(scratch: string): void {
  // A disk's journal would be measured otherwise: restoring on ext4 after a deletion takes ten times as long.
  const fast = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "devshell-bench-"));
  try {
    run(scratch, fast);
  } finally {
    spawnSync("rm", ["-rf", fast]);
  }
}

function run(scratch: string, fast: string): void {
  // Below node_modules, where koffi is found: without it every lock is a process.
  const script = resolve(import.meta.dirname, "../../node_modules/.cache/devshell-bench/contender.mjs");
  buildSync({
    entryPoints: [resolve(import.meta.dirname, "store/contender.ts")],
    outfile: script,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    external: ["koffi"],
  });
  const peer = findPeerNix(fast);
  const tree = join(fast, "tree");
  const nar = join(fast, "tree.nar");
  makeTree(tree, nar);
  const target = join(fast, "out");
  const env = {
    HOME: scratch,
    NIX_STORE_DIR: join(fast, "ours/store"),
    NIX_STATE_DIR: join(fast, "ours/state"),
    NIX_LOG_DIR: join(fast, "ours/log"),
  };
  const ours = (name: string, args: readonly string[], prepare?: () => void): Contender => ({
    name,
    argv: [process.execPath, script, ...args],
    env,
    prepare,
  });
  const clear = (): void => rmSync(target, { recursive: true, force: true });
  const fill = (storeEnv: Readonly<Record<string, string>>) => (): void => {
    spawnSync("rm", ["-rf", storeEnv["NIX_STORE_DIR"] ?? "", storeEnv["NIX_STATE_DIR"] ?? ""]);
    spawnSync(process.execPath, [script, "fill", String(PATHS)], {
      env: { ...process.env, ...env, ...storeEnv },
    });
  };
  const pairs: readonly (readonly [Contender, readonly string[], (() => void) | undefined])[] = [
    [ours("hash 20,000 files", ["hash", tree]), ["nix-hash", "--type", "sha256", tree], undefined],
    [
      ours("restore 20,000 files", ["restore", nar, target], clear),
      ["sh", "-c", `exec "$0" --restore ${target} < ${nar}`, "nix-store"],
      clear,
    ],
    [
      ours("optimise 2,000 paths", ["optimise"], fill(env)),
      ["nix-store", "--optimise"],
      fill(peer?.env ?? env),
    ],
    [ours("collect 2,000 paths", ["gc"], fill(env)), ["nix-store", "--gc"], fill(peer?.env ?? env)],
  ];
  for (const [contender, peerArgs, prepare] of pairs) {
    if (peer === undefined) {
      const alone = measure(contender, 3);
      console.log(
        `${contender.name}: ${alone.wallMs.toFixed(0)} ms, ${alone.peakMiB.toFixed(0)} MiB (no real Nix found)`,
      );
      continue;
    }
    const argv = peerArgs.map((word) => (word.startsWith("nix-") ? join(peer.bin, word) : word));
    const [program = "", ...rest] = argv;
    const { a, b, ratio } = compare(
      contender,
      { name: "nix", argv: [program, ...rest], env: peer.env, prepare },
      5,
    );
    console.log(
      `${contender.name}: ${a.wallMs.toFixed(0)} ms, ${a.peakMiB.toFixed(0)} MiB; nix ${b.wallMs.toFixed(0)} ms, ${b.peakMiB.toFixed(0)} MiB; ratio ${ratio.toFixed(2)}`,
    );
  }
}

function makeTree(tree: string, nar: string): void {
  for (let directory = 0; directory < FILES / 100; directory++) {
    mkdirSync(join(tree, `d${directory}`), { recursive: true });
    for (let file = 0; file < 100; file++)
      writeFileSync(
        join(tree, `d${directory}`, `file${file}`),
        randomBytes(100 + ((directory * 100 + file) % 8000)),
      );
  }
  const fd = openSync(nar, "w");
  dumpNar(tree, (chunk) => void writeSync(fd, chunk));
  closeSync(fd);
}
