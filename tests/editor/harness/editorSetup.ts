// editorSetup - vitest's global set-up of the editor tests: installs the editor, or says why there is none.
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, inject } from "vitest";
import type { TestProject } from "vitest/node";

/** What `scripts/setup-editor` said: a folder that holds code-server and Node, or why there is none. */
export type EditorSetup =
  | { readonly state: "ready"; readonly node: string; readonly codeServer: string; readonly chromium: string }
  | { readonly state: "missing"; readonly reason: string };

declare module "vitest" {
  interface ProvidedContext {
    editorSetup: EditorSetup;
  }
}

const ROOT = resolve(import.meta.dirname, "../../..");
/** The exit status of setup-editor when this machine cannot have an editor. */
const CANNOT = 75;

/** Vitest calls this once, before the first test; what it gives back, after the last. */
export function setup(project: TestProject): () => void {
  const found = setUpEditor();
  project.provide("editorSetup", found);
  const report = (): void => {
    if (found.state === "missing") console.error(`\nEditor tests are skipped: ${found.reason}\n`);
  };
  report();
  return report;
}

/**
 * Runs `scripts/setup-editor`.
 * @throws {Error} when it failed by its own fault
 */
export function setUpEditor(): EditorSetup {
  const run = spawnSync("sh", [join(ROOT, "scripts/setup-editor")], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lastLine = run.stderr.trim().split("\n").at(-1) ?? "";
  if (run.status === CANNOT) return { state: "missing", reason: lastLine.replace(/^setup-editor: /, "") };
  if (run.status !== 0)
    throw new Error(`Cannot set up the editor: setup-editor ended with ${run.status}: ${run.stderr}`);
  const folder = run.stdout.trim();
  const node = globSync(join(folder, "node_modules/node-linux-*/bin/node"))[0];
  const codeServer = join(folder, "node_modules/code-server/out/node/entry.js");
  if (node === undefined || !existsSync(codeServer)) throw new Error(`Cannot find code-server in ${folder}`);
  return {
    state: "ready",
    node,
    codeServer,
    chromium: process.env["DEVSHELL_EDITOR_CHROMIUM"] ?? "/usr/bin/chromium",
  };
}

/** As vitest's `describe`; skipped, with the reason in its name, where there is no editor. */
export function describeEditor(name: string, body: () => void | Promise<void>): void {
  const found = inject("editorSetup");
  if (found.state === "ready") describe(name, body);
  else describe.skip(`${name} (skipped: ${found.reason})`, body);
}

/** @throws {Error} where there is no editor: write the test in a `describeEditor` */
export function readyEditor(): EditorSetup & { readonly state: "ready" } {
  const found = inject("editorSetup");
  if (found.state === "missing") throw new Error(`Cannot start an editor: ${found.reason}`);
  return found;
}
