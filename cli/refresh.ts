import { DevshellError } from "../core/index.ts";
import { loadRecord, makeEnvironment } from "../env/index.ts";
import { findCommand } from "./commandTable.ts";
import { parseCommand } from "./parseCommand.ts";
import { requestOf } from "./request.ts";

/**
 * `devshell __refresh RECORD`: what an open session runs when an input has changed. Prints the record that holds now,
 * which is the same one where the inputs were only touched.
 */
export async function refreshRecord(record: string): Promise<number> {
  const loaded = loadRecord(record);
  const enter = findCommand("enter");
  if (loaded === undefined || enter === undefined)
    throw new DevshellError("CLI_RECORD_UNREADABLE", `Cannot read the environment's record "${record}"`, {
      hint: "enter again",
    });
  if (loaded.changed.length === 0) return print(record);
  const parsed = parseCommand(enter, loaded.selection);
  if (parsed === "help") throw new Error("a selection asks for help");
  process.chdir(loaded.directory);
  const request = { ...requestOf(parsed.words, parsed.flags, loaded.selection), directory: loaded.directory };
  const stopped = new AbortController();
  process.on("SIGTERM", () => stopped.abort());
  const made = await makeEnvironment(request, { signal: stopped.signal });
  return print(made.record);
}

function print(record: string): number {
  process.stdout.write(`${record}\n`);
  return 0;
}
