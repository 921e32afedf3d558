import { notBuilt } from "../notBuilt.ts";
import type { Invocation } from "../invocation.ts";

/** Entering on `cd` runs what nobody asked for, so it waits for `devshell allow`. */
export function run({ words }: Invocation): number {
  throw notBuilt(
    `devshell hook ${words[0] ?? ""}`.trim(),
    'it waits for `devshell allow`; with direnv: `eval "$(devshell env --direnv)"` in .envrc',
  );
}
