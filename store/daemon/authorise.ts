import { readFileSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import type { PeerCredentials } from "../local/socketCalls.ts";
import type { StoreConfig } from "../types.ts";

export interface Client {
  readonly userName: string | undefined;
  readonly isTrusted: boolean;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The machine's users and groups. */
export interface UserDatabase {
  readonly users: readonly { readonly name: string; readonly uid: number }[];
  readonly groups: readonly Group[];
}

/**
 * Who a client is and whether it is trusted, by `trusted-users` and `allowed-users` of the daemon's settings.
 * @param peer `undefined` where the system does not tell: then it is nobody in particular
 * @throws {DevshellError} `DAEMON_REFUSED` where it may not connect
 */
export function authorise(
  peer: PeerCredentials | undefined,
  config: StoreConfig,
  { users, groups }: UserDatabase = readUserDatabase(),
): Client {
  const userName =
    peer === undefined ? undefined : (users.find(({ uid }) => uid === peer.uid)?.name ?? String(peer.uid));
  const groupName =
    peer === undefined ? undefined : (groups.find(({ gid }) => gid === peer.gid)?.name ?? String(peer.gid));
  const isIn = (list: string): boolean =>
    list.split(/\s+/).some((word) => {
      if (word === "*") return true;
      if (userName === undefined) return false;
      if (!word.startsWith("@")) return word === userName;
      const name = word.slice(1);
      return (
        name === groupName || groups.some((group) => group.name === name && group.members.includes(userName))
      );
    });
  const isTrusted = isIn(config.raw.get("trusted-users") ?? "root");
  const isAllowed = isTrusted || isIn(config.raw.get("allowed-users") ?? "*");
  const builders = config.raw.get("build-users-group") ?? "";
  if (!isAllowed || (builders !== "" && groupName === builders))
    throw new DevshellError(
      "DAEMON_REFUSED",
      `user '${userName ?? "<unknown>"}' is not allowed to connect to the Nix daemon`,
    );
  return { userName, isTrusted };
}

/** Users of a directory service have no line there: they are known by their number. */
export function readUserDatabase(passwd = "/etc/passwd", group = "/etc/group"): UserDatabase {
  return {
    users: linesOf(passwd).map(([name = "", , uid = ""]) => ({ name, uid: Number(uid) })),
    groups: linesOf(group).map(([name = "", , gid = "", members = ""]) => ({
      name,
      gid: Number(gid),
      members: members.split(",").filter((member) => member !== ""),
    })),
  };
}

function linesOf(file: string): string[][] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
