import { useDebugger } from "./debugger.ts";

/** Brings the debugger in where it is asked for: evaluation waits for it, and cannot load it. */
export async function loadDebugger(argv: readonly string[]): Promise<void> {
  if (argv.includes("--debugger")) useDebugger((await import("../repl/debugRepl.ts")).askDebugger);
}
