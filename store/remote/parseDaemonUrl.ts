import { DevshellError } from "../../core/index.ts";
import type { DaemonAddress } from "../types.ts";
import { decodePercents, parametersOf } from "./storeAddress.ts";

/** Where a daemon is that a store's address names, and what else the address says. */
export interface DaemonUrl {
  readonly address: DaemonAddress;
  readonly parameters: ReadonlyMap<string, string>;
  /** Its files are files of this machine. */
  readonly isHere: boolean;
}

/** `daemon`, `unix:///path?…`, `ssh-ng://[user@]host[:port]?…` */
export function isDaemonUrl(url: string): boolean {
  return /^(?:daemon(?:\?|$)|unix:\/\/|ssh-ng:\/\/)/.test(url);
}

/**
 * @param socketPath where the daemon of this machine listens
 * @throws {DevshellError} `STORE_REMOTE_UNSUPPORTED`
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
  if (base.startsWith("ssh-ng://"))
    return {
      address: sshAddress(url, base.slice("ssh-ng://".length), parameters),
      parameters,
      isHere: false,
    };
  throw invalid(url, "it is no daemon's");
}

function sshAddress(url: string, authority: string, parameters: ReadonlyMap<string, string>): DaemonAddress {
  const match = /^(?:([^@]*)@)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?\/?$/.exec(authority);
  if (match === null) throw invalid(url, "it names no host");
  const [, user, bracketed = "", port] = match;
  const host = bracketed.replace(/^\[|\]$/g, "");
  if (host === "") throw invalid(url, "host name must not be empty");
  if (host.startsWith("-")) throw invalid(url, `host name '${host}' must not start with '-'`);
  if (user === "" || user?.startsWith("-") === true)
    throw invalid(url, "its user name is empty or starts with '-'");
  const remoteStore = parameters.get("remote-store") ?? "";
  const command = [
    ...(parameters.get("remote-program") ?? "nix-daemon").split(/\s+/).filter((word) => word !== ""),
    "--stdio",
    ...(remoteStore === "" ? [] : ["--store", remoteStore]),
  ];
  // As Nix: for tests on the machine itself no ssh is needed.
  if (authority.replace(/\/$/, "") === "localhost") {
    const [program = "nix-daemon", ...args] = command;
    return { kind: "command", program, args };
  }
  const key = parameters.get("ssh-key") ?? "";
  return {
    kind: "command",
    program: "ssh",
    args: [
      user === undefined ? host : `${user}@${host}`,
      "-x",
      ...splitOptions(process.env["NIX_SSHOPTS"] ?? ""),
      ...(key === "" ? [] : ["-i", key]),
      ...(/^(?:1|true)$/.test(parameters.get("compress") ?? "") ? ["-C"] : []),
      ...(port === undefined ? [] : [`-p${port}`]),
      "--",
      command.map(quote).join(" "),
    ],
  };
}

/** Words as a shell splits them; quotes hold a word together. */
function splitOptions(text: string): string[] {
  return [...text.matchAll(/(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/g)].map(([word]) =>
    word.replace(
      /\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
      (_, escaped?: string, single?: string, double?: string) =>
        escaped ?? single ?? (double ?? "").replace(/\\(.)/g, "$1"),
    ),
  );
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function invalid(url: string, why: string): DevshellError {
  return new DevshellError("STORE_REMOTE_UNSUPPORTED", `Cannot use the store "${url}": ${why}`);
}
