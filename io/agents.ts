import { existsSync, readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { createSecureContext } from "node:tls";
import { DevshellError } from "../core/index.ts";

/** Stands for no file, where builds get no certificates. */
const NO_FILE = "/no-cert-file.crt";
/** Where most systems keep the authorities that they, and their owner's company, trust. */
const SYSTEM_FILE = "/etc/ssl/certs/ca-certificates.crt";

const agents = new Map<string, HttpAgent | HttpsAgent>();

export interface AgentOptions {
  /** The authorities that are trusted over `https:`; unless given the variables' or the system's, else Node's own. */
  readonly certificateFile?: string | undefined;
  /** At a time, to one host. */
  readonly maxConnections?: number | undefined;
}

const MAX_CONNECTIONS = 32;

/**
 * Agents are shared by the process so that connections are used again; idle sockets do not hold it open.
 * @throws {DevshellError} `FETCH_CERTIFICATES`
 */
export function agentFor(
  protocol: string,
  { certificateFile, maxConnections: maxSockets = MAX_CONNECTIONS }: AgentOptions = {},
): HttpAgent | HttpsAgent {
  const file = protocol === "https:" ? (certificateFile ?? usualFile()) : undefined;
  const key = `${protocol} ${maxSockets} ${file ?? ""}`;
  const existing = agents.get(key);
  if (existing !== undefined) return existing;
  const options = { keepAlive: true, maxSockets, scheduling: "lifo", proxyEnv: process.env } as const;
  const agent =
    protocol === "https:"
      ? // One context for all connections: to read a hundred certificates takes longer than to connect.
        new HttpsAgent({ ...options, ...(file !== undefined && { secureContext: contextOf(file) }) })
      : new HttpAgent(options);
  agents.set(key, agent);
  return agent;
}

function usualFile(): string | undefined {
  const named = process.env["NIX_SSL_CERT_FILE"] || process.env["SSL_CERT_FILE"];
  const file = named ?? SYSTEM_FILE;
  return file !== NO_FILE && existsSync(file) ? file : undefined;
}

function contextOf(file: string): ReturnType<typeof createSecureContext> {
  try {
    const ca = readFileSync(file, "utf8");
    if (!ca.includes("-----BEGIN ")) throw new Error("it holds no certificate");
    return createSecureContext({ ca });
  } catch (cause) {
    throw new DevshellError(
      "FETCH_CERTIFICATES",
      `Cannot use the certificates in "${file}": ${(cause as Error).message}`,
      { cause, hint: "the setting ssl-cert-file names it, or NIX_SSL_CERT_FILE or SSL_CERT_FILE" },
    );
  }
}
