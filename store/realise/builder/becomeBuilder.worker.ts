import { closeSync, readFileSync } from "node:fs";
import { filterCalls, scopeSockets } from "./filterCalls.ts";
import { ORDER_FD, type BuilderOrder } from "./builderChild.ts";

/*
 * A process that puts itself under the filter and then becomes what starts the builder. What that is comes through a
 * pipe: the builder's variables must not reach this program.
 */

const { program, args, env, isFiltered, isScoped } = JSON.parse(
  readFileSync(ORDER_FD, "utf8"),
) as BuilderOrder;
closeSync(ORDER_FD);
const obstacle = isFiltered ? filterCalls() : undefined;
if (isScoped) scopeSockets();
if (obstacle === undefined) process.execve?.(program, [program, ...args], env);
process.stderr.write(`${obstacle ?? "this Node cannot become another program"}\n`);
process.exitCode = 1;
