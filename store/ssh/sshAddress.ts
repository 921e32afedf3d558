import { DevshellError } from "../../core/index.ts";
import { decodePercents, parametersOf } from "../remote/storeAddress.ts";

/** Where a store on another machine is, from `ssh://[USER@]HOST[:PORT][?PARAMETERS]`, or `ssh-ng://…`. */
export interface SshAddress {
  /** As it was given. */
  readonly url: string;
  readonly user?: string | undefined;
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_PORT = 65_535;

/** @throws {DevshellError} `SSH_ADDRESS_INVALID` */
export function parseSshAddress(url: string): SshAddress {
  const match = /^(?:ssh|(?:mounted-)?ssh-ng):\/\/(?<authority>[^/?#]*)\/?(?:\?(?<query>.*))?$/s.exec(url);
  if (match?.groups === undefined) throw invalid(url, "it is not ssh://HOST");
  const { authority = "", query = "" } = match.groups;
  return { url, ...parseAuthority(url, authority), parameters: parametersOf(query) };
}

/** `[USER@]HOST[:PORT]`, as `nix-copy-closure` takes it. @throws {DevshellError} `SSH_ADDRESS_INVALID` */
export function sshAddressOf(authority: string): SshAddress {
  const url = `ssh://${authority}`;
  return { url, ...parseAuthority(url, authority), parameters: new Map() };
}

function parseAuthority(url: string, authority: string): Pick<SshAddress, "user" | "host" | "port"> {
  const at = authority.lastIndexOf("@");
  const user = at < 0 ? undefined : decodePercents(authority.slice(0, at));
  const place = authority.slice(at + 1);
  const bracketed = /^\[(?<host>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?::(?<port>\d+))?$/.exec(place);
  const plain = /^(?<host>[^:]*)(?::(?<port>\d+))?$/.exec(place);
  const groups = (bracketed ?? plain)?.groups;
  // More than one colon and no brackets: an IPv6 address, as was once allowed.
  const host = groups?.["host"] ?? (/^[0-9A-Fa-f:.]+$/.test(place) ? place : undefined);
  const port = groups?.["port"] === undefined ? undefined : Number(groups["port"]);
  if (host === undefined || host === "") throw invalid(url, "host name must not be empty");
  if (user === "") throw invalid(url, "user name must not be empty");
  // ssh would take it for an option.
  for (const [what, name] of [
    ["user", user],
    ["host", decodePercents(host)],
  ] as const)
    if (name?.startsWith("-") === true) throw invalid(url, `${what} name '${name}' must not start with '-'`);
  if (port !== undefined && (port === 0 || port > MAX_PORT))
    throw invalid(url, `port ${port} is not possible`);
  return { user, host: decodePercents(host), port };
}

function invalid(url: string, why: string): DevshellError {
  return new DevshellError("SSH_ADDRESS_INVALID", `invalid SSH authority: '${url}': ${why}`, {
    hint: "write it as ssh://USER@HOST:PORT",
  });
}
