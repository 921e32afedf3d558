import type { LocalStore } from "../local/localStore.ts";
import type { BuildResult } from "../protocol/buildResult.ts";
import type { RealiseReport } from "../realise/report.ts";
import type { RemoteStore, ValidPathsOptions } from "../remote/types.ts";
import type { Derivation, DerivedPath, RealiseOptions, StorePath } from "../types.ts";

/** What a build elsewhere is asked to keep to. */
export interface RemoteBuildOptions {
  readonly maxSilentSeconds: number;
  readonly timeoutSeconds: number;
  /** 0: no limit. */
  readonly maxLogBytes: number;
  readonly keepFailed: boolean;
}

/** A store whose machine builds for us. */
export interface BuildingStore extends RemoteStore {
  queryValidPaths(paths: readonly StorePath[], options: ValidPathsOptions): Promise<ReadonlySet<StorePath>>;
  /** Unset or true: it takes input-addressed paths and derivations from us as they are. */
  readonly trustsUs?: boolean | undefined;
  /** Builds a derivation that is there, with all that it needs: where it does not trust us. */
  buildInStore?(drvPath: StorePath, options: RemoteBuildOptions, signal?: AbortSignal): Promise<BuildResult>;
  /** @param derivation all of whose inputs are paths, which are there */
  buildDerivation(
    drvPath: StorePath,
    derivation: Derivation,
    options: RemoteBuildOptions,
    signal?: AbortSignal,
  ): Promise<BuildResult>;
}

/** `realise`, handed down: a machine may be another store of this one. */
export type Realise = (
  store: LocalStore,
  targets: readonly DerivedPath[],
  options: RealiseOptions,
) => Promise<RealiseReport>;
