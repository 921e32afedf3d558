import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { packageRoot } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import { OPERATIONS } from "./operations.ts";
import type { World } from "./world.ts";

/** What operationProcess.ts is to do. */
export interface Task {
  readonly world: World;
  readonly operations: readonly string[];
  readonly isMeasured: boolean;
}

export interface Measure {
  readonly name: string;
  /** Changes of the file system, from opening the store to closing it. */
  readonly calls: number;
  readonly ms: number;
}

export interface Failure {
  /** Of a `DevshellError`. */
  readonly code: string | undefined;
  readonly message: string;
}

/** How an operation is ended, or disturbed. */
export type Disturbance =
  | { readonly kind: "kill after"; readonly ms: number }
  | {
      readonly kind: "kill" | "power-cut" | "EIO" | "ENOSPC";
      /** At which change of the file system, from 1. */
      readonly at: number;
      readonly seed: number;
    };

export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "crashed" }
  | { readonly kind: "failed"; readonly failure: Failure };

/** Runs operations in processes of their own and ends these at any moment. */
export class CrashedProcesses implements Disposable {
  readonly #dir: string;
  /** `undefined` where there is no C compiler. */
  readonly #injector: string | undefined;
  readonly #measures = new Map<string, Measure>();

  private constructor(dir: string, injector: string | undefined) {
    this.#dir = dir;
    this.#injector = injector;
  }

  static async create(): Promise<CrashedProcesses> {
    const dir = mkdtempSync(join(tmpdir(), "devshell-crash-"));
    await bundle(dir);
    return new CrashedProcesses(dir, compileInjector(dir));
  }

  /** Whether a call can be chosen, not only a time. */
  get canChooseCalls(): boolean {
    return this.#injector !== undefined;
  }

  /** Runs every operation once, undisturbed. */
  async measure(world: World): Promise<void> {
    const operations = OPERATIONS.map(({ name }) => name);
    const { text } = await this.#run({ world, operations, isMeasured: true }, {});
    const measures = JSON.parse(text) as Measure[] | Failure;
    if (!Array.isArray(measures)) throw new Error(`Cannot measure: ${measures.message}`);
    for (const measure of measures) this.#measures.set(measure.name, measure);
  }

  measureOf(operation: string): Measure {
    const measure = this.#measures.get(operation);
    if (measure === undefined) throw new Error(`"${operation}" has not been measured`);
    return measure;
  }

  /** @throws where a power cut could not be played */
  async run(world: World, operation: string, disturbance: Disturbance): Promise<Outcome> {
    const report = join(this.#dir, "report");
    const environment =
      disturbance.kind === "kill after"
        ? {}
        : {
            CRASH_ACTION: disturbance.kind,
            CRASH_AT: String(disturbance.at),
            CRASH_SEED: String(disturbance.seed),
            // Where paths are not synced, what was there before is safe on ext4 and btrfs only.
            CRASH_FLUSH: world.sync === "paths" ? "0" : "1",
            CRASH_REPORT: report,
          };
    const task = { world, operations: [operation], isMeasured: false };
    const killAfterMs = disturbance.kind === "kill after" ? disturbance.ms : undefined;
    const { text, isKilled } = await this.#run(task, environment, killAfterMs);
    if (existsSync(report)) throw new Error(readFileSync(report, "utf8"));
    if (isKilled) return { kind: "crashed" };
    const result = JSON.parse(text) as readonly Measure[] | Failure;
    return "message" in result ? { kind: "failed", failure: result } : { kind: "done" };
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }

  async #run(
    task: Task,
    environment: Readonly<Record<string, string>>,
    killAfterMs?: number,
  ): Promise<{ readonly text: string; readonly isKilled: boolean }> {
    const child = spawn(process.execPath, [join(this.#dir, "operationProcess.mjs"), JSON.stringify(task)], {
      env: {
        PATH: process.env["PATH"],
        ...(this.#injector !== undefined && { LD_PRELOAD: this.#injector, CRASH_ROOT: task.world.root }),
        ...environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
      // One that hangs is told from one that is killed.
      timeout: 60_000,
    });
    let [stdout, stderr] = ["", ""];
    const begun = once(child.stdout, "data");
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    if (killAfterMs !== undefined) {
      await Promise.race([begun, closed]);
      await Promise.race([sleep(killAfterMs), closed]);
      child.kill("SIGKILL");
    }
    const [, signal] = await closed;
    const text = stdout.split("\n")[1] ?? "";
    if (signal === "SIGKILL") return { text, isKilled: true };
    if (text === "") throw new Error(`The process ended (${signal ?? "without a signal"}): ${stderr}`);
    return { text, isKilled: false };
  }
}

async function bundle(dir: string): Promise<void> {
  const entry = join(import.meta.dirname, "operationProcess.ts");
  await build({
    entryPoints: [entry],
    outdir: dir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    // Packages and workers are looked for from where the sources are.
    define: { "import.meta.url": JSON.stringify(pathToFileURL(join(packageRoot, "core/worker.ts")).href) },
    supported: { using: true },
    external: ["koffi"],
    logLevel: "error",
  });
}

function compileInjector(dir: string): string | undefined {
  const compiler = findProgram("cc") ?? findProgram("gcc") ?? findProgram("clang");
  if (compiler === undefined) return undefined;
  const library = join(dir, "injector.so");
  const source = join(import.meta.dirname, "injector.c");
  execFileSync(compiler, ["-shared", "-fPIC", "-O1", "-Wall", "-pthread", "-o", library, source, "-ldl"]);
  return library;
}
