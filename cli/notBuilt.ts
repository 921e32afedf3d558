import { DevshellError } from "../core/index.ts";

/** What is announced but not there: said, never faked. */
export function notBuilt(what: string, hint?: string): DevshellError {
  return new DevshellError("CLI_NOT_BUILT", `Cannot run ${what}: it is not built yet`, { hint });
}
