import { readFileSync } from "node:fs";
import type { MakeHeaders } from "./openUrl.ts";

interface Login {
  readonly login: string;
  readonly password: string;
}

/** As much is read of a file of passwords. */
const MAX_LENGTH = 1 << 20;

/**
 * Headers that log in where a netrc file names the host.
 * @param file may be absent
 */
export function netrcHeaders(file: string): MakeHeaders {
  let logins: ReadonlyMap<string, Login> | undefined;
  return (_, url) => {
    // Whoever names a user in the address means that one.
    if (url.username !== "") return {};
    logins ??= readNetrc(file);
    const found = logins.get(url.hostname) ?? logins.get("");
    if (found === undefined) return {};
    const token = Buffer.from(`${found.login}:${found.password}`).toString("base64");
    return { authorization: `Basic ${token}` };
  };
}

/** By host; "" is the default's. */
export function parseNetrc(text: string): ReadonlyMap<string, Login> {
  const logins = new Map<string, Login>();
  // Macros end with an empty line; they are of no use here.
  const words = text
    .replaceAll(/(^|\n)\s*macdef[^\n]*\n(?:[^\n]+\n)*/g, "$1")
    .replaceAll(/(^|\s)#[^\n]*/g, "$1")
    .split(/\s+/)
    .filter((word) => word !== "");
  let host: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === "default") host = "";
    else if (word === "machine") host = words[++at];
    else if ((word === "login" || word === "password" || word === "account") && host !== undefined) {
      const value = words[++at] ?? "";
      // The first that names a host counts, each of its parts once.
      const known = logins.get(host) ?? { login: "", password: "" };
      if (word !== "account" && known[word] === "") logins.set(host, { ...known, [word]: value });
    }
  }
  return logins;
}

function readNetrc(file: string): ReadonlyMap<string, Login> {
  try {
    return parseNetrc(readFileSync(file, "utf8").slice(0, MAX_LENGTH));
  } catch {
    return new Map();
  }
}
