import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult, type RunOptions } from "./testCommands.ts";

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands({ NIX_CONFIG: "keep-derivations = false\n" });
  ({ root } = commands);
  commands.write("default.nix", DEFAULT_NIX);
});

afterAll(() => commands[Symbol.dispose]());

const DEFAULT_NIX = `
{ text ? "hello" }:
let
  make = name: script: extra: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-c" script ];
  } // extra);
in rec {
  input = make "input" "mkdir $out; echo \${text} > $out/text" { };
  user = make "user" "mkdir $out; ln -s \${input} $out/input; cat \${input}/text > $out/copy" { };
  two = make "two" "echo lib > $lib; echo bin > $out" { outputs = [ "out" "lib" ]; };
  broken = make "broken" "echo about to fail >&2; exit 3" { };
  wrong = make "wrong" "echo other > $out" {
    outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  };
  unstable = make "unstable" "date +%N > $out" { };
  shell = make "shell" "exit 1" { inherit input; GREETING = "hi"; };
  nested = { recurseForDerivations = true; inherit input; };
}
`;

function run(command: string, args: readonly string[], options: RunOptions = {}): CommandResult {
  return commands.run(command, args, { encoding: "latin1", ...options });
}

/** The output of a command that must succeed, without its last line feed. */
function output(command: string, ...args: string[]): string {
  const { status, out, err } = run(command, args);
  expect(err + String(status)).toMatch(/0$/);
  return out.replace(/\n$/, "");
}

describe("nix-instantiate", () => {
  it("evaluates, printing values as Nix's commands do", () => {
    expect(output("nix-instantiate", "--eval", "-E", "{ a = 1; f = x: x; t = [ 1 (1 + 1) ]; }")).toBe(
      "{ a = 1; f = <CODE>; t = <CODE>; }",
    );
    expect(output("nix-instantiate", "--eval", "--strict", "-E", "[ (1 + 1) ]")).toBe("[ 2 ]");
    expect(output("nix-instantiate", "--eval", "--json", "-E", '{ a = "ü"; }')).toBe(
      Buffer.from('{"a":"ü"}').toString("latin1"),
    );
    expect(run("nix-instantiate", ["--eval", "--raw", "-E", '"a\\n"']).out).toBe("a\n");
    expect(output("nix-instantiate", "--eval", "--xml", "--strict", "-E", "null")).toContain("<null />");
    expect(run("nix-instantiate", ["--eval", "-"], { input: "1 + 2" }).out).toBe("3\n");
    expect(output("nix-instantiate", "--parse", "-E", "a: a + 1")).toBe("(a: (a + 1))");
  });

  it("needs no store for that, and makes none", () => {
    const env = { NIX_STORE_DIR: join(root, "none/store"), NIX_STATE_DIR: join(root, "none/var") };
    expect(run("nix-instantiate", ["--eval", "-E", '"${./default.nix}" != ""'], { env }).out).toBe("true\n");
    expect(existsSync(join(root, "none"))).toBe(false);
    const dummy = run("nix-instantiate", [".", "-A", "input"], { env: { ...env, NIX_REMOTE: "dummy://" } });
    expect(dummy.out).toMatch(/none\/store\/[0-9a-z]{32}-input\.drv\n$/);
    expect(existsSync(join(root, "none"))).toBe(false);
  });

  it("writes derivations, protects them on demand, and names outputs that are not the first", () => {
    const drvPath = output("nix-instantiate", ".", "-A", "input");
    expect(existsSync(drvPath)).toBe(true);
    const link = join(root, "root");
    expect(output("nix-instantiate", "--add-root", link, ".", "-A", "input", "-A", "user")).toBe(
      `${link}\n${link}-2`,
    );
    expect(readlinkSync(link)).toBe(drvPath);
    expect(output("nix-instantiate", ".", "-A", "two.lib")).toMatch(/-two\.drv!lib$/);
    expect(output("nix-instantiate", ".", "-A", "nested", "--argstr", "text", "other")).not.toBe(drvPath);
  });

  it("finds files, and says what is wrong with flags and files", () => {
    expect(output("nix-instantiate", "--find-file", "-I", `here=${root}`, "here/default.nix")).toBe(
      join(root, "default.nix"),
    );
    const unknown = run("nix-instantiate", ["--bogus"]);
    expect(unknown.status).toBe(1);
    expect(unknown.err).toContain("unrecognised flag '--bogus'");
    expect(run("nix-instantiate", ["--eval", "-E", "x"]).err).toContain("undefined variable 'x'");
  });

  it("stops at Nix's depth of calls", () => {
    const endless = "let f = n: 1 + f n; in f 0";
    expect(run("nix-instantiate", ["--eval", "-E", endless]).err).toContain("max-call-depth exceeded");
    const circle = "let x = { recurseForDerivations = true; more = x; }; in x";
    expect(run("nix-instantiate", ["-E", circle]).err).toContain("max-call-depth exceeded");
  });
});

