import { DevshellError } from "../../../core/index.ts";
import { pinnedHost } from "../../ssh/knownHostsFile.ts";
import { parseSshAddress } from "../../ssh/sshAddress.ts";
import { sshCommandLine } from "../../ssh/sshCommandLine.ts";
import type { DaemonAddress } from "../../types.ts";
import { decodePercents, parametersOf } from "../storeAddress.ts";

/** Where a daemon is that a store's address names, and what else the address says. */
export interface DaemonUrl {
  readonly address: DaemonAddress;
  readonly parameters: ReadonlyMap<string, string>;
  /** Its files are files of this machine. */
  readonly isHere: boolean;
}

/** `daemon`, `unix:///path?…`, `ssh-ng://[user@]host[:port]?…`, `mounted-ssh-ng://…` where its files are mounted here */
export function isDaemonUrl(url: string): boolean {
  return /^(?:daemon(?:\?|$)|unix:\/\/|(?:mounted-)?ssh-ng:\/\/)/.test(url);
}

/** Whether roots are for the other machine to make: links of this one mean nothing there. */
export function keepsRootsThere(url: string): boolean {
  return url.startsWith("mounted-ssh-ng://");
}

/**
 * @param socketPath where the daemon of this machine listens
 * @throws {DevshellError} `STORE_REMOTE_UNSUPPORTED`, `SSH_ADDRESS_INVALID`
 */
export function parseDaemonUrl(url: string, socketPath: string): DaemonUrl {
  const at = url.indexOf("?");
  const base = at < 0 ? url : url.slice(0, at);
  const parameters = parametersOf(at < 0 ? "" : url.slice(at + 1));
  if (base === "daemon" || base === "unix://")
    return { address: { kind: "socket", path: socketPath }, parameters, isHere: true };
  if (base.startsWith("unix://")) {
    const path = decodePercents(base.slice("unix://".length));
    if (!path.startsWith("/")) throw invalid(url, "its socket is not an absolute path");
    return { address: { kind: "socket", path }, parameters, isHere: true };
  }
  if (/^(?:mounted-)?ssh-ng:\/\//.test(base))
    return { address: commandOverSsh(url), parameters, isHere: base.startsWith("mounted-") };
  throw invalid(url, "it is no daemon's");
}

function commandOverSsh(url: string): DaemonAddress {
  const address = parseSshAddress(url);
  const { parameters } = address;
  const remoteStore = parameters.get("remote-store") ?? "";
  const command = [
    ...(parameters.get("remote-program") ?? "nix-daemon").split(/\s+/).filter((word) => word !== ""),
    "--stdio",
    ...(remoteStore === "" ? [] : ["--store", remoteStore]),
  ];
  const [program = "", ...args] = sshCommandLine(address, command, {
    sshOptions: process.env["NIX_SSHOPTS"],
  });
  const knownHosts = pinnedHost(address);
  return { kind: "command", program, args, ...(knownHosts !== undefined && { knownHosts }) };
}

function invalid(url: string, why: string): DevshellError {
  return new DevshellError("STORE_REMOTE_UNSUPPORTED", `Cannot use the store "${url}": ${why}`);
}
