import type { ListenOptions } from "node:net";
import { DevshellError } from "../../core/index.ts";

const MAX_PORT = 65_535;

/**
 * Reads where to listen: `PORT`, `:PORT` (all interfaces), `ADDRESS:PORT`, `[IPv6]:PORT`, `unix:PATH`.
 * @throws {DevshellError} `LISTEN_ADDRESS_INVALID`
 */
export function parseListenAddress(text: string): ListenOptions {
  if (text.startsWith("unix:") && text.length > "unix:".length) return { path: text.slice("unix:".length) };
  const match = /^(?:(?<host>[^:[\]]*):|\[(?<ipv6>[0-9A-Fa-f:.%a-z]+)\]:)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.["port"]);
  if (match === null || port > MAX_PORT)
    throw new DevshellError("LISTEN_ADDRESS_INVALID", `Cannot listen on "${text}": it is no address`, {
      hint: "give a port, an address and a port (127.0.0.1:5000, [::1]:5000), or unix:PATH",
    });
  const host = match.groups?.["ipv6"] ?? match.groups?.["host"];
  // A port alone is for this machine: who means everybody says so by `:PORT`.
  if (host === undefined) return { host: "127.0.0.1", port };
  return host === "" ? { port } : { host, port };
}

/** How others name what a server listens on. */
export function listenUrl(address: string | { readonly address: string; readonly port: number }): string {
  if (typeof address === "string") return `unix:${address}`;
  const host = address.address.includes(":") ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
