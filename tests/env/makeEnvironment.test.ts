import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createStoreContext,
  instantiateDerivations,
  loadCachedEnvironment,
  makeEnvironment,
  renderBash,
  type ContextEvent,
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

describe("from a spec to an environment", { timeout: 60_000 }, () => {
  let root: string;
  let project: string;
  const saved = new Map<string, string | undefined>();
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-make-"));
    project = join(root, "project");
    mkdirSync(join(project, ".git"), { recursive: true });
    for (const name of VARIABLES) saved.set(name, process.env[name]);
    process.env["NIX_STORE_DIR"] = join(root, "store");
    process.env["NIX_STATE_DIR"] = join(root, "state");
    process.env["NIX_LOG_DIR"] = join(root, "log");
    process.env["NIX_CONF_DIR"] = join(root, "conf");
    process.env["NIX_PATH"] = "";
    process.env["NIX_CONFIG"] = "sandbox = false\nsubstitute = false\nbuild-users-group =";
    process.env["NIX_BUILD_SHELL"] = "/bin/bash";
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
  });
  afterEach(() => {
    for (const [name, value] of saved)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  });

  const PRELUDE = `let
  mk = a: derivation ({ name = "demo"; system = builtins.currentSystem; builder = "/bin/bash"; PATH = "/usr/bin:/bin"; } // a);
  dep = mk { name = "dep"; args = [ "-c" "mkdir -p $out/bin; echo 'echo from dep' > $out/bin/dep; chmod +x $out/bin/dep" ]; };
  stdenv = mk { name = "stdenv"; setup = builtins.toFile "setup" ''
    PATH=/usr/bin:/bin
    for input in $buildInputs; do PATH=$input/bin:$PATH; done
    runHook() { eval "''\${!1:-}"; }
    buildPhase() { echo "building $name"; }
  ''; args = [ "-c" "mkdir $out; cp $setup $out/setup" ]; };
in
`;

  function write(name: string, text: string): string {
    const path = join(project, name);
    writeFileSync(path, text);
    return path;
  }

  function request(more: Partial<EnvironmentRequest> = {}): EnvironmentRequest {
    return { directory: project, selection: [], ...more };
  }

  /** What Bash says inside an environment. */
  function inside(
    environment: Awaited<ReturnType<typeof makeEnvironment>>["environment"],
    script: string,
  ): string {
    const file = join(root, "rc.bash");
    writeFileSync(file, `${renderBash(environment)}\n${script}`, "latin1");
    return execFileSync("/bin/bash", ["--norc", "--noprofile", file], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin", HOME: root, MINE: "kept" },
    });
  }

  async function failure(promise: Promise<unknown>): Promise<unknown> {
    try {
      await promise;
    } catch (error) {
      return error;
    }
    throw new Error("expected a failure");
  }

  it("realises inputs, runs the setup, and the hook last", async () => {
    write("source.txt", "the source");
    write(
      "shell.nix",
      `${PRELUDE}mk { inherit stdenv; buildInputs = [ dep ]; src = ./source.txt; FOO = "a b"; shellHook = "echo hook $FOO"; }`,
    );
    const events: ContextEvent[] = [];
    const { environment, record } = await makeEnvironment(request(), {
      onEvent: (event) => events.push(event),
    });
    const said = inside(
      environment,
      'dep; cat $src; echo; buildPhase; echo "$MINE $IN_NIX_SHELL $NIX_BUILD_TOP"; echo "${out##*-}"',
    );
    expect(said).toBe("hook a b\nfrom dep\nthe source\nbuilding demo\nkept impure /tmp\ndemo\n");
    expect(events.filter((event) => event.kind === "stage").map((event) => event.stage)).toEqual([
      "discover",
      "evaluate",
      "realise",
      "setup",
      "done",
    ]);
    // what the environment needs is rooted
    const links = readdirSync(join(record, "roots")).map((name) => readlinkSync(join(record, "roots", name)));
    expect(links).toContain(environment.drvPath);
    expect(links.some((path) => path.endsWith("-dep"))).toBe(true);
    expect(readdirSync(join(root, "state/gcroots/auto")).length).toBeGreaterThanOrEqual(links.length);
    // who set what
    expect(environment.origins.get("FOO")).toMatchObject({ by: "derivation" });
    expect(environment.origins.get("PATH")?.detail).toContain("dep");
  });

  it("builds during evaluation in the store that was named", async () => {
    const other = join(root, "other");
    using context = createStoreContext({ store: `local?store=${other}/store&state=${other}/state` });
    const [found] = await instantiateDerivations(context, {
      directory: project,
      expression: `let d = derivation { name = "d"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ]; };
        in derivation { name = "of-\${builtins.substring 0 5 (builtins.readFile d)}"; system = "x"; builder = "b"; }`,
    });
    expect(found?.name).toBe("of-built");
    // What was built in another process is this one's to keep now.
    const kept = [...context.store.findRoots()].filter(([, by]) =>
      [...by].some((each) => each.startsWith("{temp:")),
    );
    expect(kept.map(([path]) => path.replace(/.*-/, ""))).toContain("d");
    expect(readdirSync(join(other, "store")).filter((name) => name.endsWith("-d"))).toHaveLength(1);
    expect(existsSync(join(root, "store"))).toBe(false);
  });

  it("has outputs of the collection beside the project, not in the store", async () => {
    const collection = join(root, "collection");
    mkdirSync(collection);
    writeFileSync(
      join(collection, "default.nix"),
      `{ ... }: ${PRELUDE}{ demo = mk { inherit stdenv; FLAGS = "--prefix=\${placeholder "out"}"; outputs = [ "out" "doc" ]; DOC = placeholder "doc"; }; }`,
    );
    write("shell.nix", `(import <debian> { }).demo`);
    const includes = [`debian=${collection}`];
    const script = 'echo "$out $doc $FLAGS $DOC"; mkdir -p "$out"; ls';
    const named = await makeEnvironment(request({ files: ["<debian>"], attributes: ["demo"], includes }));
    const outputs = join(project, "outputs");
    expect(existsSync(outputs)).toBe(false);
    expect(inside(named.environment, `cd ${project}; ${script}`)).toBe(
      `${outputs}/out ${outputs}/doc --prefix=${outputs}/out ${outputs}/doc\noutputs\nshell.nix\n`,
    );
    // A Nix file's own derivation is entered as nix-shell enters it.
    const own = await makeEnvironment(request({ includes }));
    expect(inside(own.environment, 'echo "${out%/*}"')).toBe(`${join(root, "store")}\n`);
  });

  it("is cached until an input changes, sources in the store among them", async () => {
    write("source.txt", "1");
    write(
      "shell.nix",
      `${PRELUDE}mk { src = ./source.txt; E = builtins.getEnv "DEVSHELL_TEST"; V = (import ./more.nix).v; }`,
    );
    write("more.nix", '{ v = "1"; }');
    const changed = (): (string | undefined)[] | undefined =>
      loadCachedEnvironment(project, [])?.changed.map((input) =>
        "path" in input ? input.path.slice(project.length + 1) : input.name,
      );
    await makeEnvironment(request());
    expect(changed()).toEqual([]);
    write("source.txt", "2");
    expect(changed()).toEqual(["source.txt"]);
    await makeEnvironment(request());
    expect(changed()).toEqual([]);
    write("more.nix", '{ v = "2"; }');
    expect(changed()).toEqual(["more.nix"]);
    const { environment } = await makeEnvironment(request());
    expect(environment.variables.get("V")).toMatchObject({ value: "2" });
    process.env["DEVSHELL_TEST"] = "x";
    expect(changed()).toEqual(["DEVSHELL_TEST"]);
    delete process.env["DEVSHELL_TEST"];
    write("devshell.yaml", "packages: []");
    expect(changed()).toEqual(["devshell.yaml"]);
  });

  it("gives structured attributes and passAsFile as a build gets them", async () => {
    write(
      "shell.nix",
      `${PRELUDE}mk { __structuredAttrs = true; list = [ "a b" "c" ]; set.key = "v"; n = 3; outputs = [ "out" "dev" ]; inherit dep; }`,
    );
    const structured = (await makeEnvironment(request())).environment;
    const said = inside(
      structured,
      'echo "${list[0]}|${set[key]}|$n|${outputs[dev]##*-}"; test -e "$NIX_ATTRS_JSON_FILE" && echo json; ls $dep/bin',
    );
    expect(said).toBe("a b|v|3|dev\njson\ndep\n");
    write("shell.nix", `${PRELUDE}mk { passAsFile = [ "big" ]; big = "the text"; }`);
    expect(inside((await makeEnvironment(request())).environment, 'cat "$bigPath"')).toBe("the text");
  });

  it("keeps only the listed variables when pure", async () => {
    write("shell.nix", `${PRELUDE}mk { inherit stdenv; }`);
    const { environment, record } = await makeEnvironment(request({ pure: true, keep: ["MINE"] }));
    const result = spawnSync(
      "/bin/sh",
      ["-c", `. ${record}/enter.sh`, "sh", "/bin/sh", "-c", 'echo "$MINE|$OTHER|$HOME|$PATH|$IN_NIX_SHELL"'],
      { env: { PATH: "/sbin", MINE: "m", OTHER: "o", HOME: "/h" }, encoding: "utf8" },
    );
    expect(result.stdout).toBe("m||/h|/usr/bin:/bin|pure\n");
    expect(environment.isPure).toBe(true);
  });

  it("selects attributes, passes arguments, and says inNixShell", async () => {
    write(
      "default.nix",
      `{ suffix ? "none", n ? 0, inNixShell ? false }: ${PRELUDE}{ a.b = mk { v = "\${suffix} \${toString n} \${toString inNixShell}"; }; f = { inNixShell ? false }: mk { v = toString inNixShell; }; g = dep; }`,
    );
    const value = async (more: Partial<EnvironmentRequest>): Promise<unknown> =>
      (await makeEnvironment(request(more))).environment.variables.get("v");
    expect(
      await value({
        attributes: ["a.b"],
        arguments: [
          { name: "suffix", kind: "string", value: "s" },
          { name: "n", kind: "expression", value: "1 + 2" },
        ],
      }),
    ).toMatchObject({ value: "s 3 1" });
    expect(await value({ attributes: ["f"] })).toMatchObject({ value: "1" });
    expect(await failure(makeEnvironment(request({ attributes: ["a.c"] })))).toMatchObject({
      message: expect.stringContaining("attribute 'c' in selection path 'a.c' not found") as unknown,
      suggestions: ["b"],
    });
    expect(await failure(makeEnvironment(request({})))).toMatchObject({
      code: "SPEC_NOT_ONE_DERIVATION",
      hint: "name an attribute with -A",
    });
  });

  it("takes expressions and the search path", async () => {
    mkdirSync(join(root, "lib"));
    writeFileSync(join(root, "lib/default.nix"), `${PRELUDE}mk { v = "from the search path"; }`);
    const includes = [`mine=${root}/lib`];
    const byExpression = await makeEnvironment(request({ expression: "import <mine>", includes }));
    expect(byExpression.environment.variables.get("v")).toMatchObject({ value: "from the search path" });
    const byEntry = await makeEnvironment(request({ files: ["<mine>"], includes }));
    expect(byEntry.environment.drvPath).toBe(byExpression.environment.drvPath);
  });

  it("builds and fetches what evaluation asks for", async () => {
    write("file.txt", "fetched");
    execFileSync("tar", [
      "-czf",
      join(root, "tree.tar.gz"),
      "-C",
      project,
      "--transform",
      "s,^,top/,",
      "file.txt",
    ]);
    write(
      "shell.nix",
      `${PRELUDE}mk {
        built = builtins.readFile (mk { name = "text"; args = [ "-c" "printf built > $out" ]; });
        url = builtins.readFile (builtins.fetchurl "file://${project}/file.txt");
        tree = builtins.readFile ((builtins.fetchTarball "file://${root}/tree.tar.gz") + "/file.txt");
      }`,
    );
    const { environment, record } = await makeEnvironment(request());
    const { variables } = environment;
    const rooted = readdirSync(join(record, "roots")).map((name) =>
      readlinkSync(join(record, "roots", name)),
    );
    for (const name of ["text", "file.txt", "source"])
      expect(rooted.some((path) => path.endsWith(`-${name}`))).toBe(true);
    expect(["built", "url", "tree"].map((name) => variables.get(name))).toMatchObject([
      { value: "built" },
      { value: "fetched" },
      { value: "fetched" },
    ]);
    write(
      "shell.nix",
      `${PRELUDE}mk { v = builtins.readFile (mk { name = "no"; args = [ "-c" "exit 3" ]; }); }`,
    );
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      message: expect.stringMatching(/no\.drv/) as unknown,
    });
    write("shell.nix", `mk { v = builtins.fetchGit "/x"; }`);
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      message: expect.stringMatching(/mk/) as unknown,
    });
  });

  it("writes nothing when evaluation is read-only", async () => {
    write("shell.nix", `${PRELUDE}mk { inherit dep; src = ./shell.nix; text = builtins.toFile "t" "x"; }`);
    const drvPath = async (isReadOnly: boolean): Promise<string | undefined> => {
      using context = createStoreContext({ isReadOnly });
      return (await instantiateDerivations(context, request()))[0]?.drvPath;
    };
    const computed = await drvPath(true);
    const names = existsSync(join(root, "store")) ? readdirSync(join(root, "store")) : [];
    expect(names.filter((name) => name !== ".links")).toEqual([]);
    expect(await drvPath(false)).toBe(computed);
    expect(existsSync(computed ?? "")).toBe(true);
    expect(readFileSync(computed ?? "", "latin1")).toMatch(/^Derive\(/);
  });

  it("leaves a failing setup's words in the error", async () => {
    write(
      "shell.nix",
      `${PRELUDE}mk { stdenv = mk { name = "bad"; args = [ "-c" "mkdir $out; echo 'echo no luck; exit 4' > $out/setup" ]; }; }`,
    );
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      code: "ENV_SETUP_FAILED",
      message: expect.stringContaining("no luck") as unknown,
    });
  });

  it("overlays a data spec's own fields", async () => {
    mkdirSync(join(root, "collection"));
    writeFileSync(
      join(root, "collection/default.nix"),
      `{ suite ? "none", ... }: ${PRELUDE}{
        mkShell = { name, nativeBuildInputs, shellHook ? "", ... }: mk { inherit name stdenv shellHook suite; buildInputs = nativeBuildInputs; };
        tool = dep // { version = "1.5"; }; tool_2 = dep // { version = "4:2.1-3"; }; "odd+name" = dep; set.inner = dep;
      }`,
    );
    const spec = (text: string): string => write("devshell.yaml", `collection: ${root}/collection\n${text}`);
    spec(
      'suite: s1\npackages: [tool@1, tool@2, "odd+name", set.inner]\nenv: { FOO: "$x", N: 3 }\nunset: [MINE]\nshellHook: echo hi\nscripts: { greet: "echo hello $1" }\nexitHook: echo bye\n',
    );
    const { environment, record } = await makeEnvironment(request());
    expect(inside(environment, 'dep; echo "$FOO $N ${MINE-unset} $suite"')).toBe(
      "hi\nfrom dep\n$x 3 unset s1\nbye\n",
    );
    expect(environment.origins.get("FOO")).toMatchObject({ by: "spec", pos: { line: 4 } });
    expect(execFileSync(join(record, "scripts/greet"), ["you"], { encoding: "utf8" })).toBe("hello you\n");
    spec("packages: [tool, toll]\n");
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      code: "SPEC_PACKAGE",
      suggestions: ["tool"],
      pos: { line: 2, column: 18 },
    });
    spec("packages: [tool@3]\n");
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      code: "SPEC_PACKAGE",
      message: "Cannot find version 3 of tool: the collection has tool 1.5",
    });
    spec("services: { db: { command: x } }\n");
    expect(await failure(makeEnvironment(request()))).toMatchObject({
      code: "SPEC_SERVICES",
      pos: { line: 2 },
    });
  });
});
