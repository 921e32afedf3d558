import { textOfBytes, type ByteString } from "../../../core/index.ts";
import type { StoreConfig } from "../../types.ts";
import type { BuildRequest } from "../buildRequest.ts";
import { runHook } from "../runHook.ts";

export interface DiffHookRequest {
  readonly request: Pick<BuildRequest, "drvPath" | "signal" | "onLine">;
  /** What is registered. */
  readonly before: ByteString;
  /** What the rebuild left. */
  readonly after: ByteString;
  readonly buildDir: ByteString;
}

/** The program of the option `diff-hook`, where `run-diff-hook` is on. */
export function diffHookOf({ raw }: Pick<StoreConfig, "raw">): string | undefined {
  const program = raw.get("diff-hook") ?? "";
  return program !== "" && /^(?:true|yes|1)$/.test(raw.get("run-diff-hook") ?? "") ? program : undefined;
}

/** Has a program look at a build that differs; what it prints goes into the log, and its own failure changes nothing. */
export async function runDiffHook(
  program: string,
  { request, before, after, buildDir }: DiffHookRequest,
): Promise<void> {
  const { drvPath, signal, onLine } = request;
  try {
    await runHook({
      name: "diff-hook",
      program,
      args: [before, after, drvPath, buildDir].map(textOfBytes),
      env: process.env,
      cwd: "/",
      signal,
      onLine,
    });
  } catch (error) {
    signal.throwIfAborted();
    onLine(`diff hook execution failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
