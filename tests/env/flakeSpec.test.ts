import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createStoreContext,
  discoverSpec,
  listAttributes,
  loadCachedEnvironment,
  makeEnvironment,
  type EnvironmentRequest,
} from "../../env/index.ts";

const VARIABLES = [
  "NIX_STORE_DIR",
  "NIX_STATE_DIR",
  "NIX_LOG_DIR",
  "NIX_CONF_DIR",
  "NIX_PATH",
  "NIX_CONFIG",
  "NIX_BUILD_SHELL",
  "DEVSHELL_CACHE_DIR",
];

const FLAKE = `{
  inputs.dep.url = "path:./dep";
  outputs = { self, dep }: let
    mk = attributes: derivation ({
      name = "demo";
      system = "SYSTEM";
      builder = "/bin/bash";
      args = [ "-c" ": > $out" ];
      used = import ./used.nix;
      greeting = dep.greeting;
    } // attributes);
  in {
    devShells.SYSTEM = { default = mk { which = "default"; }; other = mk { which = "other"; }; };
    packages.SYSTEM = { default = mk { which = "package"; }; tool = mk { which = "tool"; }; };
  };
}
`;

describe("a flake as the spec", { timeout: 120_000 }, () => {
  let root: string;
  let project: string;
  const saved = new Map<string, string | undefined>();
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-flake-"));
    project = join(root, "a project");
    mkdirSync(join(project, "dep"), { recursive: true });
    for (const name of VARIABLES) saved.set(name, process.env[name]);
    process.env["NIX_STORE_DIR"] = join(root, "store");
    process.env["NIX_STATE_DIR"] = join(root, "state");
    process.env["NIX_LOG_DIR"] = join(root, "log");
    process.env["NIX_CONF_DIR"] = join(root, "conf");
    process.env["NIX_PATH"] = "";
    process.env["NIX_CONFIG"] =
      "sandbox = false\nsubstitute = false\nbuild-users-group =\nflake-registry =\nsystem = x86_64-linux";
    process.env["NIX_BUILD_SHELL"] = "/bin/bash";
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
    write("flake.nix", FLAKE.replaceAll("SYSTEM", "x86_64-linux"));
    write("dep/flake.nix", '{ outputs = { self }: { greeting = "hello"; }; }');
    write("used.nix", '"one"');
  });
  afterEach(() => {
    for (const [name, value] of saved)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  });

  function write(name: string, text: string): void {
    writeFileSync(join(project, name), text);
  }

  function request(more: Partial<EnvironmentRequest> = {}): EnvironmentRequest {
    return { directory: project, selection: [], ...more };
  }

  async function variable(name: string, more: Partial<EnvironmentRequest> = {}): Promise<unknown> {
    const { environment } = await makeEnvironment(request(more));
    const value = environment.variables.get(name);
    return value?.kind === "exported" ? value.value : undefined;
  }

  it("opens its default shell, locks its inputs, and stands for the outputs with a directory", async () => {
    const { environment, warnings } = await makeEnvironment(request());
    const value = (name: string): unknown => environment.variables.get(name)?.value;
    expect(value("which")).toBe("default");
    expect(value("greeting")).toBe("hello");
    expect(value("out")).toBe(join(project, "outputs/out"));
    expect(environment.spec).toMatchObject({
      kind: "flake",
      path: join(project, "flake.nix"),
      root: project,
    });
    const lock = JSON.parse(readFileSync(join(project, "flake.lock"), "utf8")) as { nodes: object };
    expect(Object.keys(lock.nodes)).toEqual(["dep", "root"]);
    // That a lock was written is told once, not on each entry.
    expect(warnings).toEqual([]);
  });

  it("goes stale when its files change, not by the lock it wrote itself", async () => {
    await makeEnvironment(request());
    expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
    write("used.nix", '"two"');
    expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
    expect(await variable("used")).toBe("two");
    expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
    rmSync(join(project, "flake.lock"));
    expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
    write("dep/flake.nix", '{ outputs = { self }: { greeting = "changed"; }; }');
    expect(await variable("greeting")).toBe("changed");
    expect(existsSync(join(project, "flake.lock"))).toBe(true);
  });

  it.each([
    ["import ./more.nix", false],
    ["(import ./sub).x + builtins.readFile ./data", false],
    ['builtins.hashFile "sha256" (./. + "/data")', false],
    ['if builtins.pathExists ./sub then "there" else "gone"', false],
    ["toString ./data", true],
    ['"${./data}"', true],
    ["toString (builtins.attrNames (builtins.readDir ./.))", true],
    ['if builtins.pathExists ./nothing then "there" else "gone"', true],
    ['(builtins.unsafeGetAttrPos "a" { a = 1; }).file', true],
    ['if ./data < ./more.nix then "less" else "more"', true],
    ["builtins.path { path = ./data; }", true],
  ])("counts of its tree what evaluation read: %s", async (used, isWhole) => {
    mkdirSync(join(project, "sub"));
    write("used.nix", used);
    write("more.nix", '"more"');
    write("sub/default.nix", '{ x = "sub"; }');
    write("data", "data");
    write("other", "one");
    const before = await variable("used");
    write("other", "two");
    write("further", "");
    const isStale = loadCachedEnvironment(project, [])?.changed.length !== 0;
    expect(isStale).toBe(isWhole);
    // What does not count changes nothing.
    if (!isStale) expect(await variable("used")).toBe(before);
    write("sub/default.nix", '{ x = "changed"; }');
    expect(loadCachedEnvironment(project, [])?.changed.length !== 0).toBe(isWhole || used.includes("./sub"));
  });

  it.each(["self", "self.outPath", "self.narHash", "self.sourceInfo.outPath", "toString self.lastModified"])(
    "counts the whole tree for who asks for %s",
    async (asked) => {
      write("flake.nix", FLAKE.replaceAll("SYSTEM", "x86_64-linux").replace("import ./used.nix", asked));
      await makeEnvironment(request());
      write("other", "new");
      expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
      await makeEnvironment(request());
      expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
      utimesSync(join(project, "other"), 2_000_000_000, 2_000_000_000);
      // Only who asks for the time depends on a file that was but touched.
      const isStale = loadCachedEnvironment(project, [])?.changed.length !== 0;
      expect(isStale).toBe(asked.includes("lastModified"));
    },
  );

  it("in a Git work tree counts what evaluation read, and what Git tracks", async () => {
    const git = (...words: string[]): unknown => execFileSync("git", ["-C", project, ...words]);
    write("other", "one");
    git("init", "-q");
    git("add", ".");
    expect(await variable("used")).toBe("one");
    git("add", ".");
    expect(await variable("used")).toBe("one");
    expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
    write("other", "two");
    expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
    write("used.nix", '"two"');
    expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
    expect(await variable("used")).toBe("two");
    git("rm", "-q", "--cached", "-f", "used.nix");
    expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
  });

  it.each(["self ? rev", 'self.rev or "none"', "builtins.attrNames self", "inputs.self.sourceInfo ? rev"])(
    "counts all that Git tracks for who sees whether anything is changed: %s",
    async (asked) => {
      const git = (...words: string[]): unknown =>
        execFileSync("git", ["-C", project, "-c", "user.name=x", "-c", "user.email=x@x", ...words]);
      const used = `builtins.toJSON (${asked})`;
      const program = FLAKE.replaceAll("SYSTEM", "x86_64-linux").replace("import ./used.nix", used);
      write("flake.nix", program.replace("outputs = {", "outputs = inputs@{"));
      write("other", "one");
      git("init", "-q");
      git("add", ".");
      await variable("used");
      git("add", ".");
      git("commit", "-q", "-m", "x");
      const clean = await variable("used");
      expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
      write("other", "two");
      expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
      expect(await variable("used")).not.toBe(clean);
      // Without a word to Git.
      write("other", "one");
      expect(loadCachedEnvironment(project, [])?.changed).not.toEqual([]);
      expect(await variable("used")).toBe(clean);
    },
  );

  it("opens other outputs: shells before packages", async () => {
    expect(await variable("which", { attributes: ["other"] })).toBe("other");
    expect(await variable("which", { files: [".#other"] })).toBe("other");
    expect(await variable("which", { files: [".#tool"] })).toBe("tool");
    expect(await variable("which", { files: [".#packages.x86_64-linux.default"] })).toBe("package");
    await expect(makeEnvironment(request({ files: [".#othr"] }))).rejects.toMatchObject({
      code: "FLAKE_NO_ATTRIBUTE",
      message: `flake 'path:${project.replace(" ", "%20")}' does not provide attribute 'devShells.x86_64-linux.othr', 'packages.x86_64-linux.othr', 'legacyPackages.x86_64-linux.othr' or 'othr'`,
      suggestions: ["other"],
    });
  });

  it("takes the default package where there is no shell", async () => {
    write("flake.nix", FLAKE.replaceAll("SYSTEM", "x86_64-linux").replace("devShells", "noShells"));
    expect(await variable("which")).toBe("package");
  });

  it("is evaluated purely", async () => {
    write("used.nix", 'builtins.getEnv "HOME"');
    expect(await variable("used")).toBe("");
    write("used.nix", "/etc/passwd");
    await expect(makeEnvironment(request())).rejects.toThrow("in pure evaluation mode");
  });

  it("takes no arguments, and one attribute", async () => {
    const given = { name: "x", kind: "string", value: "y" } as const;
    await expect(makeEnvironment(request({ arguments: [given] }))).rejects.toMatchObject({
      code: "SPEC_FLAKE_ARGUMENTS",
    });
    await expect(
      makeEnvironment(request({ files: [".#other"], attributes: ["tool"] })),
    ).rejects.toMatchObject({ code: "SPEC_CONFLICT" });
  });

  it("lists what -A can name", async () => {
    using context = createStoreContext({});
    const spec = await discoverSpec(request(), context.tracker);
    const list = (prefix: string): string[] =>
      listAttributes(context, spec, request(), { prefix, limit: 100 }).attributes.map(({ name }) => name);
    expect(list("")).toEqual(["default", "other", "tool"]);
    expect(list("o")).toEqual(["other"]);
  });
});
