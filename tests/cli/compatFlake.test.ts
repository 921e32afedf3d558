import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult, type RunOptions } from "./testCommands.ts";

// Installables by the drop-in `nix`: what is expected is what Nix 2.34 does.

const FLAKE = `{
  outputs = { self }: let
    mk = attributes: derivation ({ system = "x86_64-linux"; builder = "/bin/bash"; args = [ "-c" ": > $out" ]; PATH = "/usr/bin:/bin"; } // attributes);
    script = text: [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\\\\n\${text}\\\\n' > $out/bin/tool; chmod +x $out/bin/tool" ];
  in {
    packages.x86_64-linux = {
      default = mk { name = "default"; x = "package"; };
      two = mk { name = "two"; outputs = [ "out" "dev" ]; args = [ "-c" "echo o > $out; echo d > $dev" ]; };
      tool = mk { name = "tool-1.0"; args = script "echo tool \\"$@\\""; } // { meta.mainProgram = "tool"; };
      number = 1;
    };
    legacyPackages.x86_64-linux.set.inner = mk { name = "inner"; };
    devShells.x86_64-linux.default = mk { name = "shell"; x = "a'b\\n$c"; shellHook = "hooked=1"; };
    apps.x86_64-linux.app = { type = "app"; program = "\${self.packages.x86_64-linux.tool}/bin/tool"; };
    apps.x86_64-linux.wrong = self.packages.x86_64-linux.tool;
    text = "a"; tree = ./.; number = 2; "a.b".c = 3;
  };
}
`;

let commands: TestCommands;
let root: string;
let flake: string;

beforeAll(() => {
  commands = new TestCommands({ NIX_CONFIG: "flake-registry =\nsystem = x86_64-linux\n" });
  ({ root } = commands);
  flake = join(root, "flake");
  mkdirSync(join(flake, "sub"), { recursive: true });
  writeFileSync(join(flake, "flake.nix"), FLAKE);
});

afterAll(() => commands[Symbol.dispose]());

function nix(args: readonly string[], options: RunOptions = {}): CommandResult {
  return commands.run("nix", args, { cwd: "flake", ...options });
}

describe("installables of flakes", { timeout: 120_000 }, () => {
  it("are looked up in packages, then legacyPackages, then as they stand", () => {
    expect(nix(["eval", ".#number"]).out).toBe("1\n");
    expect(nix(["eval", ".#.number"]).out).toBe("2\n");
    expect(nix(["eval", ".#set.inner.name"]).out).toBe('"inner"\n');
    expect(nix(["eval", '.#"a.b".c', "--json"]).out).toBe("3\n");
    expect(nix(["eval", "--raw", `${flake}/sub#text`]).out).toBe("a");
    expect(nix(["eval", ".#text", "--apply", "x: x + x"]).out).toBe('"aa"\n');
  });

  it("name what may have been meant", () => {
    const { status, err } = nix(["build", ".#numbr"]);
    expect(status).toBe(1);
    expect(err).toBe(
      `error: flake 'path:${flake}' does not provide attribute 'packages.x86_64-linux.numbr', 'legacyPackages.x86_64-linux.numbr' or 'numbr'\n       Did you mean number?\n`,
    );
    expect(nix(["build", ".#number"]).err).toBe(
      "error: expected flake output attribute 'packages.x86_64-linux.number' to be a derivation or path but found an integer: 1\n",
    );
  });

  it("are built: the default, named outputs, trees", () => {
    const built = nix(["build", "--no-link", "--json"]);
    expect(JSON.parse(built.out)).toEqual([
      {
        drvPath: expect.stringMatching(/-default\.drv$/) as unknown,
        outputs: { out: expect.stringMatching(/-default$/) as unknown },
      },
    ]);
    expect(nix(["build", ".#two^dev", "-o", join(root, "link")]).status).toBe(0);
    expect(readFileSync(join(root, "link-dev"), "utf8")).toBe("d\n");
    expect(nix(["build", "--no-link", "--print-out-paths", ".#two^*"]).out.trim().split("\n")).toHaveLength(
      2,
    );
    const [tree] = JSON.parse(nix(["build", "--no-link", "--json", ".#tree"]).out) as [string];
    expect(readFileSync(join(tree, "flake.nix"), "utf8")).toBe(FLAKE);
    expect(nix(["build", "--no-link", ".#two^no,.."]).err).toContain("invalid extended outputs specifier");
  });

  it("are evaluated purely", () => {
    expect(nix(["eval", "--expr", "builtins.currentTime"]).err).toContain("attribute 'currentTime' missing");
    expect(nix(["eval", "--impure", "--expr", 'builtins.getEnv "MARK"'], { env: { MARK: "m" } }).out).toBe(
      '"m"\n',
    );
  });
});

