import type { ByteString } from "../../core/index.ts";
import type { Store, StorePath } from "../../store/index.ts";

export type InputAttributes = Map<string, ByteString | bigint | boolean>;

/** What fetching needs of its surroundings. */
export interface FetchContext {
  readonly store: Store;
  /** A `nix.conf` option. */
  readonly setting: (name: string) => string | undefined;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
  /** Told what the programs say that fetch. */
  readonly note?: ((message: string) => void) | undefined;
  /** The input stands in a lock file: its attributes are all there is to say of it. */
  readonly isFinal?: boolean | undefined;
  /** For a lock file: `ref` and `revCount` are wanted too. */
  readonly isLocking?: boolean | undefined;
  /** When this fetch was asked for: what another process has fetched since is as good. */
  readonly beganMs?: number | undefined;
}

/** A tree in the store, and what is known of it. */
export interface FetchedTree {
  readonly storePath: StorePath;
  readonly attributes: InputAttributes;
  /** Files and directories outside the store that decided the result. */
  readonly inputs: readonly ByteString[];
  /** Where a Git revision's ancestors can be counted. */
  readonly history?: GitHistory | undefined;
}

export interface GitHistory {
  readonly directory: string;
  readonly rev: string;
}

/** The default of `tarball-ttl`: how long what a server said is taken for current. */
const DEFAULT_TTL_S = 3600;

export function ttlMs(context: Pick<FetchContext, "setting">): number {
  const seconds = Number(context.setting("tarball-ttl") ?? DEFAULT_TTL_S);
  return (Number.isFinite(seconds) ? seconds : DEFAULT_TTL_S) * 1000;
}

/** Nix's levels "talkative" and "chatty". */
const LEVELS = { talkative: 4, chatty: 5 };

/** Tells of what is only of interest where much is asked to be told. */
export function tell(context: FetchContext, level: keyof typeof LEVELS, message: string): void {
  if (Number(context.setting("verbosity") ?? 0) >= LEVELS[level]) process.stderr.write(`${message}\n`);
}

export function stringOf(attributes: InputAttributes, name: string): ByteString | undefined {
  const value = attributes.get(name);
  return typeof value === "string" ? value : undefined;
}
