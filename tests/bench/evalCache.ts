import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compare, show, type Contender } from "./measure.ts";
import { findPeerTree } from "./peer.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../cli/devshell");
/** Longer than a record of a file that was just written is for Node alone. */
const SETTLING_MS = 50;

/**
 * Repeated evaluation with what the first one left, against real Nix, which evaluates each time, and against our own
 * evaluation from nothing: nothing changed, a file touched, a file edited that is not read, that one of two attributes
 * reads, that all is read through: in a comment, in what is not asked for, in what is.
 */
export function benchEvalCache(scratch: string): void {
  const found = findPeerTree(scratch);
  if (found === undefined) return;
  const { peer, tree } = found;
  const bin = join(scratch, "drop-in");
  const project = join(scratch, "project");
  for (const directory of [bin, project]) mkdirSync(directory);
  symlinkSync(LAUNCHER, join(bin, "nix-instantiate"));
  const write = (name: string, text: string): void => writeFileSync(join(project, name), text);
  const system = `(import ${tree}/nixos { configuration = ./system.nix; }).system`;
  write("own.nix", '"0"');
  write(
    "system.nix",
    `{ ... }: { boot.loader.grub.device = "/dev/sda"; fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; }; services.sshd.enable = true; }`,
  );
  const expression = ({ comment = 0, unasked = 0, asked = 0 }): string => `# ${comment}
    with import ${tree} { }; {
      inherit hello pan firefox;
      nixos = (x: ${system}) ${asked};
      asked = hello.overrideAttrs (_: { edit = ${asked}; });
      unasked = derivation { name = "${unasked}"; system = "x"; builder = "b"; };
      own = derivation { name = import ./own.nix; system = "x"; builder = "b"; };
    }`;
  write("default.nix", expression({}));
  let edits = 0;
  const edit: Record<string, (() => void) | undefined> = {
    "nothing changed": undefined,
    "a file touched": () => write("own.nix", '"0"'),
    "an unread file edited": () => write("unread.nix", `${edits++}`),
    "a file of one attribute edited": () => write("own.nix", `"${edits++}"`),
    "a comment in the file of all edited": () => write("default.nix", expression({ comment: edits++ })),
    "what is not asked for in the file of all edited": () =>
      write("default.nix", expression({ unasked: edits++ })),
    "what is asked for edited": () => write("default.nix", expression({ asked: edits++ })),
  };
  const report = (change: string, attributes: readonly string[]): void => {
    const words = [
      "--store",
      "dummy://",
      ...attributes.flatMap((name) => ["-A", `${name}.drvPath`]),
      "--eval",
    ];
    const prepare = edit[change];
    const contender = (name: string, program: string, env: Contender["env"]): Contender => ({
      name: `${name}: ${attributes.join(" ")}, ${change}`,
      argv: [program, ...words],
      env,
      cwd: project,
      prepare: () => {
        prepare?.();
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
      },
    });
    const ours = { ...peer.env, DEVSHELL_CACHE_DIR: join(scratch, "cache"), HOME: scratch };
    const program = join(bin, "nix-instantiate");
    const cold = contender("cold", program, { ...ours, DEVSHELL_EVAL_CACHE: "off" });
    const nix = contender("Nix", join(peer.bin, "nix-instantiate"), { ...peer.env, HOME: scratch });
    for (const other of [nix, cold]) {
      const { a, b, ratio, cpuRatio } = compare(contender("devshell", program, ours), other);
      console.log(
        `${other.name}: wall ${ratio.toFixed(3)}, cpu ${cpuRatio.toFixed(3)} (${show(a)} : ${show(b)})`,
      );
    }
  };
  for (const name of ["hello", "pan", "firefox", "nixos"]) report("nothing changed", [name]);
  report("an unread file edited", ["hello"]);
  for (const name of ["hello", "firefox", "nixos"]) {
    report("a file touched", [name, "own"]);
    report("a file of one attribute edited", [name, "own"]);
    report("a comment in the file of all edited", [name]);
    report("what is not asked for in the file of all edited", [name]);
  }
  report("what is asked for edited", ["asked"]);
  report("what is asked for edited", ["nixos"]);
}