describe("nix-build", () => {
  it("builds, links and prints in the order that was asked for", () => {
    const link = join(root, "result");
    const paths = output("nix-build", "-A", "user", "-A", "input", "-o", link).split("\n");
    expect(paths.map((path) => path.slice(path.lastIndexOf("-") + 1))).toEqual(["user", "input"]);
    expect(readlinkSync(link)).toBe(paths[0]);
    expect(readlinkSync(`${link}-2`)).toBe(paths[1]);
    expect(readFileSync(join(link, "copy"), "utf8")).toBe("hello\n");
    const roots = output("nix-store", "--gc", "--print-roots");
    expect(roots).toContain(`${link} -> ${paths[0]}`);
  });

  it("names links of other outputs, and takes derivations", () => {
    const link = join(root, "two");
    output("nix-build", "-A", "two.lib", "-o", link);
    expect(readFileSync(`${link}-lib`, "utf8")).toBe("lib\n");
    const drvPath = output("nix-instantiate", "-A", "two");
    expect(output("nix-build", `${drvPath}!lib`, "--no-out-link")).toBe(readlinkSync(`${link}-lib`));
    expect(output("nix-build", drvPath, "--no-out-link")).toMatch(/-two$/);
  });

  it("plans without building", () => {
    const link = join(root, "dry");
    const { err, status } = run("nix-build", [
      "-A",
      "input",
      "--argstr",
      "text",
      "dry",
      "--dry-run",
      "-o",
      link,
    ]);
    expect(status).toBe(0);
    expect(err).toMatch(/this derivation will be built:\n {2}.*-input\.drv/);
    expect(lstatSync(link, { throwIfNoEntry: false })).toBeUndefined();
  });

  it.each([
    ["broken", [], 100, "builder failed with exit code 3"],
    ["wrong", [], 102, "hash mismatch"],
    ["unstable", ["--check"], 104, "may not be deterministic"],
  ])("ends with Nix's status when %s fails", (attribute, flags, status, message) => {
    if (flags.length > 0) output("nix-build", "-A", attribute, "--no-out-link");
    const result = run("nix-build", ["-A", attribute, "--no-out-link", ...flags]);
    expect(result.status).toBe(status);
    expect(result.err).toContain(message);
    expect(result.out).toBe("");
  });

  it("shows what builders say, unless told not to", () => {
    expect(run("nix-build", ["-A", "broken", "--no-out-link"]).err).toMatch(/^about to fail$/m);
    expect(run("nix-build", ["-A", "broken", "--no-out-link", "-Q"]).err).not.toMatch(/^about to fail$/m);
  });
});

