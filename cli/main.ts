// main - the program behind the launcher: it caches compiled code, then imports only what it runs (program.ts).
// session.ts is the process that stays with an open shell.
import { enableCompileCache } from "node:module";
import { join } from "node:path";

const base = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? "/nonexistent", ".cache");
enableCompileCache(join(process.env["DEVSHELL_CACHE_DIR"] ?? join(base, "devshell"), "node"));

const { runProgram } = await import("./program.ts");
await runProgram(process.argv.slice(2));
