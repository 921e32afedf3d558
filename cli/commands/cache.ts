import { readFileSync } from "node:fs";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import { suggestNames } from "../../env/index.ts";
import {
  CacheServer,
  LocalStore,
  formatKey,
  isServedCompression,
  parseListenAddress,
  parseSecretKey,
  publicKeyOf,
  resolveStoreSettings,
  SERVED_COMPRESSIONS,
  type SecretKey,
  type ServedCompression,
  type ServedRequest,
} from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { settingsOf } from "../request.ts";

const DEFAULT_LISTEN = "127.0.0.1:5000";
/** How long transfers may still take once we are told to end. */
const GRACE_MS = 10_000;

/** `devshell cache serve`: the store as a binary cache over HTTP, until a signal ends it. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const [action = "", ...rest] = words;
  if (action !== "serve" || rest.length > 0)
    throw new DevshellError("CLI_UNKNOWN_ACTION", `Cannot run "devshell cache ${words.join(" ")}"`, {
      suggestions: suggestNames(action, ["serve"]),
      hint: "there is `devshell cache serve`",
    });
  const warn = (message: string): void => void process.stderr.write(`warning: ${message}\n`);
  const settings = resolveStoreSettings(process.env, { overrides: settingsOf(flags), onWarn: warn });
  const secretKeys = [
    ...(settings.config.raw.get("secret-key-files") ?? "").split(/\s+/).filter((file) => file !== ""),
    ...flags.values("secretKey"),
  ].map(readSecretKey);
  const isVerbose = flags.has("verbose");
  using store = LocalStore.open(settings, { isReadOnly: true, onWarn: warn });
  await using server = await CacheServer.start({
    store,
    listen: parseListenAddress(flags.value("listen") ?? DEFAULT_LISTEN),
    secretKeys,
    priority: flags.number("priority"),
    compression: compressionOf(flags.value("compression") ?? "none"),
    onRequest: (request) => {
      if (isVerbose || request.problem !== undefined) process.stderr.write(`${requestLine(request)}\n`);
    },
  });
  if (!flags.has("quiet")) {
    const lines = [`${textOfBytes(store.storeDir)} is served at ${server.url}`];
    for (const key of secretKeys) lines.push(`signed by ${formatKey(publicKeyOf(key))}`);
    process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }
  await interruption();
  // A second signal does not wait.
  const impatience = new AbortController();
  void interruption(impatience.signal).then(() => server.close());
  await server.close(GRACE_MS);
  impatience.abort();
  return 0;
}

/** Resolves at the next signal to end. */
function interruption(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    const forget = (): void => names.forEach((name) => void process.off(name, onSignal));
    const onSignal = (): void => {
      forget();
      resolve();
    };
    names.forEach((name) => void process.on(name, onSignal));
    signal?.addEventListener("abort", forget, { once: true });
  });
}

function readSecretKey(file: string): SecretKey {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new DevshellError("KEY_UNREADABLE", `Cannot read the secret key "${file}"`, {
      cause,
      hint: "`nix-store --generate-binary-cache-key NAME SECRET PUBLIC` makes one",
    });
  }
  return parseSecretKey(text);
}

function compressionOf(name: string): ServedCompression {
  if (isServedCompression(name)) return name;
  const known = Object.keys(SERVED_COMPRESSIONS);
  throw new DevshellError("CLI_COMPRESSION_UNKNOWN", `Cannot serve NARs compressed by "${name}"`, {
    suggestions: suggestNames(name, known),
    hint: `there are ${known.join(", ")}`,
  });
}

function requestLine({ client, method, url, status, sentBytes, durationMs, problem }: ServedRequest): string {
  const line = `${client} ${method} ${JSON.stringify(url)} ${status} ${sentBytes} bytes, ${durationMs.toFixed(1)} ms`;
  return problem === undefined ? line : `${line}: ${problem}`;
}
