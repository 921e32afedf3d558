import { DevshellError } from "../core/index.ts";

/** A drop-in command was called wrongly: its report ends with where help is, as Nix's do. */
export class UsageError extends DevshellError {
  /** `nix`, `nix-env`, …: what has the help. */
  readonly command: string;

  constructor(command: string, message: string) {
    super("CLI_USAGE", message);
    this.command = command;
  }
}
