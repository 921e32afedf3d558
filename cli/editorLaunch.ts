import { randomUUID } from "node:crypto";
import type { VariableReport } from "./protocol/types.ts";

/** One variable of the caller's as it was, null where there was none; where something was put before it, all of it. */
export type LaunchChange =
  | readonly [name: string, before: string | null]
  | readonly [name: string, before: string | null, after: string];

/** Below what one variable may hold. */
const LIMIT_BYTES = 96 * 1024;

/**
 * The value of DEVSHELL_EDITOR_LAUNCH: what the editor's extension must know to tell the environment that the editor
 * was started in from what its user's own is. `vscode-extension/src/launch.ts` reads it.
 */
export function describeLaunch(
  directory: string,
  selection: readonly string[],
  variables: readonly VariableReport[],
  caller: NodeJS.ProcessEnv,
): string {
  const launch = { id: randomUUID(), directory, selection };
  const changes = variables
    .filter(({ name }) => name !== "SHELL")
    .map((variable): LaunchChange => {
      const own = caller[variable.name];
      if (variable.action !== "prepend") return [variable.name, own ?? null];
      const { value, separator } = variable;
      return [variable.name, own ?? null, own === undefined || own === "" ? value : value + separator + own];
    });
  const text = JSON.stringify({ ...launch, changes });
  return Buffer.byteLength(text) <= LIMIT_BYTES ? text : JSON.stringify({ ...launch, changes: [] });
}
