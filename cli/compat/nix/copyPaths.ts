import { DevshellError } from "../../../core/index.ts";
import {
  hasTrustedSignature,
  openStore,
  parsePublicKey,
  resolveStoreSettings,
  type Store,
  type StorePath,
  type StoreSettings,
  type ValidPathInfo,
} from "../../../store/index.ts";
import { say } from "../output.ts";

/** The settings of a store that paths are copied to. @throws {DevshellError} where it is of another directory */
export function targetSettings(
  source: Store,
  settings: ReadonlyMap<string, string>,
  uri: string | undefined,
): StoreSettings {
  const target = resolveStoreSettings(process.env, { overrides: settings, store: uri });
  if (target.storeDir !== source.storeDir)
    throw new DevshellError(
      "STORE_DIRECTORY_DIFFERS",
      `Cannot copy from a store of "${source.storeDir}" to one of "${target.storeDir}"`,
      { hint: "name the directory: `--to '/some/place?store=/nix/store'`" },
    );
  return target;
}

/** Copies paths that the target lacks, what they refer to first. @throws {DevshellError} `STORE_SIGNATURE_MISSING` */
export async function copyPaths(
  source: Store,
  settings: StoreSettings,
  wanted: readonly StorePath[],
  options: { readonly checksSignatures: boolean },
): Promise<void> {
  using target = openStore(settings, { onWarn: (text) => say(`warning: ${text}`) });
  const missing = source.topologicalSort(wanted.filter((path) => !target.isValidPath(path)));
  const keys = settings.config.trustedPublicKeys.map(parsePublicKey);
  for (const path of missing) {
    const info = source.pathInfo(path);
    if (options.checksSignatures && settings.config.requireSignatures && !isTrusted(info, keys))
      throw new DevshellError(
        "STORE_SIGNATURE_MISSING",
        `cannot add path '${path}' because it lacks a signature by a trusted key`,
      );
    say(`copying path '${path}'...`);
    await target.addToStoreFromStream({ ...info, isUltimate: false }, source.narOf(path));
  }
}

/** What is addressed by its content needs no signature. */
function isTrusted(info: ValidPathInfo, keys: Parameters<typeof hasTrustedSignature>[1]): boolean {
  return info.contentAddress !== undefined || hasTrustedSignature(info, keys);
}
