import { DevshellError } from "../../core/index.ts";

/** A store's address taken apart: `https://cache.example.org?priority=10`. */
export interface StoreAddress {
  /** As it was given. */
  readonly text: string;
  /** `file`, `https`, `ssh-ng`, …; `local` for the path of a directory; `daemon`, `local`, `auto` by their names. */
  readonly scheme: string;
  /** Without parameters and slashes at its end. */
  readonly base: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** @throws {DevshellError} `STORE_ADDRESS_INVALID` */
export function parseStoreAddress(text: string): StoreAddress {
  const at = text.indexOf("?");
  const address = at < 0 ? text : text.slice(0, at);
  const parameters = parametersOf(at < 0 ? "" : text.slice(at + 1));
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(address)?.[1];
  if (scheme !== undefined) return { text, scheme, base: address.replace(/(?<!:\/*)\/+$/, ""), parameters };
  if (address.startsWith("/") || isRelativePath(address))
    return { text, scheme: "local", base: address, parameters };
  if (/^(local|daemon|auto|dummy)$/.test(address) || address === "")
    return { text, scheme: address || "auto", base: address, parameters };
  // `unix:/path/of/socket`
  const short = /^(unix):/.exec(address)?.[1];
  if (short !== undefined) return { text, scheme: short, base: address, parameters };
  throw new DevshellError("STORE_ADDRESS_INVALID", `Cannot open the store "${text}": it is no address`, {
    hint: "give file:///directory, https://host, ssh-ng://host, daemon, local or a directory",
  });
}

/** Schemes of stores that are opened whole, so that anything can be done in them. */
const WHOLE = new Set(["auto", "local", "dummy", "daemon", "unix", "ssh-ng", "mounted-ssh-ng"]);

/** Whether an address means a store that can be opened whole: of this machine, or a daemon's. */
export function isWholeAddress(text: string | undefined): boolean {
  return text === undefined || WHOLE.has(parseStoreAddress(text).scheme);
}

/** `a=b&c=d` of a store's address, where `+` is itself. */
export function parametersOf(query: string): ReadonlyMap<string, string> {
  const pairs = query.split("&").filter((pair) => pair !== "");
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [pair, ""] : [pair.slice(0, at), decodePercents(pair.slice(at + 1))];
    }),
  );
}

/** What is no escape stays as it is. */
export function decodePercents(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether an address is a path from where we are: it has a slash, and is no URL. */
export function isRelativePath(address: string): boolean {
  return address.includes("/") && !address.startsWith("/") && !/^[a-z][a-z0-9+.-]*:/i.test(address);
}
