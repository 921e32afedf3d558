import { daemonOf } from "../nixDaemon.ts";

/** `nix daemon`. */
export async function daemon(argv: readonly string[]): Promise<number> {
  return await daemonOf("nix daemon", argv);
}
