import type { ByteString, Hash, HashAlgorithm } from "../../core/index.ts";
import type { IngestionMethod, OutputName, StorePath, ValidPathInfo } from "../types.ts";

export interface LocalStoreOptions {
  /** Nothing is created, written or locked; the database must exist. */
  readonly isReadOnly?: boolean | undefined;
  /** Told once each time something makes us wait for another process ("waiting for locks on …"). */
  readonly onWait?: ((message: string) => void) | undefined;
  readonly onWarn?: ((message: string) => void) | undefined;
}

/** Decides by path (as given, byte string) whether an entry is copied; directories are asked before their content. */
export type AddPathFilter = (
  path: ByteString,
  type: "regular" | "directory" | "symlink" | "unknown",
) => boolean;

export interface AddPathOptions {
  readonly name: string;
  /** `nar` for trees, `flat` for a single regular file's bytes. */
  readonly method: "nar" | "flat";
  /** `sha256` unless given. */
  readonly algorithm?: HashAlgorithm | undefined;
  readonly filter?: AddPathFilter | undefined;
  /** Refused with both hashes named when the content's hash differs. */
  readonly expectedHash?: Hash | undefined;
  /** Paths that may be referred to: the content is scanned for them. */
  readonly candidates?: Iterable<StorePath> | undefined;
  /** What the content refers to, where it is known without a scan. */
  readonly references?: readonly StorePath[] | undefined;
  /** Only computes where it would be. */
  readonly isDryRun?: boolean | undefined;
  /** Replaces what is there although it is registered. */
  readonly isRepair?: boolean | undefined;
}

/** What is known of a path before its content arrives (from a narinfo, another store, an export). */
export interface IncomingPathInfo {
  readonly path: StorePath;
  readonly narHash: Hash;
  /** 0 where unknown. */
  readonly narSizeBytes: number;
  readonly references: readonly StorePath[];
  readonly deriver?: StorePath | undefined;
  readonly signatures?: readonly string[] | undefined;
  readonly contentAddress?: string | undefined;
  readonly isUltimate?: boolean | undefined;
}

export interface AddStreamOptions {
  readonly signal?: AbortSignal | undefined;
  readonly isRepair?: boolean | undefined;
  /** Set where the caller holds the path's lock already. */
  readonly isLocked?: boolean | undefined;
  /** Told the NAR bytes read so far. */
  readonly onProgress?: ((doneBytes: number) => void) | undefined;
}

/** An output that a builder wrote, to be made a store path. */
export interface ScratchOutput {
  readonly name: OutputName;
  /** Where the builder wrote it: often the final path itself. */
  readonly scratchPath: ByteString;
  /**
   * Where it shall lie, when known: input-addressed and fixed outputs. For the latter the content's hash is checked.
   * Otherwise the path follows from the content.
   */
  readonly target:
    | { readonly kind: "path"; readonly path: StorePath }
    | {
        readonly kind: "fixed";
        readonly path: StorePath;
        readonly hash: Hash;
        readonly method: IngestionMethod;
      }
    | {
        readonly kind: "contentAddressed";
        /** The path's name: `outputPathName(drvName, output)`. */
        readonly pathName: string;
        readonly algorithm: HashAlgorithm;
        readonly method: IngestionMethod;
        /** The store path that the builder was told; its digest is replaced where it occurs. */
        readonly scratchStorePath: StorePath;
      };
}

export interface RegisterOutputsRequest {
  readonly outputs: readonly ScratchOutput[];
  /** Where outputs are that are not registered now, by the store paths that the builder was told for them. */
  readonly settled?: ReadonlyMap<StorePath, StorePath> | undefined;
  /** Registers copies: nobody who still has the builder's files open can change what was checked. */
  readonly isCopied?: boolean | undefined;
  /** Paths the content may refer to: the inputs' closure. The outputs themselves are added. */
  readonly candidates: Iterable<StorePath>;
  readonly deriver?: StorePath | undefined;
  /** Files a sandboxed builder's user owns are taken over by us; others are refused. */
  readonly builderUid?: number | undefined;
  /** Remembers files that became ours: outputs may share them by hard links. */
  readonly takenOver?: Set<string> | undefined;
  /** Judges the outputs once their references are known, before anything is registered; throws to refuse. */
  readonly check?: ((infos: ReadonlyMap<OutputName, ValidPathInfo>) => void) | undefined;
  /** Replaces registered paths. */
  readonly isRepair?: boolean | undefined;
  /** `unsafeDiscardReferences`: no references are recorded for these outputs. */
  readonly discardReferences?: ReadonlySet<OutputName> | undefined;
}

/** Store path → where it is rooted: a link's path, `{temp:<pid>}`, a file below `/proc`. */
export type GcRoots = ReadonlyMap<StorePath, ReadonlySet<string>>;

export interface GcOptions {
  /** With `paths`, `deleteDead` deletes those of them that are dead, and `deleteSpecific` refuses where one is not. */
  readonly action: "deleteDead" | "deleteSpecific" | "returnLive" | "returnDead";
  /** Nothing but these. */
  readonly paths?: readonly StorePath[] | undefined;
  /** With `paths`: what refers to one of them goes with it; otherwise it stays for the sake of that. */
  readonly includesReferrers?: boolean | undefined;
  /** Stops when more than this has been freed. */
  readonly maxFreedBytes?: number | undefined;
  readonly ignoreLiveness?: boolean | undefined;
  readonly keepDerivations?: boolean | undefined;
  readonly keepOutputs?: boolean | undefined;
  readonly onDelete?: ((path: string) => void) | undefined;
  /** Told what begins: looking for roots, deleting paths, deleting links that nothing uses. */
  readonly onStep?: ((step: "roots" | "paths" | "links") => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GcResult {
  /** Deleted, dead or live paths, as the action asks; leftovers by their place in the store directory. */
  readonly paths: readonly string[];
  readonly freedBytes: number;
  /** What equal files being one saves; where paths were deleted. */
  readonly savedByLinksBytes?: number | undefined;
}

export interface VerifyOptions {
  /** Hashes every path (slow); otherwise only their existence is checked. */
  readonly checkContents?: boolean | undefined;
  /** Called for a path that is missing or changed; returns whether it is whole again. */
  readonly repair?: ((path: StorePath) => Promise<boolean>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifyResult {
  readonly checkedPaths: number;
  /** What is wrong and was not mended, a sentence each. */
  readonly problems: readonly string[];
  /** Registered paths that were gone without referrers, now forgotten. */
  readonly forgotten: readonly StorePath[];
}

export interface OptimiseResult {
  readonly linkedFiles: number;
  readonly savedBytes: number;
}

export interface ClosureOptions {
  /** Follows referrers instead of references. */
  readonly isReversed?: boolean | undefined;
  /** Of derivations, their valid outputs too. */
  readonly includeOutputs?: boolean | undefined;
  /** Of outputs, their valid derivers too. */
  readonly includeDerivers?: boolean | undefined;
}
