// runApiTests - the API layer: bundles a *.host.ts file, runs it in an extension host, and reports each of its tests.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { compileFunction } from "node:vm";
import { build } from "esbuild";
import { beforeAll, test } from "vitest";
import type { HostResult } from "../host/runner.ts";
import { describeEditor } from "./editorSetup.ts";
import type { OpenOptions, Workbench } from "./openWorkbench.ts";
import { type Editor, type EditorOptions, startEditor } from "./startEditor.ts";
import { until } from "./until.ts";

export interface HostTestOptions extends Omit<EditorOptions, "folders" | "workspace"> {
  /** Absolute path of the file with the tests: `*.host.ts`, with `test` of ../host/runner.ts. */
  readonly tests: string;
  readonly folders?: readonly string[];
  readonly workspace?: string;
  /** JSON that the tests read by `testData()`. */
  readonly data?: unknown;
  /** An editor that runs already, instead of a new one; it keeps running. */
  readonly editor?: Editor;
  /** For the window meanwhile, such as to press a button; a failure there fails the run. */
  readonly whileRunning?: (workbench: Workbench) => Promise<void>;
  /** For all tests together. Default: 5 minutes. */
  readonly timeoutMs?: number;
}

/** What came of one run in an extension host. */
export interface HostRun {
  /** What VS Code ended with: 0 when all tests passed. */
  readonly exitCode: number;
  readonly results: readonly HostResult[];
}

const RUNNER = resolve(import.meta.dirname, "../host/runner.ts");
const RUN_TIMEOUT_MS = 300_000;

/**
 * Runs a file's tests in an extension host.
 * @throws {Error} when the window does not open or the tests do not end; a failed test is only in the results
 */
export async function runApiTests(options: HostTestOptions): Promise<HostRun> {
  const {
    editor: given,
    tests,
    data,
    whileRunning,
    timeoutMs = RUN_TIMEOUT_MS,
    folders,
    workspace,
    ...rest
  } = options;
  const opened: OpenOptions = {
    ...(folders === undefined ? {} : { folders }),
    ...(workspace === undefined ? {} : { workspace }),
  };
  const editor = given ?? (await startEditor({ ...rest, ...opened }));
  try {
    const extension = mkdtempSync(join(editor.dir, "host-tests-"));
    const report = join(extension, "report.jsonl");
    const index = join(extension, "test", "index.js");
    mkdirSync(join(extension, "test"));
    writeFileSync(join(extension, "package.json"), JSON.stringify(HOST_MANIFEST));
    writeFileSync(join(extension, "main.js"), "exports.activate = () => undefined;\n");
    const run = `export const run = () => runTests(${JSON.stringify(report)}, ${JSON.stringify(data ?? null)});`;
    writeFileSync(index, await bundle(tests, run));

    const authority = new URL(editor.url).host;
    let exitCode: number | undefined;
    await using workbench = await editor.openWorkbench({
      ...opened,
      payload: [
        ["extensionDevelopmentPath", `vscode-remote://${authority}${extension}`],
        ["extensionTestsPath", `vscode-remote://${authority}${index}`],
      ],
      expose: {
        codeAutomationExit: (code) => (exitCode = Number(code)),
        codeAutomationLog: () => undefined,
      },
    });
    const ended = until("the tests in the extension host end", () => exitCode, {
      timeoutMs,
      seen: () => readReport(report),
    });
    await Promise.all([ended, whileRunning?.(workbench)]);
    return { exitCode: await ended, results: readReport(report) };
  } finally {
    if (given === undefined) await editor.close();
  }
}

/**
 * A `describe` whose tests are those of a `*.host.ts` file: they run in one extension host, and each reports by its name.
 * @param options a function when they need what a `beforeAll` before made
 */
export function describeInHost(
  name: string,
  tests: string,
  options: Omit<HostTestOptions, "tests"> | (() => Promise<Omit<HostTestOptions, "tests">>),
): void {
  describeEditor(name, async () => {
    const names = await listTests(tests);
    let run: HostRun | undefined;
    beforeAll(async () => {
      run = await runApiTests({ ...(typeof options === "function" ? await options() : options), tests });
    }, RUN_TIMEOUT_MS + 120_000);
    for (const testName of names)
      test(testName, () => {
        const result = run?.results.find((candidate) => candidate.name === testName);
        if (result === undefined)
          throw new Error(`Never ran; the extension host ended with ${run?.exitCode}`);
        if (result.error !== undefined) throw new Error(`In the extension host: ${result.error}`);
      });
    test("the extension host ends with the tests' status", () => {
      const expected = run?.results.some(({ error }) => error !== undefined) === true ? 1 : 0;
      if (run?.exitCode !== expected) throw new Error(`Found exit status ${run?.exitCode}, not ${expected}`);
    });
  });
}

const HOST_MANIFEST = {
  name: "host-tests",
  publisher: "devshell-tests",
  version: "0.0.1",
  engines: { vscode: "^1.100.0" },
  main: "./main.js",
  activationEvents: [],
  extensionKind: ["workspace"],
  capabilities: { untrustedWorkspaces: { supported: true } },
};

/** One CommonJS file, as an extension host loads them. */
async function bundle(tests: string, last: string): Promise<string> {
  const result = await build({
    stdin: {
      contents: `import ${JSON.stringify(tests)}; import { runTests, testNames } from ${JSON.stringify(RUNNER)};\n${last}`,
      resolveDir: resolve(import.meta.dirname),
      loader: "ts",
    },
    bundle: true,
    write: false,
    format: "cjs",
    platform: "node",
    target: "node22",
    external: ["vscode"],
    // package.json says that no module has side effects; adding a test is one.
    ignoreAnnotations: true,
    logLevel: "warning",
  });
  return result.outputFiles[0]?.text ?? "";
}

/** Loads the tests' file with a `vscode` that answers anything, only to learn what tests it has. */
async function listTests(tests: string): Promise<readonly string[]> {
  const code = await bundle(tests, "export const names = testNames();");
  const nodeRequire = createRequire(import.meta.url);
  const module: { exports: { names?: readonly string[] } } = { exports: {} };
  const load = compileFunction(code, ["require", "module", "exports"]) as (...values: unknown[]) => void;
  load((id: string): unknown => (id === "vscode" ? anything() : nodeRequire(id)), module, module.exports);
  const { names } = module.exports;
  if (names === undefined || names.length === 0) throw new Error(`Cannot find a test in ${tests}`);
  return names;
}

function anything(): unknown {
  return new Proxy(function () {}, { get: () => anything(), apply: () => anything(), construct: () => ({}) });
}

function readReport(file: string): HostResult[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as HostResult);
}
