// runner - the small test runner that lives in the extension host: a list of tests, one after another, a report in lines.
import { appendFileSync } from "node:fs";

export interface HostTest {
  readonly name: string;
  readonly body: () => Promise<void> | void;
  readonly timeoutMs: number;
}

/** One line of the report. */
export interface HostResult {
  readonly name: string;
  readonly durationMs: number;
  /** Missing when the test passed. */
  readonly error?: string;
}

const tests: HostTest[] = [];
let data: unknown;

/** Adds a test that runs in the extension host, where `import * as vscode from "vscode"` works. */
export function test(name: string, body: () => Promise<void> | void, timeoutMs = 120_000): void {
  if (tests.some((other) => other.name === name)) throw new Error(`Two tests are named "${name}"`);
  tests.push({ name, body, timeoutMs });
}

/** The `data` that the test file outside passed. */
export function testData<Data>(): Data {
  return data as Data;
}

export function testNames(): readonly string[] {
  return tests.map(({ name }) => name);
}

/**
 * Runs the tests in order, each whether or not those before it passed.
 * @param reportFile gets one JSON line a test
 * @throws {Error} when a test failed: VS Code then ends with status 1
 */
export async function runTests(reportFile: string, passedData: unknown): Promise<void> {
  data = passedData;
  const failed: string[] = [];
  for (const { name, body, timeoutMs } of tests) {
    const start = performance.now();
    let error: string | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`Still not done after ${timeoutMs} ms`)), timeoutMs);
      });
      await Promise.race([body(), late]);
    } catch (thrown) {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      failed.push(name);
    } finally {
      clearTimeout(timer);
    }
    const durationMs = Math.round(performance.now() - start);
    const result: HostResult = { name, durationMs, ...(error === undefined ? {} : { error }) };
    appendFileSync(reportFile, `${JSON.stringify(result)}\n`);
    console.log(`${error === undefined ? "passed" : "FAILED"} ${name} (${durationMs} ms)`);
  }
  if (failed.length > 0) throw new Error(`Failed in the extension host: ${failed.join(", ")}`);
}
