import { DevshellError, NIX_VERSION } from "../../core/index.ts";
import type { TransferOptions } from "../../io/index.ts";
import { checkAcceptable, trustedKeysOf } from "../format/acceptance.ts";
import { formatDrvOutput, isRealisationTrusted } from "../format/realisation.ts";
import { readLogFile, writeLogFile } from "../local/logFiles.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { Store } from "../store.ts";
import type { Realisation, StorePath, ValidPathInfo } from "../types.ts";
import { DaemonStore } from "./daemonClient/daemonStore.ts";
import type {
  AddPathOptions,
  AddRealisationOptions,
  NarDownload,
  RemotePathInfo,
  RemoteStore,
} from "./types.ts";

export interface StoreEndpointOptions {
  readonly url?: string | undefined;
  readonly priority?: number | undefined;
  readonly isTrusted?: boolean | undefined;
  /** Whether the store is closed with the endpoint. */
  readonly isOwned?: boolean | undefined;
  /** What holds the store's files, where that goes with the endpoint. */
  readonly root?: Disposable | undefined;
}

/**
 * A store that is opened whole, of this machine or a daemon's, spoken to as one that is not: whatever copies or asks
 * needs to know but one kind.
 */
export class StoreEndpoint implements RemoteStore {
  readonly url: string;
  readonly storeDir: string;
  readonly priority: number;
  readonly isTrusted: boolean;
  readonly wantsMassQuery = true;
  readonly store: Store;
  readonly #isOwned: boolean;
  readonly #root: Disposable | undefined;

  constructor(store: Store, options: StoreEndpointOptions = {}) {
    this.store = store;
    this.url = options.url ?? store.settings.daemon?.url ?? "local";
    this.storeDir = store.settings.storeDir;
    this.priority = options.priority ?? 0;
    this.isTrusted = options.isTrusted ?? false;
    this.#isOwned = options.isOwned ?? false;
    this.#root = options.root;
  }

  get version(): string | undefined {
    return this.store instanceof DaemonStore ? this.store.greeting.daemonVersion : NIX_VERSION;
  }

  get isTrusting(): boolean | undefined {
    return this.store instanceof DaemonStore ? this.store.greeting.isTrusted : true;
  }

  query(path: StorePath): Promise<RemotePathInfo | undefined> {
    return Promise.resolve(this.store.queryPathInfo(path));
  }

  /** They stay: what is copied here next may refer to them. */
  queryValidPaths(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>> {
    this.store.addTempRoots(paths);
    return Promise.resolve(new Set(paths.filter((path) => this.store.isValidPath(path))));
  }

  queryNow(path: StorePath): RemotePathInfo | undefined {
    return this.store.queryPathInfo(path);
  }

  openNar({ path }: ValidPathInfo, { signal, onProgress }: TransferOptions): Promise<NarDownload> {
    return Promise.resolve({
      nar: narOf(this.store, path, signal, onProgress),
      discard: () => Promise.resolve(),
    });
  }

  async addPath(
    info: IncomingPathInfo,
    nar: AsyncIterable<Uint8Array>,
    { signal, isRepair, checksSignatures = true }: AddPathOptions,
  ): Promise<void> {
    if (checksSignatures) checkAcceptable(this.store.settings, info);
    // Who built it is another store's knowledge.
    await this.store.addToStoreFromStream({ ...info, isUltimate: false }, nar, { signal, isRepair });
  }

  queryAllPaths(): Promise<readonly StorePath[]> {
    return Promise.resolve(this.store.allValidPaths());
  }

  addSignatures(path: StorePath, signatures: readonly string[]): Promise<void> {
    this.store.addSignatures(path, signatures);
    return Promise.resolve();
  }

  queryRealisation({
    drvPath,
    output,
  }: Pick<Realisation, "drvPath" | "output">): Promise<Realisation | undefined> {
    return Promise.resolve(this.store.queryRealisation(drvPath, output));
  }

  addRealisation(
    realisation: Realisation,
    { checksSignatures = true }: AddRealisationOptions = {},
  ): Promise<void> {
    const { config } = this.store.settings;
    const isChecked = checksSignatures && config.requireSignatures;
    if (isChecked && !isRealisationTrusted(realisation, trustedKeysOf(config)))
      throw new DevshellError(
        "STORE_SIGNATURE_MISSING",
        `cannot register realisation '${formatDrvOutput(realisation)}' because it lacks a signature by a trusted key`,
      );
    this.store.registerRealisation(realisation);
    return Promise.resolve();
  }

  readLog(drvPath: StorePath): Promise<Buffer | undefined> {
    return readLogFile(this.store.logPath(drvPath));
  }

  addLog(drvPath: StorePath, log: Uint8Array): Promise<void> {
    writeLogFile(this.store.logPath(drvPath), log);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOwned) this.store[Symbol.dispose]();
    this.#root?.[Symbol.dispose]();
    return Promise.resolve();
  }
}

async function* narOf(
  store: Store,
  path: StorePath,
  signal: AbortSignal | undefined,
  onProgress: TransferOptions["onProgress"],
): AsyncGenerator<Uint8Array> {
  let doneBytes = 0;
  for await (const chunk of store.narOf(path)) {
    signal?.throwIfAborted();
    yield chunk;
    doneBytes += chunk.length;
    onProgress?.(doneBytes, undefined);
  }
}
