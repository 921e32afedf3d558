import { createRequire } from "node:module";
import { DevshellError } from "../../../core/index.ts";
import { OPERATIONS, type Operation } from "./operations.ts";
import type { Failure, Measure, Task } from "./crashedProcess.ts";
import { openStore, type World } from "./world.ts";

/*
 * Runs operations until it ends or is ended. Bundled by crashedProcess.ts: a process begins sooner so.
 */

/** Changes of the file system until now; 0 where nothing counts them. */
function countCalls(): number {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as {
      load(file: null): { func(prototype: string): () => number };
    };
    return koffi.load(null).func("long crash_calls()")();
  } catch {
    return 0;
  }
}

function operationOf(name: string): Operation {
  const operation = OPERATIONS.find((each) => each.name === name);
  if (operation === undefined) throw new Error(`There is no operation "${name}"`);
  return operation;
}

async function run(operation: Operation, world: World): Promise<void> {
  using store = openStore(world);
  await operation.run(store, world);
}

async function measure(operation: Operation, world: World): Promise<Measure> {
  if (operation.prepare !== undefined) {
    using store = openStore(world);
    await operation.prepare(store, world);
  }
  const calls = countCalls();
  const begun = performance.now();
  await run(operation, world);
  return { name: operation.name, calls: countCalls() - calls, ms: performance.now() - begun };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) };
  return {
    code: error instanceof DevshellError ? error.code : undefined,
    message: error.stack ?? error.message,
  };
}

const task = JSON.parse(process.argv[2] ?? "") as Task;
const operations = task.operations.map(operationOf);
try {
  const measures: Measure[] = [];
  process.stdout.write("begun\n");
  for (const operation of operations) {
    if (task.isMeasured) measures.push(await measure(operation, task.world));
    else await run(operation, task.world);
  }
  process.stdout.write(`${JSON.stringify(measures)}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify(failureOf(error))}\n`);
  process.exitCode = 1;
}
