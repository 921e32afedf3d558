import { DevshellError } from "../../core/index.ts";
import { loadDebugger } from "./loadDebugger.ts";

/** A drop-in command's own part. @returns the exit status */
export type CompatCommand = (argv: readonly string[]) => Promise<number> | number;

/** Each loads only what it needs: scripts start these commands by the hundred. */
const LOADERS: Readonly<Record<string, () => Promise<CompatCommand>>> = {
  nix: async () => (await import("./nix/index.ts")).runNix,
  "nix-build": async () => (await import("./nixBuild.ts")).runNixBuild,
  "nix-channel": async () => (await import("./nixChannel/index.ts")).runNixChannel,
  "nix-collect-garbage": async () => (await import("./nixCollectGarbage.ts")).runNixCollectGarbage,
  "nix-copy-closure": async () => (await import("./nixCopyClosure.ts")).runNixCopyClosure,
  "nix-daemon": async () => (await import("./nixDaemon.ts")).runNixDaemon,
  "nix-env": async () => (await import("./nixEnv/index.ts")).runNixEnv,
  "nix-hash": async () => (await import("./nixHash.ts")).runNixHash,
  "nix-instantiate": async () => (await import("./nixInstantiate.ts")).runNixInstantiate,
  "nix-prefetch-url": async () => (await import("./nixPrefetchUrl.ts")).runNixPrefetchUrl,
  "nix-shell": async () => (await import("./nixShell.ts")).runNixShell,
  "nix-store": async () => (await import("./nixStore/index.ts")).runNixStore,
};

/** Runs a drop-in command by the name it was called. */
export async function runCompat(name: string, argv: readonly string[]): Promise<number> {
  const load = LOADERS[name];
  if (load === undefined)
    throw new DevshellError("CLI_NOT_BUILT", `Cannot run ${name}: it is not built yet`, {
      hint: "use `devshell` itself: `devshell --help`",
    });
  const run = await load();
  await loadDebugger(argv);
  return run(argv);
}
