// main - the program behind the launcher: it caches compiled code, then imports only what it runs (program.ts).
// session.ts is the process that stays with an open shell; quickMain.ts that of what is over in a moment.
import { cacheCompiledCode } from "./cacheCompiledCode.ts";

cacheCompiledCode();

const { runProgram } = await import("./program.ts");
await runProgram(process.argv.slice(2));
