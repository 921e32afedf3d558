import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { workerFile } from "../../../core/index.ts";

export interface ChildExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that runs a builder, in a process group of its own. */
export interface BuilderChild {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ChildExit>;
}

export interface ChildOrder {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** From descriptor 3 on. */
  readonly stdio: readonly ("ignore" | number)[];
}

/** What is to hold for a builder and all that it starts. */
export interface Confinement {
  /** Its system calls are filtered. */
  readonly isFiltered: boolean;
  /** Abstract sockets of others are out of reach. */
  readonly isScoped: boolean;
}

/** What a process is told that confines itself, and where it reads that. */
export type BuilderOrder = Pick<ChildOrder, "program" | "args" | "env"> & Confinement;
export const ORDER_FD = 3;

export async function startChild({ program, args, cwd, env, stdio }: ChildOrder): Promise<BuilderChild> {
  return await childOf(
    spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe", ...stdio], detached: true }),
    program,
  );
}

/** By a process that confines itself first: that takes a moment each time. */
export async function startConfined(
  { program, args, cwd, env, stdio }: ChildOrder,
  confinement: Confinement,
): Promise<BuilderChild> {
  const child = spawn(
    process.execPath,
    ["--no-warnings", workerFile("store/realise/builder/becomeBuilder.worker")],
    {
      cwd,
      env: {},
      stdio: ["ignore", "pipe", "pipe", "pipe", ...stdio.slice(1)],
      detached: true,
    },
  );
  const order = child.stdio[ORDER_FD];
  if (order === undefined || order === null || !("write" in order)) throw new Error("The order has a pipe");
  // Who ended before it was read says so by its exit.
  order.on("error", () => undefined);
  order.end(JSON.stringify({ program, args, env, ...confinement } satisfies BuilderOrder));
  return await childOf(child, program);
}

async function childOf(child: ReturnType<typeof spawn>, program: string): Promise<BuilderChild> {
  const exited = new Promise<ChildExit>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (status, signal) => resolve({ status, signal }));
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined) {
    await exited;
    throw new Error(`Cannot start ${program}`);
  }
  if (stdout === null || stderr === null) throw new Error("A builder has pipes");
  exited.catch(() => undefined); // who waits for it hears of it
  return { pid, stdout, stderr, exited };
}
