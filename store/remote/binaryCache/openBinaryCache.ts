import { shownUrl } from "../../../core/index.ts";
import { downloadsDir } from "../../local/layout.ts";
import type { StoreSettings } from "../../types.ts";
import { BinaryCache } from "./binaryCache.ts";
import { readCacheParameters } from "./cacheParameters.ts";
import { DirectoryFiles } from "./directoryFiles.ts";
import { HttpFiles } from "./httpFiles.ts";
import { NarInfoDiskCache } from "./narInfoDiskCache.ts";
import { placeOfS3 } from "./s3Address.ts";
import { s3Put } from "./s3Put.ts";
import type { StoreAddress } from "../storeAddress.ts";
import type { OpenRemoteOptions, RemoteStore } from "../types.ts";
import { webSettings } from "./webSettings.ts";

/**
 * Opens a cache of Nix's format at `file:///…`, `http(s)://…` or `s3://…`.
 * @throws {DevshellError} `CACHE_UNUSABLE`, `CACHE_PARAMETER`, and what a first request throws
 */
export async function openBinaryCache(
  ours: StoreSettings,
  address: StoreAddress,
  { isTarget = false, signal }: OpenRemoteOptions,
): Promise<RemoteStore> {
  const parameters = readCacheParameters(address);
  const settings = parameters.storeDir === undefined ? ours : { ...ours, storeDir: parameters.storeDir };
  const { base } = address;
  // As Nix, whose tests take the way of the web through files so.
  if (address.scheme === "file" && process.env["_NIX_FORCE_HTTP"] !== "1") {
    const files = new DirectoryFiles(base);
    return await BinaryCache.open({ settings, files, parameters, disk: undefined, isTarget, signal });
  }
  const { headers, attempts, ...connection } = webSettings(settings);
  const place =
    address.scheme === "s3" ? { ...placeOfS3(address, process.env), put: s3Put(address) } : { base, headers };
  const files = new HttpFiles({
    url: shownUrl(base),
    ...place,
    downloadsDir: downloadsDir(settings.stateDir),
    attempts,
    connection,
    codingOf: parameters.codingOf,
  });
  const disk = NarInfoDiskCache.open(settings, place.base);
  try {
    return await BinaryCache.open({ settings, files, parameters, disk, isTarget, signal });
  } catch (error) {
    disk?.[Symbol.dispose]();
    throw error;
  }
}
