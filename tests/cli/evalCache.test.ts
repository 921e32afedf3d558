import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEVSHELL, TestCommands, type CommandResult } from "./testCommands.ts";

// A Node that fails shows what the launcher answers by itself.
/** Longer than a record of a file that was just written is for Node alone. */
const SETTLING_MS = 30;

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands();
  ({ root } = commands);
});
beforeEach(() => {
  rmSync(join(root, "project"), { recursive: true, force: true });
  mkdirSync(join(root, "project"));
  write("part.nix", '"one"');
  write(
    "default.nix",
    `{
      drv = derivation { name = import ./part.nix; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; };
      traced = builtins.trace "seen" (import ./part.nix);
      time = builtins.currentTime;
      meta = { type = "derivation"; name = "m-1"; system = "x"; outPath = "/x"; };
    }`,
  );
  settle();
});
afterAll(() => commands[Symbol.dispose]());

function settle(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
}

function write(name: string, text: string): void {
  writeFileSync(join(root, "project", name), text);
}

function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
  input = "",
): CommandResult {
  return commands.run(command === "devshell" ? DEVSHELL : command, args, { cwd: "project", env, input });
}

/** What the launcher prints by itself; undefined where it would start Node. */
function recall(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): CommandResult | undefined {
  const result = run(command, args, { ...env, DEVSHELL_NODE: "/bin/false" });
  return result.status === 0 ? result : undefined;
}

/** As {@link recall}, once Node has seen again what was made within a tick of the clock before it was looked at. */
function recallSoon(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): CommandResult | undefined {
  for (let attempt = 0; attempt < 10; attempt++) {
    const result = recall(command, args, env);
    if (result !== undefined) return result;
    settle();
    run(command, args, env);
  }
  return undefined;
}

