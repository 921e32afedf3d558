import type { TransferOptions } from "../../../io/index.ts";
import type { IncomingPathInfo } from "../../local/types.ts";
import * as calls from "../../protocol/calls.ts";
import { socketPathOf } from "../../settings.ts";
import type { StorePath, StoreSettings, ValidPathInfo } from "../../types.ts";
import { DaemonPool } from "./daemonPool.ts";
import { parseDaemonUrl } from "./parseDaemonUrl.ts";
import type {
  AddPathOptions,
  NarDownload,
  RemotePathInfo,
  RemoteStore,
  ValidPathsOptions,
} from "../types.ts";

/** A daemon's store as a source and target of paths: `daemon`, `unix://…`, `ssh-ng://…`. */
export function openDaemonRemoteStore(settings: StoreSettings, url: string): RemoteStore {
  return new DaemonRemoteStore(settings, url);
}

class DaemonRemoteStore implements RemoteStore {
  readonly url: string;
  readonly priority: number;
  readonly isTrusted: boolean;
  readonly wantsMassQuery: boolean;
  readonly #pool: DaemonPool;

  constructor(settings: StoreSettings, url: string) {
    const socketPath = socketPathOf(process.env, settings.stateDir);
    const { address, parameters, isHere } = parseDaemonUrl(url, socketPath);
    this.url = url;
    const priority = Number(parameters.get("priority") ?? 0);
    this.priority = Number.isFinite(priority) ? priority : 0;
    const flag = (name: string): boolean => /^(?:1|true)$/.test(parameters.get(name) ?? "");
    this.isTrusted = flag("trusted");
    this.wantsMassQuery = flag("want-mass-query");
    this.#pool = new DaemonPool(settings, { url, address, isHere, isFound: false });
  }

  query(path: StorePath, signal?: AbortSignal): Promise<RemotePathInfo | undefined> {
    return this.#pool.use((client) => client.run(calls.queryPathInfo(client.wire, path)), { signal });
  }

  async queryValidPaths(
    paths: readonly StorePath[],
    { isSubstituted, signal }: ValidPathsOptions,
  ): Promise<ReadonlySet<StorePath>> {
    const ask = calls.queryValidPaths;
    return new Set(
      await this.#pool.use((client) => client.run(ask(client.wire, paths, isSubstituted)), { signal }),
    );
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- other stores download first
  async openNar(info: ValidPathInfo, { signal, onProgress }: TransferOptions): Promise<NarDownload> {
    const pool = this.#pool;
    const counted = async function* (): AsyncGenerator<Buffer> {
      let doneBytes = 0;
      for await (const chunk of pool.receiveNar(info.path, signal)) {
        doneBytes += chunk.length;
        onProgress?.(doneBytes, info.narSizeBytes);
        yield chunk;
      }
    };
    return { nar: counted(), discard: () => Promise.resolve() };
  }

  async addPath(
    info: IncomingPathInfo,
    nar: AsyncIterable<Uint8Array>,
    { signal, isRepair = false, checksSignatures = true }: AddPathOptions,
  ): Promise<void> {
    await this.#pool.use(
      async (client) => {
        const whole: ValidPathInfo = {
          ...info,
          registrationTime: 0,
          isUltimate: false,
          signatures: info.signatures ?? [],
        };
        await client.runNar(calls.addToStoreNar(whole, { isRepair, isUnchecked: !checksSignatures }), nar);
      },
      { signal },
    );
  }

  async substitute(paths: readonly StorePath[], signal?: AbortSignal): Promise<void> {
    await this.#pool.use((client) => client.run(calls.queryValidPaths(client.wire, paths, true)), { signal });
  }

  queryAllPaths(signal?: AbortSignal): Promise<readonly StorePath[]> {
    return this.#pool.use((client) => client.run(calls.queryAllValidPaths(client.wire)), { signal });
  }

  async addSignatures(path: StorePath, signatures: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#pool.use((client) => client.run(calls.addSignatures(path, signatures)), { signal });
  }

  async addLog(drvPath: StorePath, log: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#pool.use((client) => client.runFramed(calls.addBuildLog(drvPath), [log]), { signal });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface waits for what takes longer
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pool[Symbol.dispose]();
  }
}
