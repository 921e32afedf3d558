import type { Hash } from "../../core/index.ts";
import type { TransferOptions } from "../../io/index.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { OlderRealisation } from "../format/olderRealisation.ts";
import type { Realisation, StorePath, ValidPathInfo } from "../types.ts";

/** A store that is reached by messages: a binary cache, a daemon, a store on another machine. */
export interface RemoteStore extends AsyncDisposable {
  /** As messages name it. */
  readonly url: string;
  /** The directory that its paths lie in, where it may be another than ours. */
  readonly storeDir?: string | undefined;
  /** Lower is asked first. */
  readonly priority: number;
  /** What it offers needs no signature. */
  readonly isTrusted: boolean;
  /** Whether it may be asked about many paths that nobody needs yet (`nix-env -qas`). */
  readonly wantsMassQuery?: boolean | undefined;
  /** The version of the Nix that holds it, where it says. */
  readonly version?: string | undefined;
  /** Whether it takes our word for what we add, where it says. */
  readonly isTrusting?: boolean | undefined;
  /** How many paths it may name, one referring to the next; a usual bound unless it says. */
  readonly maxClosurePaths?: number | undefined;
  /** A directory that keeps NARs whose files were looked at. */
  readonly narCacheDir?: string | undefined;
  /** @returns `undefined` where it lacks the path */
  query(path: StorePath, signal?: AbortSignal): Promise<RemotePathInfo | undefined>;
  /** The same where nothing need be waited for. */
  queryNow?(path: StorePath): RemotePathInfo | undefined;
  /** The object's NAR; whoever reads it checks size and hash against the information. */
  openNar(info: ValidPathInfo, options: TransferOptions): Promise<NarDownload>;
  /** Adds a path whose references are there. @throws where the store cannot be written or refuses it */
  addPath(info: IncomingPathInfo, nar: AsyncIterable<Uint8Array>, options: AddPathOptions): Promise<void>;

  // What not every store can do; who asks one that cannot is told so.

  /** Has it fetch from its own substituters what they have of these paths. */
  substitute?(paths: readonly StorePath[], signal?: AbortSignal): Promise<void>;
  /** Which of the paths are there (and, where the store can, are kept as long as the connection lasts), asked in one message. */
  queryValidPaths?(paths: readonly StorePath[], options: ValidPathsOptions): Promise<ReadonlySet<StorePath>>;
  queryAllPaths?(signal?: AbortSignal): Promise<readonly StorePath[]>;
  addSignatures?(path: StorePath, signatures: readonly string[], signal?: AbortSignal): Promise<void>;
  /** @returns the text of a derivation's build log; `undefined` where it has none */
  readLog?(drvPath: StorePath, signal?: AbortSignal): Promise<Buffer | undefined>;
  addLog?(drvPath: StorePath, log: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** What an output turned out to be; `undefined` where it is not known there. */
  queryRealisation?(
    key: Pick<Realisation, "drvPath" | "output">,
    signal?: AbortSignal,
  ): Promise<Realisation | undefined>;
  /** As it was told up to Nix 2.34; `undefined` where it is not known there. */
  queryOlderRealisation?(id: string, signal?: AbortSignal): Promise<OlderRealisation | undefined>;
  /** Adds what an output turned out to be, once its path is there. */
  addRealisation?(realisation: Realisation, options?: AddRealisationOptions): Promise<void>;
}

export interface RemotePathInfo extends ValidPathInfo {
  /** How a binary cache keeps the NAR. */
  readonly narFile?: NarFile | undefined;
}

export interface NarFile {
  /** Relative to the cache, or absolute. */
  readonly url: string;
  readonly compression: string;
  readonly hash?: Hash | undefined;
  readonly sizeBytes?: number | undefined;
}

export interface NarDownload {
  readonly nar: AsyncIterable<Uint8Array>;
  /** Removes what was downloaded, once the path is registered or found wrong; else the next run continues it. */
  discard(): Promise<void>;
}

export interface ValidPathsOptions {
  /** First it fetches what its own substituters have. */
  readonly isSubstituted?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AddPathOptions extends TransferOptions {
  /** Replaces what is there. */
  readonly isRepair?: boolean | undefined;
  /** Whether a path without a trusted signature is refused, by stores that care; they do unless told not to. */
  readonly checksSignatures?: boolean | undefined;
}

export interface AddRealisationOptions extends Pick<AddPathOptions, "checksSignatures"> {
  readonly signal?: AbortSignal | undefined;
}

export interface OpenRemoteOptions {
  /** It will be written to: made where it can be, and asked itself rather than what is remembered of it. */
  readonly isTarget?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}
