import { DevshellError } from "../../core/index.ts";
import { isContentAddressed } from "../format/contentAddress.ts";
import { openRemoteStore } from "../remote/openRemoteStore.ts";
import type { NarDownload, RemoteStore } from "../remote/types.ts";
import type { StorePath, StoreSettings, ValidPathInfo } from "../types.ts";
import {
  makeContentAddressed,
  type ObjectSource,
  type ObjectTarget,
} from "./outputs/makeContentAddressed.ts";
import { realise } from "./realise.ts";
import { throwFailure } from "./report.ts";
import type { RealiseStore } from "./storePort.ts";

export interface ClosureRequest {
  /** The binary cache; the store's only substituter. */
  readonly fromStore: string;
  readonly fromPath: StorePath;
  /** Rewrites to content-addressed form: to this path, or `""` to be told which it would be. */
  readonly toPath?: StorePath | "" | undefined;
  readonly isInputAddressed: boolean;
}

/** Settings of a store whose one substituter is this cache. */
export function settingsForClosure(settings: StoreSettings, fromStore: string): StoreSettings {
  return { ...settings, config: { ...settings.config, substitute: true, substituters: [fromStore] } };
}

/**
 * Copies a store path with all it refers to from a binary cache, as `builtins.fetchClosure` promises it: addressed by
 * content unless asked otherwise.
 * @param store opened with {@link settingsForClosure}
 * @throws {DevshellError} `FETCH_CLOSURE`, and what substitution throws
 */
export async function fetchClosure(
  store: RealiseStore & ObjectTarget,
  request: ClosureRequest,
  signal: AbortSignal,
): Promise<StorePath> {
  const { fromPath, toPath, isInputAddressed } = request;
  if (toPath !== undefined) return await fetchRewritten(store, request, toPath, signal);
  store.addTempRoots([fromPath]);
  if (!store.isValidPath(fromPath))
    throwFailure(await realise(store, [{ kind: "opaque", path: fromPath }], { signal }));
  const isByContent = isAddressedByContent(store, fromPath);
  if (!isByContent && !isInputAddressed)
    throw failure(
      `The 'fromPath' value '${fromPath}' is input-addressed, but 'inputAddressed' is set to 'false' (default).\n\n` +
        "If you do intend to fetch an input-addressed store path, add\n\n" +
        "    inputAddressed = true;\n\n" +
        "to the 'fetchClosure' arguments.\n\n" +
        "Note that to ensure authenticity input-addressed store paths, users must configure a trusted binary cache public key on their systems. This is not needed for content-addressed paths.",
    );
  if (isByContent && isInputAddressed)
    throw failure(
      `The store object referred to by 'fromPath' at '${fromPath}' is not input-addressed, but 'inputAddressed' is set to 'true'.\n\n` +
        "Remove the 'inputAddressed' attribute (it defaults to 'false') to expect 'fromPath' to be content-addressed",
    );
  return fromPath;
}

async function fetchRewritten(
  store: RealiseStore & ObjectTarget,
  { fromStore, fromPath }: ClosureRequest,
  toPath: StorePath | "",
  signal: AbortSignal,
): Promise<StorePath> {
  if (toPath !== "") store.addTempRoots([toPath]);
  if (toPath === "" || !store.isValidPath(toPath)) {
    await using cache = await openRemoteStore(store.settings, fromStore, { signal });
    const source = objectsOf(cache, store.settings.storeDir, signal);
    const made = (await makeContentAddressed(source, store, [fromPath])).get(fromPath) ?? fromPath;
    if (toPath === "")
      throw failure(
        `rewriting '${fromPath}' to content-addressed form yielded '${made}'\n` +
          "Use this value for the 'toPath' attribute passed to 'fetchClosure'",
      );
    if (made !== toPath)
      throw failure(
        `rewriting '${fromPath}' to content-addressed form yielded '${made}', while '${toPath}' was expected`,
      );
  }
  if (!isAddressedByContent(store, toPath))
    throw failure(
      `The 'toPath' value '${toPath}' is input-addressed, so it can't possibly be the result of rewriting to a content-addressed path.\n\n` +
        "Set 'toPath' to an empty string to make Nix report the correct content-addressed path.",
    );
  return toPath;
}

function objectsOf(cache: RemoteStore, storeDir: string, signal: AbortSignal): ObjectSource {
  const infoOf = async (path: StorePath): Promise<ValidPathInfo> => {
    const info = await cache.query(path, signal);
    if (info === undefined) throw failure(`path '${path}' is not in the store '${cache.url}'`);
    return info;
  };
  return {
    storeDir,
    references: async (path) => (await infoOf(path)).references,
    nar: async (path) => downloaded(await cache.openNar(await infoOf(path), { signal })),
  };
}

async function* downloaded(download: NarDownload): AsyncGenerator<Uint8Array> {
  try {
    yield* download.nar;
  } finally {
    await download.discard();
  }
}

function isAddressedByContent(store: RealiseStore, path: StorePath): boolean {
  const info: ValidPathInfo | undefined = store.queryPathInfo(path);
  if (info === undefined) throw failure(`path '${path}' is not valid`);
  return isContentAddressed(store.settings.storeDir, info);
}

function failure(message: string): DevshellError {
  return new DevshellError("FETCH_CLOSURE", message);
}
