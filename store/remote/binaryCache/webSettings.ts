import { netrcHeaders, type ConnectionOptions, type MakeHeaders } from "../../../io/index.ts";
import type { StoreSettings } from "../../types.ts";

/** How the web is asked. */
export interface WebSettings extends ConnectionOptions {
  readonly attempts: number | undefined;
  /** Who we are, for hosts that the user's file of passwords names. */
  readonly headers: MakeHeaders;
}

/** With which a cache's first answer is waited for less long. */
const USUAL_CONNECT_TIMEOUT = "15";

/** What the settings say of the web; what they leave as it usually is is not there. */
export function webSettings({ config, confDir }: StoreSettings): WebSettings {
  const { raw } = config;
  const timeoutMs = (name: string, usual: string): number | undefined => {
    const text = raw.get(name) ?? "";
    return /^\d{1,6}$/.test(text) && text !== usual ? Number(text) * 1000 : undefined;
  };
  const connectTimeoutMs = timeoutMs("connect-timeout", USUAL_CONNECT_TIMEOUT);
  const connections = raw.get("http-connections") ?? "";
  const stallTimeoutMs = timeoutMs("stalled-download-timeout", "");
  return {
    attempts: Number(raw.get("download-attempts")) || undefined,
    headers: netrcHeaders(raw.get("netrc-file") || `${confDir}/netrc`),
    ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    ...(stallTimeoutMs !== undefined && { stallTimeoutMs }),
    certificateFile: raw.get("ssl-cert-file") || undefined,
    ...(/^\d{1,6}$/.test(connections) && { maxConnections: Number(connections) || Infinity }),
  };
}
