import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

// Kept evaluations, through the launcher and the bundle (`npm test` makes it first). A Node that fails shows what the
// launcher answers by itself.
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");
/** Longer than a record of a file that was just written is for Node alone. */
const SETTLING_MS = 30;

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-eval-cache-"));
  spawnSync(DEVSHELL, ["compat", join(root, "bin")], { env: environment() });
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
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function write(name: string, text: string): void {
  writeFileSync(join(root, "project", name), text);
}

function environment(): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    TMPDIR: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "sandbox = false\nsubstituters =\n",
  };
}

type Result = { readonly status: number | null; readonly out: string; readonly err: string };

function run(command: string, args: readonly string[], env: Record<string, string> = {}, input = ""): Result {
  const program = command === "devshell" ? DEVSHELL : join(root, "bin", command);
  const result = spawnSync(program, args, {
    cwd: join(root, "project"),
    env: { ...environment(), ...env },
    input,
    encoding: "utf8",
  });
  return { status: result.status, out: result.stdout, err: result.stderr };
}

/** What the launcher prints by itself; undefined where it would start Node. */
function recall(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Result | undefined {
  const result = run(command, args, { ...env, DEVSHELL_NODE: "/bin/false" });
  return result.status === 0 ? result : undefined;
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
    const again = recall(command, args);
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
    expect(recall("nix-instantiate", args)).toBeDefined();
    run("nix-collect-garbage", []);
    expect(existsSync(drvPath)).toBe(false);
    expect(recall("nix-instantiate", args)).toBeUndefined();
    expect(run("nix-instantiate", args).out.trim()).toBe(drvPath);
    expect(existsSync(drvPath)).toBe(true);
  });

  it("is answered again where a file is edited back", () => {
    const args = ["--eval", "-A", "traced"];
    const first = run("nix-instantiate", args);
    write("part.nix", '"two"');
    expect(run("nix-instantiate", args).out).toBe('"two"\n');
    write("part.nix", '"one"');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
    // By its content, which Node compares, and then by its stat.
    expect(recall("nix-instantiate", args)).toBeUndefined();
    expect(run("nix-instantiate", args)).toEqual(first);
    expect(recall("nix-instantiate", args)).toEqual(first);
  });

  it("keeps each of several attributes for itself", () => {
    const both = ["--eval", "-A", "alone", "-A", "traced"];
    write("default.nix", "{ alone = import ./alone.nix; traced = import ./part.nix; }");
    write("alone.nix", "1");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
    expect(run("nix-instantiate", both).out).toBe('1\n"one"\n');
    expect(recall("nix-instantiate", ["--eval", "-A", "traced"])?.out).toBe('"one"\n');
    write("part.nix", '"two"');
    expect(recall("nix-instantiate", ["--eval", "-A", "alone"])?.out).toBe("1\n");
    expect(recall("nix-instantiate", ["--eval", "-A", "traced"])).toBeUndefined();
    expect(run("nix-instantiate", both).out).toBe('1\n"two"\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
    // Of what was printed again and what was evaluated.
    expect(run("nix-instantiate", both).out).toBe('1\n"two"\n');
    expect(recall("nix-instantiate", both)?.out).toBe('1\n"two"\n');
    write("alone.nix", "2");
    expect(recall("nix-instantiate", both)).toBeUndefined();
    expect(run("nix-instantiate", both).out).toBe('2\n"two"\n');
  });

  it("is built and linked again where the link is gone", () => {
    const path = run("nix-build", ["-A", "drv"]).out;
    expect(existsSync(path.trim())).toBe(true);
    expect(recall("nix-build", ["-A", "drv"])?.out).toBe(path);
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
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
    const ask = (name: string): readonly string[] => ["eval", "-f", "default.nix", name];
    const outputs = ["built", "pinned", "unpinned"].map((name) => run("nix", ask(name)).out);
    expect(outputs).toEqual(["7\n", '"text"\n', '"text"\n']);
    expect(recall("nix", ask("built"))?.out).toBe("7\n");
    expect(recall("nix", ask("pinned"))?.out).toBe('"text"\n');
    expect(recall("nix", ask("unpinned"))).toBeUndefined();
    run("nix-collect-garbage", []);
    for (const name of ["built", "pinned"]) expect(recall("nix", ask(name)), name).toBeUndefined();
    expect(run("nix", ask("built")).out).toBe("7\n");
    expect(recall("nix", ask("built"))?.out).toBe("7\n");
  });

  it("is run again where what it read in the store was built anew, with another content", () => {
    write(
      "build.nix",
      'derivation { name = "b"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $$ > $out" ]; }',
    );
    write("default.nix", "{ built = import (import ./build.nix); }");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLING_MS);
    const args = ["eval", "-f", "default.nix", "built"];
    const first = run("nix", args).out;
    expect(recall("nix", args)?.out).toBe(first);
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
          env: environment(),
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
