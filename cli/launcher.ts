import { join } from "node:path";
import { packageRoot } from "../core/index.ts";

export function launcherPath(): string {
  return process.env["DEVSHELL_LAUNCHER"] ?? join(packageRoot, "cli/devshell");
}

/** The caller's variables without what launcher and program tell one another. */
export function withoutInternals(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !/^DEVSHELL_(?:ARGV0|GUARDED|LAUNCHER|REPLY_FD|SESSION_RECORD|STACK|TTY)$/.test(name),
    ),
  );
}
