import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hasSmallDisks, onSmallDisk } from "../store/fullDisk/smallDisk.ts";
import { TestCommands } from "./testCommands.ts";

const EXPRESSION =
  'derivation { name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo x > $out" ]; }';

/** What commands print and end with, by their place in a script. */
function answers(stdout: string): readonly { readonly said: string; readonly status: string }[] {
  return stdout
    .split("## ")
    .slice(1)
    .map((part) => {
      const [, said = "", status = ""] = /^([^]*)status (\d+)\n$/.exec(part) ?? [];
      return { said, status };
    });
}

it.skipIf(!hasSmallDisks())(
  "commands on a full disk end with what there is no room for, and what helps",
  { timeout: 120_000 },
  () => {
    using t = new TestCommands();
    const disk = join(t.root, "disk");
    mkdirSync(disk);
    t.write("there", "y".repeat(200_000));
    t.write("big", "x".repeat(200_000));
    const script = `
      nix-store --add "$ROOT/there" > /dev/null || exit 9
      try() { echo "## $*"; "$@" 2>&1; echo "status $?"; }
      head -c 100m /dev/zero > "$DISK/ballast" 2> /dev/null
      try nix-store --add "$ROOT/big"
      try nix-build --no-out-link -E '${EXPRESSION}'
      try nix-env --profile "$DISK/profile" -i -E '_: ${EXPRESSION}'
      try nix copy --to "file://$DISK/cache?compression=none" --all
      try nix-store --gc
      rm "$DISK/ballast"
      try nix-store --add "$ROOT/big"
      try nix-build --no-out-link -E '${EXPRESSION}'
      try nix-store --verify --check-contents`;
    const { stdout, stderr, status } = onSmallDisk(disk, "size=64m", ["sh", "-c", script], {
      ...t.environment(),
      PATH: `${t.root}/bin:/usr/bin:/bin`,
      NIX_STORE_DIR: `${disk}/store`,
      NIX_STATE_DIR: `${disk}/var`,
      NIX_LOG_DIR: `${disk}/log`,
      ROOT: t.root,
      DISK: disk,
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const [add, build, profile, copy, collect, ...after] = answers(stdout);
    for (const refused of [add, build, profile, copy]) {
      expect(refused?.said).toMatch(/no space is left on the disk|lack of free disk space/);
      expect(refused?.said).toContain(disk);
      expect(refused?.said).toMatch(/hint|devshell gc/);
      expect(refused?.said).not.toContain("internal error");
      expect(Number(refused?.status)).toBeGreaterThan(0);
    }
    expect(collect).toMatchObject({ status: "0" });
    expect(after.map((each) => each.status)).toEqual(["0", "0", "0"]);
  },
);

it("a file that is larger than this process may write is told as such", () => {
  using t = new TestCommands();
  t.write("big", "x".repeat(12 << 20));
  // A limit of 10 MB, in blocks of 512 bytes; ignored, its signal becomes an error.
  const { status, err } = t.run("/bin/sh", [
    "-c",
    'trap "" XFSZ; ulimit -f 20000; exec bin/nix-store --add big',
  ]);
  expect(err).toContain("it is larger than files may be");
  expect(err).toContain("ulimit -f");
  expect(status).toBe(1);
});
