// callHost - runs a function in a window's extension host, through the probe extension's socket.
import { readdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type * as vscode from "vscode";
import { until } from "./until.ts";

export interface HostScope {
  readonly vscode: typeof vscode;
  readonly require: NodeJS.Require;
}
export type HostFunction<Argument, Value> = (
  scope: HostScope,
  argument: Argument,
) => PromiseLike<Value> | Value;

type Answer = { readonly value?: unknown } | { readonly error: string } | { readonly elsewhere: true };

/**
 * @param probes folder of the editor's sockets, one an extension host
 * @param opened folder or workspace file of the window
 * @param earlier sockets of hosts before the window was loaded: one may answer while it ends
 * @throws {Error} what the function threw, or when no host of that window answers
 */
export async function callHost<Argument, Value>(
  probes: string,
  opened: readonly string[],
  body: HostFunction<Argument, Value>,
  argument: Argument,
  earlier: readonly string[] = [],
): Promise<Value> {
  const request = JSON.stringify({ opened, source: body.toString(), argument });
  const answer = await until(`an extension host of ${opened.join()} answers`, async () => {
    for (const name of readdirSync(probes).sort().reverse()) {
      if (earlier.includes(name)) continue;
      const got = await ask(join(probes, name), request).catch(() => undefined);
      if (got !== undefined && !("elsewhere" in got)) return got;
    }
    return undefined;
  });
  if ("error" in answer) throw new Error(`In the extension host: ${String(answer.error)}`);
  return ("value" in answer ? answer.value : undefined) as Value;
}

async function ask(socketPath: string, request: string): Promise<Answer> {
  const socket = createConnection(socketPath);
  socket.end(request);
  return JSON.parse(await text(socket)) as Answer;
}
