// The real devshell, asked as the extension asks it: its reports are understood, and name what must be watched.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WorkspaceFolder } from "vscode";
import type { Report } from "../../cli/protocol/types.ts";
import { applyVariables, usableVariables } from "../../vscode-extension/src/apply/applyVariables.ts";
import { runProcess } from "../../vscode-extension/src/cli/cliProcess.ts";
import { InputWatchers } from "../../vscode-extension/src/environment/inputWatchers.ts";
import { loadReport } from "../../vscode-extension/src/cli/loadReport.ts";
import { DEVSHELL, sampleProjects, type Samples } from "../editor/sampleProject.ts";

let samples: Samples;
let home: string;
const progress: string[] = [];

beforeAll(() => {
  samples = sampleProjects();
  home = mkdtempSync(join(tmpdir(), "devshell-home-"));
});

afterAll(() => {
  samples[Symbol.dispose]();
  rmSync(home, { recursive: true });
});

function load(directory: string, selection: readonly string[] = []): Promise<Report> {
  const folder = { name: "project", uri: { fsPath: directory } } as WorkspaceFolder;
  const environment = { PATH: process.env["PATH"] ?? "", HOME: home, ...samples.env };
  const run: Parameters<typeof loadReport>[0]["run"] = ({ args, signal, timeoutMs, onLine }) =>
    runProcess({ program: DEVSHELL, args, directory, environment, signal, timeoutMs, onLine });
  const onProgress = ({ stage }: { readonly stage: string }): void => void progress.push(stage);
  const { signal } = new AbortController();
  return loadReport({ run }, { folder, selection, timeoutMs: 60_000, onProgress }, { signal });
}

describe("devshell watch --json --once", () => {
  test("an environment: the same id when asked again, another after an edit that its watch list names", async () => {
    const directory = samples.project("ready", {
      "devshell.yaml": samples.spec("packages: [tool]\nenv:\n  FROM_SPEC: one two\n"),
    });
    const spec = join(directory, "devshell.yaml");
    const report = await load(directory);
    if (report.state !== "ready") throw new Error(`found ${JSON.stringify(report)}`);
    expect(report.watch).toContain(spec);
    expect(progress).not.toEqual([]);
    const base = { PATH: "/usr/bin:/bin", HOME: home };
    const seen = applyVariables(usableVariables(report, base).variables, base);
    expect(seen["FROM_SPEC"]).toBe("one two");
    const tool = await runProcess({ program: "/bin/sh", args: ["-c", "tool"], directory, environment: seen });
    expect(tool.stdout).toBe("devshell tool\n");
    expect(await load(directory)).toMatchObject({ state: "ready", id: report.id });

    const watchers = new InputWatchers();
    const changed = new Promise<readonly string[]>((resolve) => watchers.watch(report.watch, resolve));
    writeFileSync(spec, samples.spec("packages: [tool]\nenv:\n  FROM_SPEC: three\n"));
    expect(await changed).toEqual([spec]);
    watchers.dispose();
    const next = await load(directory);
    expect(next).toMatchObject({ state: "ready" });
    expect((next as { id?: string }).id).not.toBe(report.id);
  });

  test("a broken spec: where, and what to watch for its mend", async () => {
    const directory = samples.project("broken", {
      "devshell.yaml": samples.spec("packages: [tool]\nenvironment: {}\n"),
    });
    const report = await load(directory);
    expect(report).toMatchObject({
      state: "failed",
      error: { code: "SPEC_INVALID", position: { path: join(directory, "devshell.yaml"), line: 3 } },
    });
    expect(report.watch).toContain(join(directory, "devshell.yaml"));
  });

  test("no spec: the places where one would be seen", async () => {
    const directory = samples.project("none", { "README.md": "" });
    const report = await load(directory);
    expect(report.state).toBe("none");
    const watchers = new InputWatchers();
    const changed = new Promise<readonly string[]>((resolve) => watchers.watch(report.watch, resolve));
    writeFileSync(join(directory, "devshell.yaml"), samples.spec("packages: []\n"));
    expect(await changed).not.toEqual([]);
    watchers.dispose();
  });
});
