// main - the program behind the launcher. It imports nothing but what it runs: see program.ts, and session.ts for the
// process that stays with an open shell.
import { enableCompileCache } from "node:module";
import { join } from "node:path";

const base = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? "/nonexistent", ".cache");
enableCompileCache(join(process.env["DEVSHELL_CACHE_DIR"] ?? join(base, "devshell"), "node"));

if (process.env["DEVSHELL_SESSION_RECORD"] === undefined) {
  const { runProgram } = await import("./program.ts");
  await runProgram(process.argv.slice(2));
} else {
  const { runSessionProcess } = await import("./sessionProcess.ts");
  await runSessionProcess(process.env["DEVSHELL_SESSION_RECORD"]);
}
