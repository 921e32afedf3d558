import { DevshellError } from "../../../../core/index.ts";
import { usageError } from "../../commandLine.ts";
import { say } from "../../output.ts";
import type { NixCommand } from "../types.ts";

const LOADERS: Readonly<Record<string, () => Promise<NixCommand>>> = {
  archive: async () => (await import("./archive.ts")).archive,
  check: async () => (await import("./check.ts")).check,
  clone: async () => (await import("./clone.ts")).clone,
  info: async () => {
    const { metadata } = await import("./metadata.ts");
    return (argv) => {
      say("warning: 'nix flake info' is a deprecated alias for 'nix flake metadata'");
      return metadata(argv);
    };
  },
  init: async () => (await import("./init.ts")).init,
  lock: async () => (await import("./lock.ts")).lock,
  metadata: async () => (await import("./metadata.ts")).metadata,
  new: async () => (await import("./init.ts")).create,
  prefetch: async () => (await import("./prefetch.ts")).prefetch,
  "prefetch-inputs": async () => (await import("./prefetchInputs.ts")).prefetchInputs,
  show: async () => (await import("./show.ts")).show,
  update: async () => (await import("./lock.ts")).update,
};

/** `nix flake ACTION`. */
export async function flake(argv: readonly string[]): Promise<number> {
  const at = argv.findIndex((word) => Object.hasOwn(LOADERS, word));
  const name = at < 0 ? argv.find((word) => !word.startsWith("-")) : argv[at];
  if (name === undefined) throw usageError("nix flake", "no subcommand specified");
  const load = LOADERS[name];
  if (load === undefined)
    throw new DevshellError("CLI_USAGE", `'${name}' is not a recognised command`, {
      hint: `there are ${Object.keys(LOADERS).join(", ")}`,
    });
  const run = await load();
  return run(argv.toSpliced(at, 1));
}
