import { copy } from "../compat/nix/copy.ts";
import type { Invocation } from "../invocation.ts";

/** `devshell copy`: as `nix copy`, whose words it takes. */
export function run({ argv }: Invocation): Promise<number> {
  return copy(argv, "devshell copy");
}
