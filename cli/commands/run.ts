import type { Invocation } from "../invocation.ts";
import { enterWith } from "../enterRecord.ts";

/** `devshell run -- CMD`: the command takes this process's place. */
export function run(invocation: Invocation): Promise<number> {
  return enterWith(invocation, { kind: "run", words: invocation.words });
}
