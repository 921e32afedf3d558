import type { Invocation } from "../invocation.ts";
import { renderCompletion } from "../renderCompletion.ts";

/** `devshell completion SHELL`. */
export function run({ words }: Invocation): number {
  process.stdout.write(renderCompletion(words[0] ?? ""));
  return 0;
}
