import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { compare, measure, show, type Contender } from "./measure.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PAN = '(import <debian> { suite = "trixie"; sourceSuite = "sid"; inNixShell = true; }).pan.environment';
const MIB = 1 << 20;

/**
 * Realising pan's closure from downloaded packages (unpack, patch, shim, environment), against `dpkg -x` of the same
 * packages two at a time, on a memory disk: a disk's journal, which deleting between the runs fills, would be measured
 * otherwise. Downloads 210 MB; DEVSHELL_BENCH_DEBIAN names a directory to keep them in.
 */
export function benchDebian(scratch: string): void {
  const kept = process.env["DEVSHELL_BENCH_DEBIAN"];
  const place = kept ?? mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : scratch, "devshell-bench-"));
  const storeDir = join(place, "store");
  const stateDir = join(place, "state");
  const env = { HOME: join(place, "home"), NIX_STORE_DIR: storeDir, NIX_STATE_DIR: stateDir };
  mkdirSync(env.HOME, { recursive: true });
  const run = (program: string, ...args: string[]): string =>
    execFileSync(program, args, {
      env: { ...process.env, ...env },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 1 << 26,
    }).trim();
  try {
    const devshell = join(ROOT, "cli/devshell");
    const commands = join(place, "bin");
    run(devshell, "compat", commands);
    const nixStore = join(commands, "nix-store");
    const derivation = run(devshell, "instantiate", "-E", PAN);
    const roots = join(stateDir, "gcroots/bench");
    rmSync(roots, { recursive: true, force: true });
    mkdirSync(roots, { recursive: true });
    symlinkSync(derivation, join(roots, "derivation"));
    run(nixStore, "--realise", derivation);
    const isDeb = (path: string): boolean => path.endsWith(".deb");
    const debs = run(nixStore, "--query", "--requisites", "--include-outputs", derivation)
      .split("\n")
      .filter((path) => isDeb(path) && existsSync(path));
    debs.forEach((path, index) => symlinkSync(path, join(roots, `deb-${index}`)));
    const packedMiB = debs.reduce((sum, path) => sum + statSync(path).size, 0) / MIB;
    const ours: Contender = {
      name: "devshell",
      argv: [nixStore, "--realise", derivation],
      env,
      prepare: () => void run(nixStore, "--gc"),
    };
    const report = (name: string, sample: Parameters<typeof show>[0]): void =>
      console.log(
        `${name}: ${show(sample)}, ${(packedMiB / (sample.wallMs / 1000)).toFixed(1)} MiB/s of packages`,
      );
    console.log(`pan's closure: ${debs.length} packages, ${packedMiB.toFixed(0)} MiB`);
    if (!existsSync("/usr/bin/dpkg")) {
      report("devshell", measure(ours, 3));
      return;
    }
    const target = join(place, "dpkg");
    const list = debs.map((path) => path.slice(storeDir.length + 1)).join("\n");
    const { a, b, ratio } = compare(
      ours,
      {
        name: "dpkg -x",
        argv: ["sh", "-c", `printf '%s\\n' "$0" | xargs -P 2 -I{} dpkg -x {} ${target}/{}`, list],
        cwd: storeDir,
        prepare: () => {
          spawnSync("rm", ["-rf", target]);
          mkdirSync(target);
        },
      },
      3,
    );
    report("devshell", a);
    report("dpkg -x, two at a time", b);
    console.log(`ratio ${ratio.toFixed(2)}`);
    spawnSync("rm", ["-rf", target]);
  } finally {
    // Store paths are read-only.
    if (kept === undefined) spawnSync("sh", ["-c", 'chmod -R u+w "$0"; rm -rf "$0"', place]);
  }
}