describe("a command line that was run before", () => {
  it.each([
    ["nix-instantiate", ["-A", "drv"]],
    ["nix-instantiate", ["--eval", "-A", "traced"]],
    ["nix", ["eval", "--json", "-f", ".", "traced"]],
    ["nix-env", ["-f", "default.nix", "-qa", "--json", "--meta", "-A", "meta"]],
    ["devshell", ["eval", "-f", "default.nix", "-A", "traced"]],
    ["devshell", ["instantiate", "-f", "default.nix", "-A", "drv"]],
  ])("is answered by the launcher until an input changes: %s %j", (command, args) => {
    const first = run(command, args);
    expect(first.status, first.err).toBe(0);
    const again = recallSoon(command, args);
    expect(again?.out).toBe(first.out);
    if (command !== "devshell" || args[0] === "eval") expect(again?.err).toBe(first.err);
    expect(recall(command, args, { DEVSHELL_EVAL_CACHE: "off" })).toBeUndefined();
    expect(recall(command, [...args, "--show-trace"])).toBeUndefined();
    expect(recall(command, args, { NIX_CONFIG: "system = other" })).toBeUndefined();
    write("part.nix", '"two"');
    if (args.includes("meta")) return;
    expect(recall(command, args)).toBeUndefined();
    expect(run(command, args).out).not.toBe(first.out);
  });

  it("is evaluated again where its derivation is gone", () => {
    const args = ["-A", "drv"];
    const drvPath = run("nix-instantiate", args).out.trim();
    expect(recallSoon("nix-instantiate", args)).toBeDefined();
    run("nix-collect-garbage", []);
    expect(existsSync(drvPath)).toBe(false);
    expect(recall("nix-instantiate", args)).toBeUndefined();
    expect(run("nix-instantiate", args).out.trim()).toBe(drvPath);
    expect(existsSync(drvPath)).toBe(true);
  });

  it("is answered by the launcher where files are touched", () => {
    const args = ["--eval", "-A", "drv.drvPath"];
    const first = run("nix-instantiate", args);
    expect(recallSoon("nix-instantiate", args)?.out).toBe(first.out);
    write("part.nix", '"one"');
    writeFileSync(join(root, "project/default.nix"), readFileSync(join(root, "project/default.nix")));
    expect(recall("nix-instantiate", args)?.out).toBe(first.out);
    expect(recall("nix-instantiate", args)?.out).toBe(first.out);
    chmodSync(join(root, "project/part.nix"), 0o755);
    expect(recall("nix-instantiate", args)).toBeUndefined();
    chmodSync(join(root, "project/part.nix"), 0o644);
    expect(recall("nix-instantiate", args)?.out).toBe(first.out);
    write("part.nix", '"two"');
    expect(recall("nix-instantiate", args)).toBeUndefined();
    rmSync(join(root, "project/part.nix"));
    symlinkSync("default.nix", join(root, "project/part.nix"));
    expect(recall("nix-instantiate", args)).toBeUndefined();
  });

  it("is answered again where a file is edited back", () => {
    const args = ["--eval", "-A", "traced"];
    const first = run("nix-instantiate", args);
    write("part.nix", '"two"');
    expect(run("nix-instantiate", args).out).toBe('"two"\n');
    write("part.nix", '"one"');
    settle();
    // By its content, which Node compares, and then by its stat.
    expect(recall("nix-instantiate", args)).toBeUndefined();
    expect(run("nix-instantiate", args)).toEqual(first);
    expect(recallSoon("nix-instantiate", args)).toEqual(first);
  });

  it("keeps each of several attributes for itself", () => {
    const both = ["--eval", "-A", "alone", "-A", "traced"];
    write("default.nix", "{ alone = import ./alone.nix; traced = import ./part.nix; }");
    write("alone.nix", "1");
    settle();
    expect(run("nix-instantiate", both).out).toBe('1\n"one"\n');
    expect(recallSoon("nix-instantiate", ["--eval", "-A", "traced"])?.out).toBe('"one"\n');
    write("part.nix", '"two"');
    expect(recallSoon("nix-instantiate", ["--eval", "-A", "alone"])?.out).toBe("1\n");
    expect(recall("nix-instantiate", ["--eval", "-A", "traced"])).toBeUndefined();
    expect(run("nix-instantiate", both).out).toBe('1\n"two"\n');
    settle();
    // Of what was printed again and what was evaluated.
    expect(run("nix-instantiate", both).out).toBe('1\n"two"\n');
    expect(recallSoon("nix-instantiate", both)?.out).toBe('1\n"two"\n');
    write("alone.nix", "2");
    expect(recall("nix-instantiate", both)).toBeUndefined();
    expect(run("nix-instantiate", both).out).toBe('2\n"two"\n');
  });

  it("is built and linked again where the link is gone", () => {
    const path = run("nix-build", ["-A", "drv"]).out;
    expect(existsSync(path.trim())).toBe(true);
    expect(recallSoon("nix-build", ["-A", "drv"])?.out).toBe(path);
    rmSync(join(root, "project/result"));
    expect(recall("nix-build", ["-A", "drv"])).toBeUndefined();
    expect(run("nix-build", ["-A", "drv"]).out).toBe(path);
    expect(existsSync(join(root, "project/result"))).toBe(true);
  });

  it("is run where it depends on the time, on standard input, or fails", () => {
    for (const args of [
      ["--eval", "-A", "time"],
      ["--eval", "-E", "throw 1"],
      ["--eval", "-"],
      ["--eval", "-E", 'builtins.readFile "/dev/stdin"'],
    ]) {
      run("nix-instantiate", args, {}, "1");
      expect(recall("nix-instantiate", args), args.join(" ")).toBeUndefined();
    }
  });

  it("is run again where what it built or fetched is gone, and whenever nothing pins what it fetched", () => {
    write("fetched", "text");
    const sha256 = createHash("sha256").update("text").digest("hex");
    const url = `file://${join(root, "project/fetched")}`;
    write(
      "default.nix",
      `{
        built = import (derivation { name = "b"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo 7 > $out" ]; });
        pinned = builtins.readFile (builtins.fetchurl { url = "${url}"; sha256 = "${sha256}"; });
        unpinned = builtins.readFile (builtins.fetchurl "${url}");
      }`,
    );
    settle();
    const ask = (name: string): readonly string[] => ["eval", "-f", "default.nix", name];
    const outputs = ["built", "pinned", "unpinned"].map((name) => run("nix", ask(name)).out);
    expect(outputs).toEqual(["7\n", '"text"\n', '"text"\n']);
    expect(recallSoon("nix", ask("built"))?.out).toBe("7\n");
    expect(recallSoon("nix", ask("pinned"))?.out).toBe('"text"\n');
    expect(recall("nix", ask("unpinned"))).toBeUndefined();
    run("nix-collect-garbage", []);
    for (const name of ["built", "pinned"]) expect(recall("nix", ask(name)), name).toBeUndefined();
    expect(run("nix", ask("built")).out).toBe("7\n");
    expect(recallSoon("nix", ask("built"))?.out).toBe("7\n");
  });

  it("is run again where what it read in the store was built anew, with another content", () => {
    write(
      "build.nix",
      'derivation { name = "b"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $$ > $out" ]; }',
    );
    write("default.nix", "{ built = import (import ./build.nix); }");
    settle();
    const args = ["eval", "-f", "default.nix", "built"];
    const first = run("nix", args).out;
    expect(recallSoon("nix", args)?.out).toBe(first);
    run("nix-collect-garbage", []);
    const path = run("nix-build", ["build.nix", "--no-out-link"]).out.trim();
    const second = readFileSync(path, "utf8");
    expect(recall("nix", args)).toBeUndefined();
    expect(run("nix", args).out).toBe(second);
  });

  it("is answered rightly while others write, are killed, and damage what is kept", async () => {
    const args = ["--eval", "-A", "traced"];
    const expected = run("nix-instantiate", args).out;
    for (let round = 0; round < 4; round++) {
      write("part.nix", `"${round}"`);
      const writers = [0, 1, 2].map(() =>
        spawn(join(root, "bin/nix-instantiate"), args, {
          cwd: join(root, "project"),
          env: commands.environment(),
          stdio: "ignore",
        }),
      );
      const ends = writers.map((writer) => once(writer, "exit"));
      setTimeout(() => writers[0]?.kill("SIGKILL"), 20 * round);
      await Promise.all(ends);
      const records = join(root, "cache/eval-1/records");
      for (const name of readdirSync(records))
        if (name.endsWith(round % 2 === 0 ? ".sh" : ".json")) truncateSync(join(records, name), 100 * round);
      expect(run("nix-instantiate", args).out).toBe(`"${round}"\n`);
    }
    write("part.nix", '"one"');
    expect(run("nix-instantiate", args).out).toBe(expected);
  });

  it("is shown and forgotten by gc --eval-cache", () => {
    run("nix-instantiate", ["--eval", "-A", "traced"]);
    expect(run("devshell", ["gc", "--eval-cache", "--dry-run"]).out).toMatch(/^[1-9]\d* kept evaluations, /);
    expect(run("devshell", ["gc", "--eval-cache"]).out).toMatch(/, forgotten$/m);
    expect(recall("nix-instantiate", ["--eval", "-A", "traced"])).toBeUndefined();
    expect(readdirSync(join(root, "cache"))).not.toContain("eval-1");
  });
});