describe("nix run and nix shell", { timeout: 120_000 }, () => {
  it("run apps and main programs with their words", () => {
    expect(nix(["run", ".#app", "--", "a", "--help"]).out).toBe("tool a --help\n");
    expect(nix(["run", ".#tool", "b"]).out).toBe("tool b\n");
    expect(nix(["run", "--", ".#tool", "c"]).out).toBe("tool c\n");
    expect(nix(["run", ".#wrong"]).err).toContain(
      "attribute 'apps.x86_64-linux.wrong' should have type 'app'",
    );
  });

  it("put programs on the PATH of a command", () => {
    expect(nix(["shell", ".#tool", "-c", "tool", "-x"]).out).toBe("tool -x\n");
    const path = nix(["shell", ".#tool", "--ignore-env", "-s", "A", "b", "-c", "/usr/bin/env"]).out;
    expect(path).toMatch(/^(?:A=b\nPATH=[^:\n]*-tool-1\.0\/bin|PATH=[^:\n]*-tool-1\.0\/bin\nA=b)\n$/);
    expect(nix(["shell", ".#tool", "-k", "A", "-c", "env"]).err).toContain(
      "--keep-env-var does not make sense without --ignore-env",
    );
    expect(nix(["shell", ".#tool", "-c", "no-such-program"]).err).toContain(
      "unable to execute 'no-such-program'",
    );
  });

  it("are named in a script's first lines", () => {
    const script = join(root, "script");
    writeFileSync(
      script,
      '#!/usr/bin/env nix\n#! nix shell ./flake#tool\n# more\n#! nix --command bash\ntool "$1"\n',
    );
    chmodSync(script, 0o755);
    const result = spawnSync(join(root, "bin/nix"), [script, "word"], {
      cwd: "/",
      env: commands.environment(),
      encoding: "utf8",
    });
    expect(result.stdout).toBe("tool word\n");
  });
});

describe("nix develop", { timeout: 120_000 }, () => {
  it("gives a command, or what stands on standard input, the environment of the build", () => {
    const script = 'printf "%s|%s|%s|%s" "$name" "$x" "$out" "$IN_NIX_SHELL"';
    expect(nix(["develop", "-c", "bash", "-c", script]).out).toBe(
      `shell-env|a'b\n$c|${flake}/outputs/out|impure`,
    );
    expect(nix(["develop"], { input: 'echo "$MARK"\n', env: { MARK: "m" } }).out).toBe("m\n");
    expect(nix(["develop", "--ignore-env"], { input: 'echo "$MARK."\n', env: { MARK: "m" } }).out).toBe(
      ".\n",
    );
    expect(nix(["develop", ".#two", "-c", "bash", "-c", "echo $dev"]).out).toBe(`${flake}/outputs/dev\n`);
  });

  it("is kept by a profile, and opened from it", () => {
    const profile = join(root, "profile");
    for (const again of [1, 1, 2]) {
      expect(
        nix(["develop", "--profile", profile, ...(again === 2 ? [".#two"] : []), "-c", "true"]).status,
      ).toBe(0);
      expect(readlinkSync(profile)).toBe(`profile-${again}-link`);
    }
    expect(nix(["develop", join(root, "profile-1-link"), "-c", "bash", "-c", "echo $name"]).out).toBe(
      "shell-env\n",
    );
  });

  it("prints the environment for Bash and as JSON", () => {
    const file = join(root, "env.sh");
    writeFileSync(file, `${nix(["print-dev-env"]).out}\nprintf '%s' "$x$hooked"`);
    expect(spawnSync("/bin/bash", [file], { env: commands.environment(), encoding: "utf8" }).stdout).toBe(
      "a'b\n$c1",
    );
    const { variables } = JSON.parse(nix(["print-dev-env", "--json"]).out) as {
      variables: Record<string, unknown>;
    };
    expect(variables["x"]).toEqual({ type: "exported", value: "a'b\n$c" });
    expect(variables["system"]).toEqual({ type: "exported", value: "x86_64-linux" });
  });
});