describe("nix-shell", () => {
  it("runs a command in the environment, with a temporary directory of its own", () => {
    const command =
      'echo "$GREETING $(cat $input/text) $IN_NIX_SHELL"; test -d "$NIX_BUILD_TOP"; echo $NIX_BUILD_TOP';
    const [line, top = ""] = output("nix-shell", "-A", "shell", "--pure", "--run", command).split("\n");
    expect(line).toBe("hi hello pure");
    expect(top.startsWith(`${root}/`)).toBe(true);
    expect(existsSync(top)).toBe(false);
    expect(run("nix-shell", ["-A", "shell", "--run", "exit 7"]).status).toBe(7);
  });

  it("takes derivations, links to them, and settings as flags", () => {
    const link = join(root, "shell-link");
    output("nix-instantiate", "-A", "shell", "--add-root", link);
    expect(output("nix-shell", link, "--no-substitute", "--run", "echo $GREETING")).toBe("hi");
    expect(output("nix-shell", `${readlinkSync(link)}!out`, "--run", "echo $GREETING")).toBe("hi");
  });

  it("runs scripts that name it, wherever they are started", () => {
    const script = join(root, "my script");
    writeFileSync(
      script,
      `#! ${root}/bin/nix-shell\n#! nix-shell -E "(import ./default.nix { }).shell" -i bash\necho "$GREETING $1 $PWD"\n`,
      { mode: 0o755 },
    );
    const { stdout, stderr } = spawnSync(script, ["a b"], {
      cwd: "/",
      env: commands.environment(),
      encoding: "utf8",
    });
    expect(stderr).not.toContain("error");
    expect(stdout).toBe("hi a b /\n");
  });

  it("takes a directory's shell.nix, also of one in the search path, unless a setting says not to", () => {
    const directory = join(root, "both");
    commands.write("both/shell.nix", `import ${join(root, "default.nix")}`);
    commands.write("both/default.nix", 'abort "the wrong file"');
    const words = ["-A", "shell", "--run", "echo $GREETING"];
    expect(output("nix-shell", directory, ...words)).toBe("hi");
    expect(output("nix-shell", "-I", `here=${root}`, "<here/both>", ...words)).toBe("hi");
    const setting = ["--option", "nix-shell-always-looks-for-shell-nix", "false"];
    const { err } = run("nix-shell", [directory, ...words, ...setting]);
    expect(err).toContain(`Skipping '${join(directory, "shell.nix")}'`);
    expect(err).toContain("the wrong file");
    commands.write("neither/empty", "");
    expect(run("nix-shell", [join(root, "neither")]).err).toContain(
      `neither 'shell.nix' nor 'default.nix' found in '${join(root, "neither")}'`,
    );
  });

  it("enters the shell that a script describes without naming an interpreter", () => {
    const script = join(root, "described.nix");
    const head = `#! ${root}/bin/nix-shell\n#! nix-shell described.nix --argstr word "a 'b'" --command 'echo "$WORD"'\n`;
    writeFileSync(
      script,
      `${head}{ word }: derivation {
        name = "described"; system = builtins.currentSystem; builder = "/bin/sh"; WORD = word; }`,
      { mode: 0o755 },
    );
    const { stdout, stderr } = spawnSync(script, [], {
      cwd: "/",
      env: commands.environment(),
      encoding: "utf8",
    });
    expect(stderr).not.toContain("error");
    expect(stdout).toBe("a 'b'\n");
  });

  it("takes packages from nixpkgs where the search path has it", () => {
    writeFileSync(
      join(root, "packages.nix"),
      `{ ... }: { pkgs.runCommand = name: extra: script: derivation ({
        inherit name; system = builtins.currentSystem; builder = "/bin/sh";
      } // extra); tool = "the tool"; }`,
    );
    const env = { NIX_PATH: `nixpkgs=${join(root, "packages.nix")}` };
    expect(run("nix-shell", ["-p", "tool", "--run", "echo $buildInputs"], { env }).out).toBe("the tool\n");
  });
});

