// quickMain - what evaluates or asks the store and does little else (quickCommands.ts), behind the launcher: what main.ts
// does for all, in one CommonJS bundle without the other commands (scripts/build.ts), since so short a run is felt
// most. Measured on `eval -E 1`, where Node alone takes 26 ms of CPU: 53 ms instead of 65; 44 from the snapshot
// (quickSnapshot.ts).
import { createRequire } from "node:module";
import { cacheCompiledCode } from "./cacheCompiledCode.ts";

cacheCompiledCode();
// By `require`, once the cache is on: an import would come first.
createRequire(import.meta.url)("./quickProcess.cjs");
