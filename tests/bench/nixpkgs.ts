import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compare, show, type Contender } from "./measure.ts";
import { findPeerTree } from "./peer.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../cli/devshell");
const PACKAGES = ["hello", "pan", "firefox"];
const PARSED_FILES = 8000;

/** What the issue of the language asks for: a machine that boots and can be reached. */
const SYSTEM = `{ ... }: {
  boot.loader.grub.device = "/dev/sda";
  fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; };
  services.sshd.enable = true;
}
`;

/**
 * Cold evaluation of a whole nixpkgs, through the drop-in nix-instantiate and the real one: the derivation paths of
 * packages and of a NixOS system, without a store and without any cache of results; and the parsing of many files.
 */
export function benchNixpkgs(scratch: string): void {
  const found = findPeerTree(scratch);
  if (found === undefined) return;
  const { peer, tree } = found;
  const ours = join(scratch, "drop-in");
  const cache = join(scratch, "cache");
  mkdirSync(ours);
  mkdirSync(cache);
  symlinkSync(LAUNCHER, join(ours, "nix-instantiate"));
  writeFileSync(join(scratch, "system.nix"), SYSTEM);
  const pair = (name: string, words: readonly string[]): readonly [Contender, Contender] => [
    {
      name: `devshell: ${name}`,
      argv: [join(ours, "nix-instantiate"), ...words],
      // What is cached there is Node's compiled form of our own program.
      env: { ...peer.env, DEVSHELL_EVAL_CACHE: "off", DEVSHELL_CACHE_DIR: cache, HOME: scratch },
    },
    { name: `Nix: ${name}`, argv: [join(peer.bin, "nix-instantiate"), ...words], env: peer.env },
  ];
  const report = (name: string, words: readonly string[], runs?: number): void => {
    const result = compare(...pair(name, words), runs);
    const cpu = result.a.cpuMs / result.b.cpuMs;
    console.log(
      `${name}: wall ${result.ratio.toFixed(2)}, cpu ${cpu.toFixed(2)} (${show(result.a)} : ${show(result.b)})`,
    );
  };
  const drvPath = (expression: string): readonly string[] => [
    "--store",
    "dummy://",
    "--eval",
    "-E",
    `(${expression}).drvPath`,
  ];
  for (const name of PACKAGES) report(name, drvPath(`(import ${tree} { }).${name}`));
  const system = join(scratch, "system.nix");
  report("NixOS system", drvPath(`(import ${tree}/nixos { configuration = ${system}; }).system`), 5);
  const files = parsableFiles(join(peer.bin, "nix-instantiate"), peer.env, tree);
  report(`parse ${files.length} files`, ["--parse", ...files], 5);
}

/** Templates and the like, which Nix does not parse either, are left out: it ends at the first. */
function parsableFiles(program: string, env: Readonly<Record<string, string>>, tree: string): string[] {
  let files = execFileSync("find", [join(tree, "pkgs"), "-name", "*.nix"], { maxBuffer: 1 << 26 })
    .toString()
    .split("\n")
    .filter((file) => file !== "")
    .toSorted()
    .slice(0, PARSED_FILES);
  for (;;) {
    const { status, stderr } = spawnSync(program, ["--parse", ...files], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
      encoding: "utf8",
    });
    if (status === 0) return files;
    const bad = files.find((file) => stderr.includes(`at ${file}:`));
    if (bad === undefined) throw new Error(stderr);
    files = files.filter((file) => file !== bad);
  }
}
