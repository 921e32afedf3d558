import { DevshellError } from "../../core/index.ts";
import { LocalStore } from "../local/localStore.ts";
import { resolveStoreSettings } from "../settings.ts";
import { ServeStore } from "../ssh/serveStore.ts";
import { TransientRoot, isTransient, placeTransient } from "../transientRoot.ts";
import type { StoreSettings } from "../types.ts";
import { openDaemonRemoteStore } from "./daemonClient/daemonRemoteStore.ts";
import { DaemonStore } from "./daemonClient/daemonStore.ts";
import { StoreEndpoint } from "./storeEndpoint.ts";
import { openBinaryCache } from "./binaryCache/openBinaryCache.ts";
import { parseStoreAddress, type StoreAddress } from "./storeAddress.ts";
import type { OpenRemoteOptions, RemoteStore } from "./types.ts";

/**
 * Opens a store by its address.
 * @throws {DevshellError} `STORE_REMOTE_UNSUPPORTED`, and what opening one of its kind throws
 */
export async function openRemoteStore(
  settings: StoreSettings,
  url: string,
  options: OpenRemoteOptions = {},
): Promise<RemoteStore> {
  const address = parseStoreAddress(url);
  switch (address.scheme) {
    case "file":
    case "http":
    case "https":
    case "s3":
      return await openBinaryCache(settings, address, options);
    case "daemon":
    case "unix":
    case "ssh-ng":
    case "mounted-ssh-ng":
      return openDaemonRemoteStore(settings, url);
    case "ssh":
      return await ServeStore.open(settings, url, options);
    case "auto":
    case "local":
    case "dummy":
      return openWhole(settings, address);
    default:
      throw new DevshellError(
        "STORE_REMOTE_UNSUPPORTED",
        `Cannot open the store "${url}": stores of the kind "${address.scheme}" are not built yet`,
        {
          hint: "there are binary caches (file://, http://, https://, s3://), daemons (unix://, ssh-ng://), ssh:// and stores of this machine",
        },
      );
  }
}

function openWhole(settings: StoreSettings, { text, parameters }: StoreAddress): RemoteStore {
  const place = resolveStoreSettings(process.env, { store: text });
  if (place.storeDir !== settings.storeDir)
    throw new DevshellError(
      "STORE_DIRECTORY_DIFFERS",
      `Cannot use the store "${text}": it is one of "${place.storeDir}", not of "${settings.storeDir}"`,
      { hint: `name the directory: \`?store=${settings.storeDir}\`` },
    );
  const requireSignatures = parameters.get("require-sigs") ?? "";
  const config = /^(false|no|0)$/.test(requireSignatures)
    ? { ...settings.config, requireSignatures: false }
    : settings.config;
  const whole = { ...place, config };
  const root = isTransient(whole) ? TransientRoot.create() : undefined;
  const store = place.daemon === undefined ? openHere(whole, root) : DaemonStore.open(whole);
  return new StoreEndpoint(store, {
    root,
    url: place.daemon === undefined && root === undefined ? undefined : text,
    priority: Number(parameters.get("priority") ?? 0) || 0,
    isTrusted: /^(true|yes|1)$/.test(parameters.get("trusted") ?? ""),
    isOwned: true,
  });
}

function openHere(settings: StoreSettings, root: TransientRoot | undefined): LocalStore {
  try {
    return LocalStore.open(root === undefined ? settings : placeTransient(settings, root.path));
  } catch (error) {
    root?.[Symbol.dispose]();
    throw error;
  }
}
