import { quoteForShell } from "../../core/index.ts";
import { splitSshOptions } from "./splitSshOptions.ts";
import type { SshAddress } from "./sshAddress.ts";

/**
 * The words that start a command on another machine. `localhost` means this one, without ssh, as in Nix.
 * @param hostKeyFile where the machine's public key was written, if the address has one
 */
export function sshCommandLine(
  address: SshAddress,
  command: readonly string[],
  {
    sshOptions,
    hostKeyFile,
  }: { readonly sshOptions?: string | undefined; readonly hostKeyFile?: string | undefined } = {},
): readonly string[] {
  const { user, host, port, parameters } = address;
  if (isHere(address)) return command;
  const key = parameters.get("ssh-key") ?? "";
  return [
    "ssh",
    user === undefined ? host : `${user}@${host}`,
    "-x",
    ...splitSshOptions(sshOptions ?? ""),
    ...(key === "" ? [] : ["-i", key]),
    ...(hostKeyFile === undefined ? [] : [`-oUserKnownHostsFile=${hostKeyFile}`]),
    ...(isTrue(parameters.get("compress")) ? ["-C"] : []),
    ...(port === undefined ? [] : [`-p${port}`]),
    "--",
    // The other side's shell reads these.
    ...command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoteForShell(word))),
  ];
}

/** Whether no ssh is needed. */
export function isHere({ user, host, port }: SshAddress): boolean {
  return host === "localhost" && user === undefined && port === undefined;
}

export function isTrue(text: string | undefined): boolean {
  return /^(true|yes|1)$/.test(text ?? "");
}
