import { afterAll, beforeAll, expect, it } from "vitest";
import { TestCommands } from "./testCommands.ts";

let t: TestCommands;

beforeAll(() => (t = new TestCommands()));
afterAll(() => t[Symbol.dispose]());

const SCRIPT = `
  : > $TMPDIR/file
  chmod 4755 $TMPDIR/file && echo ESCAPED: set-user-id
  ls -l /proc/self/fd | grep socket && echo ESCAPED: a socket of who starts it
  echo done > $out`;

// Some start from a snapshot, and then have no threads.
it.each([
  ["nix-build", "--no-out-link"],
  ["nix", "build", "--no-link", "-L", "--impure"],
])("%s starts builders whose system calls are filtered, with nothing of its own open", (command, ...args) => {
  t.write(
    `${command}.nix`,
    `derivation {
        name = "confined-${command}"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
        args = [ "-c" ''${SCRIPT}'' ];
      }`,
  );
  const file = args[0] === "build" ? ["-f", `${command}.nix`] : [`${command}.nix`];
  const { status, out, err } = t.run(command, [...args, ...file]);
  expect(`${status} ${err}`).toMatch(/^0 /);
  expect(out + err).toContain("Operation not permitted");
  expect(out + err).not.toContain("ESCAPED");
  if (command !== "nix") return;
  const unfiltered = t.run(command, [...args, ...file, "--option", "filter-syscalls", "false", "--rebuild"]);
  expect(unfiltered.out + unfiltered.err).toContain("ESCAPED: set-user-id");
});

it("an inherited file that a limit leaves out of reach is told as such", () => {
  t.write(
    "limited.nix",
    'derivation { name = "limited"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }',
  );
  const script = "exec 200>/dev/null; ulimit -n 128; exec bin/nix-build --no-out-link limited.nix";
  const { status, err } = t.run("/usr/bin/env", ["bash", "-c", script]);
  expect(err).toContain("its number is 200, the limit of open files is 128");
  expect(status).not.toBe(0);
});
