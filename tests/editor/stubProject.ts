// stubProject - folders whose environments a stand-in for the CLI tells as a file says: it counts its runs.
import type * as ChildProcess from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type * as Process from "node:process";
import type { Workbench } from "./harness/index.ts";

export const STUB = resolve(import.meta.dirname, "../vscode-extension/fixtures/stub-devshell.mjs");

/** What the next runs say; `variables` are `{ name, value }`, `action` and more where they are not simply set. */
export interface Plan {
  readonly state?: "ready" | "failed" | "none";
  readonly id?: string;
  readonly name?: string;
  readonly variables?: readonly Readonly<Record<string, string | boolean | object>>[];
  readonly scripts?: readonly object[];
  /** What `devshell closure` says; without it, it fails. */
  readonly closure?: object;
  readonly delayMs?: number;
  readonly hang?: boolean;
  readonly ignoreTerm?: boolean;
  readonly error?: object;
  /** The CLI's own variables that it writes down. */
  readonly show?: readonly string[];
}

export interface StubRun {
  readonly args: readonly string[];
  readonly pid: number;
  /** Who ran it: the extension host. */
  readonly ppid: number;
  readonly atMs: number;
  readonly environment: Readonly<Record<string, string | null>>;
}

export interface StubProject extends Disposable {
  readonly directory: string;
  /** Also the folder's one input: this is the save of a spec. */
  plan(plan: Plan): void;
  write(path: string, text: string): string;
  read(path: string): string;
  runs(): readonly StubRun[];
}

export function stubProject(plan: Plan): StubProject {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "devshell-stub-")));
  const project: StubProject = {
    directory,
    plan(next) {
      // As editors save: never half a file.
      renameSync(project.write("plan.new", JSON.stringify(next)), join(directory, "plan.json"));
    },
    write(path, text) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
    read: (path) => readFileSync(join(directory, path), "utf8"),
    runs() {
      try {
        const lines = project.read("runs.log").trim().split("\n");
        return lines.map((line) => JSON.parse(line) as StubRun);
      } catch {
        return [];
      }
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
  // What makes the editor start the extension.
  project.write("devshell.yaml", "packages: []\n");
  project.plan(plan);
  return project;
}

/** Waits for the status bar to say so: `ready`, `failed`. */
export async function waitForState(workbench: Workbench, words: string): Promise<void> {
  await workbench.waitForStatus("devshell.status", ({ ariaLabel }) => ariaLabel.includes(words), 60_000);
}

/** What the extension host has, its children and the extension's API say of variables. */
export function seenInHost(
  workbench: Workbench,
  names: readonly string[],
): Promise<Record<string, string | null>> {
  return workbench.host(({ require }, wanted) => {
    const { execFileSync } = require("node:child_process") as typeof ChildProcess;
    const entries = execFileSync("/usr/bin/env", ["-0"], { encoding: "utf8", maxBuffer: 1e8 }).split("\0");
    const all = new Map(
      entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
    );
    return Object.fromEntries(wanted.map((name) => [name, all.get(name) ?? null]));
  }, names);
}

/** The whole environment of the extension host, in one order, but for what VS Code's own extensions set there late. */
export function hostEnvironment(workbench: Workbench): Promise<string[]> {
  return workbench.host(({ require }) => {
    const { env } = require("node:process") as typeof Process;
    return Object.entries(env)
      .filter(([name]) => name !== "VSCODE_L10N_BUNDLE_LOCATION")
      .map(([name, value]) => `${name}=${value}`)
      .sort();
  });
}

/** Another one after each restart of the extensions. */
export function hostPid(workbench: Workbench): Promise<number> {
  return workbench.host(({ require }) => (require("node:process") as typeof Process).pid);
}
