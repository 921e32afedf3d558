import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  ClosureReport,
  EnvironmentReport,
  FailureReport,
  Report,
  WatchEvent,
} from "../../../cli/protocol/types.ts";
import { check, definition } from "./checkSchema.ts";

// The whole program, from the launcher to the bundle (`npm test` makes it first).
const DEVSHELL = resolve(import.meta.dirname, "../../../cli/devshell");

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-protocol-"));
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function environmentOf(): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    LANG: "C.UTF-8",
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "sandbox = false\nsubstituters =\n",
  };
}

function devshell(cwd: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(DEVSHELL, args, {
    cwd,
    env: environmentOf(),
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return { status, out: stdout, err: stderr };
}

function json<T>(cwd: string, type: string, ...args: readonly string[]): T {
  const { out } = devshell(cwd, ...args);
  const data = JSON.parse(out) as T;
  expect(check(data, definition(type))).toEqual([]);
  return data;
}

/** Whether a process still does something: one that has ended may wait for its parent. */
function isAlive(pid: string): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function project(name: string, files: Readonly<Record<string, string>> = {}): string {
  const directory = join(root, name);
  mkdirSync(join(directory, ".git"), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  return directory;
}

const derivation = (fields: string): string =>
  `derivation { name = "demo"; system = builtins.currentSystem; builder = "/bin/sh"; ${fields} }\n`;
const withHook = (hook: string): string => derivation(`shellHook = ''\n${hook}\n'';`);
/** A collection of one's own: no mirror is needed. */
const COLLECTION = `{ ... }: { mkShell = a: derivation ({ system = builtins.currentSystem; builder = "/bin/sh"; } // a); tool = ${derivation("")}; tool2 = 1; }`;

describe("devshell env --json", () => {
  it("reports an environment, cold and warm alike, and exits 0", () => {
    const directory = project("ready", { "shell.nix": derivation('GREETING = "hello"; PATH = "/x/bin";') });
    const cold = json<EnvironmentReport>(directory, "Report", "env", "--json");
    expect(cold).toMatchObject({
      state: "ready",
      directory,
      selection: [],
      spec: { kind: "file", path: join(directory, "shell.nix"), root: directory },
      searchPaths: { programs: ["/x/bin"] },
      hook: { state: "none" },
    });
    expect(cold.variables).toContainEqual({
      name: "PATH",
      action: "prepend",
      value: "/x/bin",
      separator: ":",
      isSecret: false,
      origin: expect.objectContaining({ by: "setup" }) as unknown,
    });
    expect(cold.watch).toContain(join(directory, "shell.nix"));
    expect(cold.watch).toContain(join(directory, "devshell.yaml"));
    const warm = json<EnvironmentReport>(directory, "Report", "env", "--json");
    expect({ ...warm, durationMs: 0 }).toEqual({ ...cold, durationMs: 0 });
    expect(devshell(directory, "env", "--json").status).toBe(0);
  });

  it("tells a failure on both outputs, with its place and what was read", () => {
    const directory = project("failed", {
      "shell.nix": "let x = 1;\nin import ./other.nix",
      "other.nix": "  foo",
    });
    const { status, err } = devshell(directory, "env", "--json");
    expect(status).toBe(1);
    expect(err).toContain("undefined variable 'foo'");
    const report = json<FailureReport>(directory, "Report", "env", "--json");
    expect(report).toMatchObject({
      state: "failed",
      spec: { kind: "file" },
      error: {
        code: "LANG_UNDEFINED_VARIABLE",
        position: { path: join(directory, "other.nix"), line: 1, column: 3, endColumn: 6 },
      },
    });
    expect(report.error.text).not.toContain("\u001b");
    for (const file of ["shell.nix", "other.nix"]) expect(report.watch).toContain(join(directory, file));
  });

  it("marks the extent of what is wrong in a data spec", () => {
    const directory = project("unknown", { "devshell.yaml": "collection: debian\npackagse: [jq]\n" });
    const report = json<FailureReport>(directory, "Report", "env", "--json");
    expect(report).toMatchObject({
      spec: { kind: "data", path: join(directory, "devshell.yaml") },
      error: {
        code: "SPEC_INVALID",
        suggestions: ["packages"],
        position: { path: join(directory, "devshell.yaml"), line: 2, column: 1, endColumn: 9 },
      },
    });
    expect(report.watch).toContain(join(directory, "devshell.yaml"));
  });

  it("says where a spec would be found, and what a selection was that is none", () => {
    const directory = project("none");
    const none = json<Report>(directory, "Report", "env", "--json");
    expect(none).toMatchObject({ state: "none", directory });
    expect(none.watch).toContain(join(directory, "shell.nix"));
    expect(devshell(directory, "env", "--json").status).toBe(1);
    const missing = json<Report>(directory, "Report", "env", "--json", "./nowhere.nix");
    expect(missing).toMatchObject({ state: "failed", error: { code: "SPEC_NOT_FOUND" } });
    // Settings may decide what a spec means, too.
    const watched = missing.watch.filter((path) => !path.endsWith("/nix.conf"));
    expect(watched).toEqual([join(directory, "nowhere.nix")]);
  });

  it("has scripts and unset variables with their places, in a data spec", () => {
    const directory = project("data", {
      "collection.nix": COLLECTION,
      "devshell.yaml":
        "collection: ./collection.nix\nenv:\n  TOKEN: abc\nunset: [LANG]\nscripts:\n  greet: echo hi\n",
    });
    const report = json<EnvironmentReport>(directory, "Report", "env", "--json");
    const path = join(directory, "devshell.yaml");
    expect(report.scripts).toEqual([
      { name: "greet", text: "echo hi", position: { path, line: 6, column: 3, endColumn: 8 } },
    ]);
    // A remark at the end changes nothing: scripts keep their place on PATH.
    writeFileSync(path, `${readFileSync(path, "utf8")}# a remark\n`);
    expect(json<EnvironmentReport>(directory, "Report", "env", "--json").id).toBe(report.id);
    const greet = join(report.searchPaths.programs[0] ?? "", "greet");
    expect(spawnSync(greet, { encoding: "utf8" }).stdout).toBe("hi\n");
    expect(report.variables).toContainEqual({
      name: "TOKEN",
      action: "set",
      value: "abc",
      isSecret: true,
      origin: { by: "spec", position: { path, line: 3, column: 3, endColumn: 8 } },
    });
    expect(report.variables).toContainEqual({
      name: "LANG",
      action: "unset",
      isSecret: false,
      origin: { by: "spec", position: { path, line: 4, column: 9, endColumn: 13 } },
    });
  });
});

describe("the shell hook", () => {
  it("has its exports reported; what it prints and starts goes no further", () => {
    const directory = project("hook", {
      "shell.nix": withHook(
        'echo noise; export PATH=$PWD/bin:$PATH FROM_HOOK="$(echo x)"; unset LANG; sleep 300 & echo $! > pid',
      ),
    });
    const report = json<EnvironmentReport>(directory, "Report", "env", "--json");
    expect(report.hook.state).toBe("done");
    const byHook = report.variables.filter(({ origin }) => origin.by === "shellHook");
    const facts = { isSecret: false, origin: { by: "shellHook" } };
    expect(byHook).toEqual([
      { ...facts, name: "FROM_HOOK", action: "set", value: "x" },
      { ...facts, name: "LANG", action: "unset" },
      { ...facts, name: "PATH", action: "prepend", value: join(directory, "bin"), separator: ":" },
    ]);
    expect(isAlive(readFileSync(join(directory, "pid"), "utf8").trim())).toBe(false);
  });

  it("that fails is said, and leaves the rest as it is", () => {
    for (const [name, hook] of [
      ["exit", "export LOST=1; echo why; exit 3"],
      ["exec", "export LOST=1; exec true"],
    ] as const) {
      const directory = project(`hook-${name}`, { "shell.nix": withHook(hook) });
      const report = json<EnvironmentReport>(directory, "Report", "env", "--json");
      expect(report).toMatchObject({ state: "ready", hook: { state: "failed" } });
      expect(report.warnings).toHaveLength(1);
      expect(report.variables.some((variable) => variable.name === "LOST")).toBe(false);
      if (name === "exit")
        expect(report.hook).toMatchObject({ message: expect.stringMatching(/status 3[^]*why/) as unknown });
    }
  });
});

describe("devshell watch --json", () => {
  /** A running watch, and its events as they come. */
  function watch(cwd: string): {
    child: ChildProcess;
    next: () => Promise<WatchEvent>;
    ended: Promise<number | null>;
  } {
    const child = spawn(DEVSHELL, ["watch", "--json"], {
      cwd,
      env: environmentOf(),
      stdio: ["pipe", "pipe", "ignore"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ended = new Promise<number | null>((end) => child.once("exit", (status) => end(status)));
    const next = async (): Promise<WatchEvent> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error("the watch has ended");
        const event = JSON.parse(value) as WatchEvent;
        expect(check(event, definition("WatchEvent"))).toEqual([]);
        if (event.event !== "progress") return event;
      }
    };
    return { child, next, ended };
  }

  it("ends after one round with --once, with the status of env", () => {
    const directory = project("once", { "shell.nix": derivation("") });
    const { status, out } = devshell(directory, "watch", "--json", "--once");
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as WatchEvent);
    for (const event of events) expect(check(event, definition("WatchEvent"))).toEqual([]);
    expect(events.map(({ event }) => event).filter((event) => event !== "progress")).toEqual([
      "hello",
      "begin",
      "report",
    ]);
    expect(events.map((event) => (event.event === "progress" ? event.stage : ""))).toContain("evaluate");
    expect(status).toBe(0);
    expect(devshell(project("once-none"), "watch", "--json", "--once").status).toBe(1);
    expect(devshell(directory, "watch", "--once").out).toMatch(
      /^ready: demo \(0 packages, \d+ variables; [\d.]+ s\)\n$/,
    );
  });

  it("goes from none to ready to failed and back, and ends with its reader", async () => {
    const directory = project("rounds");
    const { child, next, ended } = watch(directory);
    const spec = join(directory, "shell.nix");
    expect(await next()).toMatchObject({ event: "hello", protocol: 1 });
    expect(await next()).toEqual({ event: "begin", reason: "start" });
    expect(await next()).toMatchObject({ event: "report", report: { state: "none" } });
    writeFileSync(spec, derivation('A = "1";'));
    expect(await next()).toEqual({ event: "begin", reason: "change" });
    const ready = await next();
    expect(ready).toMatchObject({ event: "report", report: { state: "ready" } });
    writeFileSync(spec, "{ oops");
    expect(await next()).toMatchObject({ event: "begin" });
    expect(await next()).toMatchObject({
      event: "report",
      report: { state: "failed", error: { code: "LANG_PARSE" } },
    });
    writeFileSync(spec, `# said otherwise\n${derivation('A = "1";')}`);
    expect(await next()).toMatchObject({ event: "begin" });
    const id = ready.event === "report" && ready.report.state === "ready" ? ready.report.id : "";
    expect(await next()).toEqual({ event: "same", id });
    child.stdin?.end();
    expect(await ended).toBe(0);
  });

  it("is stopped by SIGTERM in the middle of an evaluation, and nothing stays", async () => {
    const endless = "let f = n: f (n + 1); in f 0";
    const directory = project("endless", { "shell.nix": endless });
    const { child, next, ended } = watch(directory);
    await next();
    await next();
    const children = (): string[] =>
      readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
        .trim()
        .split(" ")
        .filter((pid) => pid !== "");
    while (children().length === 0) await new Promise((wait) => setTimeout(wait, 20));
    const pids = children();
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("can be stopped though its reader takes nothing", async () => {
    const directory = project("stalled", { "shell.nix": derivation(`BIG = "${"x".repeat(400_000)}";`) });
    const child = spawn(DEVSHELL, ["watch", "--json"], {
      cwd: directory,
      env: environmentOf(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise((ready) => child.stdout.once("readable", ready));
    await new Promise((wait) => setTimeout(wait, 500));
    child.kill("SIGTERM");
    expect(await new Promise((end) => child.once("exit", (status, by) => end(status ?? by)))).toBe(143);
  });
});

describe("lists for editors", () => {
  it("name attributes as -A takes them, and look no deeper than is cheap", () => {
    const directory = project("attributes", {
      "shell.nix": `{ n ? 1 }: { a = ${derivation("")}; "b.c" = { inner = 1; }; bad = throw "no"; "1" = 2; }`,
    });
    expect(json(directory, "AttributesReport", "attributes", "--json")).toMatchObject({
      attributes: [
        { name: '"b.c"', kind: "set" },
        { name: "a", kind: "derivation" },
        { name: "bad", kind: "unknown" },
      ],
      isTruncated: false,
    });
    expect(devshell(directory, "attributes", '"b.c".in').out).toBe('"b.c".inner\n');
    expect(json(project("attributes-none"), "AttributesReport", "attributes", "--json")).toMatchObject({
      attributes: [],
    });
    const many = project("attributes-many", {
      "shell.nix":
        'builtins.listToAttrs (map (n: { name = "x${toString n}"; value = 1; }) (builtins.genList (n: n) 3000))',
    });
    const report = json<{ attributes: unknown[]; isTruncated: boolean }>(
      many,
      "AttributesReport",
      "attributes",
      "--json",
    );
    expect([report.attributes.length, report.isTruncated]).toEqual([2000, true]);
  });

  it("name the packages of a spec's own collection, or of the one that is asked for", () => {
    const directory = project("packages", {
      "collection.nix": COLLECTION,
      "devshell.yaml": "collection: ./collection.nix\n",
    });
    expect(json(directory, "PackagesReport", "packages", "--json", "to")).toMatchObject({
      collection: "./collection.nix",
      packages: [{ name: "tool", versions: [] }, { name: "tool2" }],
    });
    const of = (collection: string) =>
      json(directory, "PackagesReport", "packages", "--json", `--collection=${collection}`, "--", "o");
    writeFileSync(join(directory, "other.nix"), "{ ... }: { other = 1; }");
    for (const spec of ["collection: ./collection.nix\n", "collection: [\n", "suite: bookworm\n"]) {
      writeFileSync(join(directory, "devshell.yaml"), spec);
      expect(of("./other.nix")).toMatchObject({ collection: "./other.nix", packages: [{ name: "other" }] });
    }
    expect(of("debian")).toMatchObject({ collection: "debian", packages: [] });
    const none = devshell(project("packages-none"), "packages", "--json", "x");
    expect(JSON.parse(none.out)).toMatchObject({ collection: "debian", packages: [] });
    expect(none.err).toContain("no index");
  });

  it("have the closure with sizes and references", () => {
    const build = (name: string, more: string): string =>
      `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; ${more} }`;
    const directory = project("closure", {
      "shell.nix": `let a = ${build("a", 'args = [ "-c" "echo a > $out" ];')};
        b = ${build("b", 'args = [ "-c" "echo ${a} > $out" ];')};
        in ${build("c", "inherit b;")}`,
    });
    const report = json<{
      paths: { name: string; narSizeBytes: number; references: string[]; path: string }[];
    }>(directory, "ClosureReport", "closure", "--json");
    const [a, b] = [...report.paths].sort((x, y) => (x.name < y.name ? -1 : 1));
    expect([a?.name, b?.name, report.paths.length]).toEqual(["a", "b", 2]);
    expect(b?.references).toEqual([a?.path]);
    expect(a?.narSizeBytes).toBeGreaterThan(0);
    expect(devshell(directory, "closure").out).toMatch(/in all\n$/);
  });

  it("have what a tree of links is linked from, each file counted once", () => {
    const directory = project("linked", {
      "shell.nix": `let
        base = { system = builtins.currentSystem; PATH = "/bin:/usr/bin"; };
        unpacked = name: size: derivation (base // {
          inherit name;
          builder = "/bin/sh";
          args = [ "-c" ''
            mkdir -p $out/usr/share $out/.debian; cd $out
            head -c \${toString size} /dev/zero > usr/share/\${name}
            echo "Package: \${name}" > .debian/control
            printf '%s@' d/usr d/usr/share 'f \${toString size} /usr/share/\${name}' | tr @ '\\0' > .debian/manifest
          '' ];
        });
        tree = derivation (base // {
          name = "test-env";
          builder = "builtin:debian-environment";
          packages = [ (unpacked "large" 300000) (unpacked "small" 20000) ];
          setup = "own text";
          arch = "amd64"; suite = "none"; recipe = "1"; loader = "/none"; shim = ""; defaultBuilder = "";
        });
        in derivation (base // { name = "shell"; builder = "/bin/sh"; inherit tree; })`,
    });
    const report = json<ClosureReport>(directory, "ClosureReport", "closure", "--json");
    const [large, small, tree] = report.paths.toSorted((x, y) => (x.name < y.name ? -1 : 1));
    expect(report.paths.map(({ name }) => name).sort()).toEqual(["large", "small", "test-env"]);
    expect(report.roots).toEqual([tree?.path]);
    expect(new Set(tree?.linkedFrom)).toEqual(new Set([large?.path, small?.path]));
    expect(tree?.narSizeBytes).toBeGreaterThan(320_000);
    expect(tree?.ownSizeBytes).toBe((tree?.narSizeBytes ?? 0) - 320_000);
    expect(large).not.toHaveProperty("ownSizeBytes");
    expect(large?.narSizeBytes).toBeGreaterThan(300_000);
    const { out } = devshell(directory, "closure");
    expect(out).toMatch(/^ *301 kB {2}\S+-large\n/);
    expect(out).toMatch(/with links into 2 others\)\n *325 kB {2}in all\n$/);
  });
});