describe("--eval-store", () => {
  it("keeps derivations out of the store that they are built in", () => {
    const evalStore = join(root, "evaluation");
    const words = [".", "-A", "user", "--argstr", "text", "elsewhere", "--eval-store", evalStore];
    const drvPath = output("nix-instantiate", ...words, "--no-gc-warning");
    const path = output("nix-build", ...words, "--no-out-link");
    expect(readFileSync(join(path, "copy"), "utf8")).toBe("elsewhere\n");
    expect(existsSync(drvPath)).toBe(false);
    expect(existsSync(drvPath.replace(join(root, "store"), join(evalStore, "nix/store")))).toBe(true);
    const expression = `builtins.readFile ((import ${root}/default.nix { text = "read"; }).user + "/copy")`;
    const read = output("nix", "eval", "--impure", "--raw", "--expr", expression, "--eval-store", evalStore);
    expect(read).toBe("read");
  });

  it("writes nothing to a dummy unless told to", () => {
    const words = [".", "-A", "input", "--eval-store"];
    expect(run("nix-instantiate", [...words, "dummy://"]).err).toContain(
      "is not supported by store 'dummy://'",
    );
    expect(output("nix-instantiate", ...words, "dummy://?read-only=false")).toMatch(/-input\.drv$/);
    expect(run("nix-instantiate", [...words, "dummy://?read-only=never"]).err).toContain(
      '"never" is no value',
    );
  });
});

describe("the rest of the family", () => {
  it("hashes as nix-hash does", () => {
    const file = join(root, "abc");
    writeFileSync(file, "abc");
    expect(output("nix-hash", "--flat", file)).toBe("900150983cd24fb0d6963f7d28e17f72");
    expect(output("nix-hash", "--flat", "--type", "sha256", "--base32", file)).toBe(
      "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
    );
    expect(run("nix-hash", ["--flat", root]).err).toBe("error: read of 65536 bytes: Is a directory\n");
    expect(run("nix-hash", ["--flat", "./absent"]).err).toBe(
      'error: opening file "./absent": No such file or directory\n',
    );
    expect(output("nix-hash", "--type", "sha1", "--to-base16", "vw46m23bizj4n8afrc0fj19wrp7mj3c0")).toBe(
      "800d59cfcd3c05e900cb4e214be48f6b886a08df",
    );
    expect(output("nix", "hash", "path", "--mode", "flat", file)).toBe(
      "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    );
    const from = run("nix", [
      "hash",
      "convert",
      "--hash-algo",
      "md5",
      "--from",
      "sri",
      "900150983cd24fb0d6963f7d28e17f72",
    ]);
    expect(from.err).toContain("has format 'base16', but '--from sri' was specified");
  });

  it("has the subcommands of nix that scripts use", () => {
    expect(output("nix", "--version")).toMatch(/ \d+\.\d+\.\d+$/);
    expect(output("nix", "eval", "--expr", "{ a = 1; }", "a")).toBe("1");
    const path = output("nix", "build", "-f", ".", "input", "--no-link", "--print-out-paths");
    expect(output("nix", "path-info", path)).toBe(path);
    expect(output("nix", "store", "path-from-hash-part", path.slice(root.length + 7, root.length + 39))).toBe(
      path,
    );
    expect(output("nix", "config", "show", "sandbox")).toBe("false");
    const json = JSON.parse(output("nix", "build", "-f", ".", "two", "--no-link", "--json")) as {
      outputs: Record<string, string>;
    }[];
    expect(Object.keys(json[0]?.outputs ?? {}).toSorted()).toEqual(["lib", "out"]);
    expect(output("nix", "build", "-f", ".", "two^lib", "--no-link", "--print-out-paths")).toMatch(
      /-two-lib$/,
    );
  });

  it("nix-prefetch-url prints the hash and, where asked, the path", () => {
    writeFileSync(join(root, "fetched.txt"), "hi\n");
    const url = `file://${root}/fetched.txt`;
    expect(output("nix-prefetch-url", url)).toBe("1r3v22qkypccqifzbww5lrn6hf1chi23m6zzkyvb8bvg457nxslq");
    expect(output("nix-prefetch-url", "--type", "md5", "--print-path", url)).toMatch(
      /^764efa883dda1e11db47671c4a3bbd9e\n\/.*-fetched\.txt$/,
    );
    expect(run("nix-prefetch-url", [url, "0".repeat(52)]).status).toBe(1);
    expect(output("nix", "store", "prefetch-file", "--json", url)).toContain('"hash":"sha256-');
  });

  it("says so of subcommands, too", () => {
    const { status, err } = run("nix", ["upgrade-nix"]);
    expect(status).toBe(1);
    expect(err).toContain("Cannot upgrade Nix: this `nix` is devshell");
  });
});
