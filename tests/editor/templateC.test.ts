// templates/c in a real editor, with the real CLI and real packages: terminal, task, language server, debugger, view.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../core/index.ts";
import { findMirrors } from "../../packages/debian/index/mirrors.ts";
import { describeEditor, startEditor, type Editor, type Workbench } from "./harness/index.ts";
import { DEVSHELL, EXTENSION } from "./sampleProject.ts";
import { CPP_TOOLS, SEEN, askClangd, askCppTools, debugScript, runScriptTask } from "./templateHost.ts";

const mirrors = findMirrors({ env: process.env });
const isReachable =
  mirrors.main[0] !== undefined &&
  (await fetch(`${mirrors.main[0]}/dists/bookworm/InRelease`, {
    method: "HEAD",
    signal: AbortSignal.timeout(10_000),
  }).then(
    ({ ok }) => ok,
    () => false,
  ));
/** Packages are downloaded once, into a store of this file's own. */
const COLD_MS = 400_000;

if (isReachable) describeEditor("templates/c", describeTemplate);
else describe.skip("templates/c (skipped: no Debian mirror answers)", describeTemplate);

function describeTemplate(): void {
  let root: string;
  let folder: string;
  let store: string;
  let clangd: string;
  let editor: Editor;
  let workbench: Workbench;

  beforeAll(async () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-template-")));
    store = join(root, "store");
    const env = {
      DEVSHELL_CACHE_DIR: join(root, "cache"),
      NIX_STORE_DIR: store,
      NIX_STATE_DIR: join(root, "var"),
      NIX_LOG_DIR: join(root, "log"),
      NIX_CONF_DIR: join(root, "etc"),
      ...givenMirror(),
    };
    folder = join(root, "hello");
    cpSync(join(packageRoot, "templates/c"), folder, { recursive: true });
    for (const made of ["hello", "devshell.lock"]) rmSync(join(folder, made), { force: true });
    const spec = readFileSync(join(folder, "devshell.yaml"), "utf8");
    writeFileSync(join(folder, "devshell.yaml"), `${spec}env:\n  GREETING: from the spec\n`);
    writeFileSync(join(folder, "seen.js"), SEEN);
    const write = (path: string, text: string, mode = 0o644): void => {
      const file = join(root, path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text, { mode });
    };
    write("hostile/gcc", "#!/bin/sh\necho hostile gcc; exit 1\n", 0o755);
    for (const [name, text] of Object.entries(CPP_TOOLS)) write(`cpptools/${name}`, text);
    // As a language extension brings it along: from elsewhere, and not on PATH.
    write("tools/devshell.yaml", "collection: debian\nsuite: bookworm\npackages: [clangd-16]\n");
    clangd = execFileSync(DEVSHELL, ["run", "--", "sh", "-c", "command -v clangd-16"], {
      cwd: join(root, "tools"),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], HOME: root, ...env },
    }).trim();

    editor = await startEditor({
      folders: [folder],
      extensions: [EXTENSION, join(root, "cpptools")],
      env,
      homeFiles: { ".bashrc": `export PATH=${root}/hostile:$PATH\nPS1='$ '\n` },
      settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "never" },
      commands: [
        "devshell.showEnvironment",
        "workbench.action.closePanel",
        "workbench.debug.action.toggleRepl",
      ],
    });
    workbench = await editor.openWorkbench();
    await workbench.waitForStatus("devshell.status", ({ ariaLabel }) => ariaLabel.includes("ready"), COLD_MS);
  }, COLD_MS);
  afterAll(async () => {
    await editor?.close();
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  });

  const open = (name: string, line = 0): Promise<void> =>
    workbench.host(
      async ({ vscode }, [path, at]) => {
        const place = new vscode.Position(at, 0);
        await vscode.window.showTextDocument(vscode.Uri.file(path), {
          selection: new vscode.Range(place, place),
          preview: false,
        });
      },
      [join(folder, name), line] as const,
    );

  test("the status bar has the environment's name, and its tooltip what is in it", async () => {
    const item = await workbench.statusItem("devshell.status");
    expect(item).toMatchObject({ text: "devshell", icons: ["package"], kind: "none" });
    expect(await workbench.statusTooltip("devshell.status")).toContain("zlib1g-dev");
  });

  test("a terminal has the store's gcc whatever .bashrc says, and builds", async () => {
    await open("hello.c");
    await workbench.openTerminal();
    const gcc = (await workbench.shell("command -v gcc")).stdout.trim();
    expect(gcc.startsWith(`${store}/`)).toBe(true);
    const { status, stdout } = await workbench.shell("make check");
    expect(stdout).toContain("check passed\n");
    expect(status).toBe(0);
    const linked = execFileSync("ldd", [join(folder, "hello")], { encoding: "utf8" });
    expect(/libz\.so\S* => (\S+)/.exec(linked)?.[1]).toMatch(new RegExp(`^${store}/`));
    await workbench.typeInTerminal("clear; command -v gcc; make -B check\r");
    await workbench.waitForTerminal("check passed");
    await workbench.screenshot("template c, terminal");
  });

  test("the spec's build script is a task; its compile error is a problem at its line", async () => {
    const file = join(folder, "hello.c");
    const text = readFileSync(file, "utf8");
    rmSync(join(folder, "hello"), { force: true });
    expect(await workbench.host(runScriptTask, { script: "build", file })).toEqual({
      status: 0,
      problems: [],
    });
    expect(execFileSync(join(folder, "hello"), ["editor"], { encoding: "utf8" })).toContain("Hello, editor!");
    const broken = text.replace("sizeof packed;", "sizeof pakced;");
    writeFileSync(file, broken);
    const line = broken.split("\n").findIndex((row) => row.includes("pakced"));
    const failed = await workbench.host(runScriptTask, { script: "build", file });
    expect(failed.status).toBe(2);
    expect(failed.problems).toContainEqual({
      line,
      column: broken.split("\n")[line]?.indexOf("pakced"),
      isError: true,
      message: expect.stringMatching(/^.pakced. undeclared/) as string,
    });
    try {
      await open("hello.c", line);
      await expect
        .poll(async () => (await workbench.problems()).join("\n"))
        .toMatch(/pakced. undeclared.*\[Ln 17, Col 33\]/);
      await workbench.screenshot("template c, problems");
    } finally {
      writeFileSync(file, text);
    }
    const mended = await workbench.host(runScriptTask, { script: "build", file });
    expect(mended).toEqual({ status: 0, problems: [] });
  });

  test("clangd, started as other extensions do, finds zlib's header in the store", async () => {
    const file = join(folder, "hello.c");
    const found = await workbench.host(askClangd, { clangd, file, header: "zlib.h" });
    expect(found.errors).toEqual([]);
    expect(found.header).toMatch(new RegExp(`^file://${store}/[^/]*-devshell-env/usr/include/zlib\\.h$`));
    // Without the environment there is the machine's, or none.
    const path = "/usr/bin:/bin";
    const lost = await workbench.host(askClangd, { clangd, file, header: "zlib.h", path });
    if (existsSync("/usr/include/zlib.h")) expect(lost.header).toBe("file:///usr/include/zlib.h");
    else expect(lost.errors).toContainEqual(expect.stringContaining("'zlib.h' file not found"));
  });

  test("the C/C++ extension is told the compiler and where zlib's header is", async () => {
    const { compilerPath, includePath, browsePath } = await workbench.host(
      askCppTools,
      join(folder, "hello.c"),
    );
    expect(compilerPath.startsWith(`${store}/`)).toBe(true);
    expect(existsSync(compilerPath)).toBe(true);
    const withZlib = (paths: readonly string[]): string[] =>
      paths.filter((directory) => existsSync(join(directory, "zlib.h")));
    expect(withZlib(includePath)).toEqual([expect.stringMatching(new RegExp(`^${store}/`))]);
    expect(withZlib(browsePath)).toEqual(withZlib(includePath));
  });

  test("a debug session in the internal console sees the spec's variable and the store's gcc", async () => {
    await open("seen.js");
    const seen = await workbench.host(debugScript, { folder, node: process.execPath });
    expect(seen).toEqual({
      greeting: "from the spec",
      gcc: expect.stringMatching(new RegExp(`^${store}/`)) as string,
    });
    await workbench.runCommand("workbench.debug.action.toggleRepl");
    await workbench.page.locator(".repl").getByText("from the spec").first().waitFor();
    await workbench.screenshot("template c, debug console");
    await workbench.runCommand("workbench.action.closePanel");
  });

  test("the view lists what gcc's environment sets, and draws the closure", async () => {
    await workbench.runCommand("devshell.showEnvironment");
    const view = workbench.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
    await view.getByRole("heading", { name: "devshell", exact: true }).waitFor();
    const row = (name: string) =>
      view.getByRole("row").filter({ has: view.getByRole("rowheader", { name, exact: true }) });
    expect(await row("CC").textContent()).toMatch(/^CC.*gcc/);
    expect(await row("GREETING").textContent()).toContain("from the spec");
    expect(await row("PATH").count()).toBe(1);
    await workbench.screenshot("template c, variables");
    await view.getByRole("tab", { name: "Closure" }).click();
    await view.getByRole("option", { name: /^gcc-12-12\.\S+, [\d.]+ MiB/ }).click();
    for (const name of [/^zlib1g-dev-\S+, /, /^libc6-dev-\S+, /, /^libc6-\d\S+, /])
      expect(await view.getByRole("option", { name }).count()).toBe(1);
    await workbench.screenshot("template c, closure");
  });
}

/** The mirror that the machine was told of, if any. */
function givenMirror(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      /^(?:DEVSHELL_DEBIAN_MIRROR|https?_proxy|no_proxy)$/i.test(name) && value !== undefined
        ? [[name, value]]
        : [],
    ),
  );
}