describe("nix bundle", { timeout: 120_000 }, () => {
  const bundlers = `{
  outputs = { self }: {
    bundlers.x86_64-linux = {
      default = app: derivation {
        name = "bundled"; system = "x86_64-linux"; builder = "/bin/bash"; args = [ "-c" "echo $program > $out" ];
        program = app.program or app.name;
      };
      wrong = app: 1;
    };
  };
}
`;

  it("builds what the bundler makes of an app, a package or an expression", () => {
    const directory = join(root, "bundlers");
    mkdirSync(directory);
    writeFileSync(join(directory, "flake.nix"), bundlers);
    const bundle = (...words: readonly string[]): CommandResult =>
      nix(["bundle", "--bundler", directory, ...words]);
    expect(bundle(".#app")).toMatchObject({ status: 0, out: "" });
    expect(readFileSync(join(flake, "bundled"), "utf8")).toMatch(/-tool-1\.0\/bin\/tool\n$/);
    expect(bundle("-o", "other").status).toBe(0);
    expect(readFileSync(join(flake, "other"), "utf8")).toBe("default\n");
    expect(bundle("--impure", "--expr", '{ x ? "y" }: { name = x; }', "-o", "called").status).toBe(0);
    expect(readFileSync(join(flake, "called"), "utf8")).toBe("y\n");
  });

  it("says so where that is no derivation", () => {
    const { status, err } = nix(["bundle", "-B", `${root}/bundlers#wrong`, ".#app"]);
    expect([status, err]).toEqual([
      1,
      `error: the bundler '${root}/bundlers#wrong' does not produce a derivation\n`,
    ]);
  });
});

describe("nix why-depends", { timeout: 120_000 }, () => {
  it("prints the chain", () => {
    const expression = join(root, "chain.nix");
    writeFileSync(
      expression,
      `rec {
  mk = name: to: derivation { inherit name to; system = "x86_64-linux"; builder = "/bin/bash"; args = [ "-c" "echo see $to > $out" ]; };
  a = mk "a" b; b = mk "b" c; c = mk "c" "nothing"; other = mk "other" "nothing";
}`,
    );
    const lines = nix(["why-depends", "-f", expression, "a", "c"]).out.split("\n");
    expect(lines.map((line) => line.replace(/\/.*-/, ""))).toEqual(["a", "└───b", "    └───c", ""]);
    const precise = nix(["why-depends", "--precise", "-f", expression, "a", "b"]).out.split("\n");
    expect(precise[1]).toMatch(/^└───\/: ….*-b\.…$/);
    expect(precise[2]).toMatch(/^ {4}→ .*-b$/);
    const { status, err } = nix(["why-depends", "-f", expression, "a", "other"]);
    expect(status).toBe(0);
    expect(err).toContain("'a' does not depend on 'other'");
  });
});

describe("nix path-info", { timeout: 120_000 }, () => {
  it("has two forms of JSON", () => {
    const file = join(root, "foo");
    writeFileSync(file, "foo\n");
    const path = nix(["store", "add-file", file]).out.trim();
    const store = join(root, "store");
    const common = {
      deriver: null,
      narHash: "sha256-QvtAMbUl/uvi+LCObmqOhvNOapHdA2raiI4xG5zI5pA=",
      narSize: 120,
      references: [],
      signatures: [],
      storeDir: store,
    };
    const old = nix(["path-info", "--json", "--json-format", "1", path]);
    expect(JSON.parse(old.out)).toMatchObject({
      [path]: {
        ...common,
        ca: "fixed:sha256:0k4lwj58f2w5yh92ilrwy9917pycipbrdrr13vbb3yd02j09vfxm",
        version: 1,
      },
    });
    const ca = { hash: "sha256-tbudgBSg+bHWHiHnlteNzN8TUvI80ygS9IULh4rklEw=", method: "flat" };
    expect(
      JSON.parse(nix(["path-info", "--json", "--json-format", "2", "--stdin"], { input: `${path}\n` }).out),
    ).toMatchObject({
      info: { [path.slice(store.length + 1)]: { ...common, ca, version: 2 } },
      storeDir: store,
      version: 2,
    });
    expect(nix(["path-info", "--json", path]).err).toContain(
      "'--json' without '--json-format' is deprecated",
    );
  });
});
