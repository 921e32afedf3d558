import type { TransferOptions } from "../../io/index.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { BuildResult } from "../protocol/buildResult.ts";
import * as calls from "../protocol/calls.ts";
import { wireError } from "../protocol/wire.ts";
import { Semaphore } from "../realise/goals/semaphore.ts";
import { ActivityEvents } from "../remote/daemonClient/activityEvents.ts";
import { settingsForDaemon } from "../remote/daemonClient/clientSettings.ts";
import { openConnection } from "../remote/daemonClient/daemonAddress.ts";
import { DaemonClient } from "../remote/daemonClient/daemonClient.ts";
import { parseDaemonUrl } from "../remote/daemonClient/parseDaemonUrl.ts";
import type { AddPathOptions, NarDownload, RemotePathInfo, ValidPathsOptions } from "../remote/types.ts";
import type { Derivation, StorePath, StoreSettings, ValidPathInfo } from "../types.ts";
import type { BuildingStore, RemoteBuildOptions } from "./types.ts";

export interface DaemonMachineOptions {
  /** Told what builders print there, and what the daemon says. */
  readonly onLine: (line: string) => void;
  /** Gives up a machine that does not answer. */
  readonly signal?: AbortSignal | undefined;
}

/** A machine that a daemon builds on, by `ssh-ng://`: one connection, for one request at a time. */
export class DaemonMachine implements BuildingStore {
  readonly url: string;
  readonly priority = 0;
  readonly isTrusted = false;
  readonly #settings: StoreSettings;
  readonly #client: DaemonClient;
  readonly #turn = new Semaphore(1);

  private constructor(url: string, settings: StoreSettings, client: DaemonClient) {
    this.url = url;
    this.#settings = settings;
    this.#client = client;
  }

  /** @throws {DevshellError} `DAEMON_UNREACHABLE`, `PROTOCOL_…` */
  static async open(
    settings: StoreSettings,
    url: string,
    { onLine, signal }: DaemonMachineOptions,
  ): Promise<DaemonMachine> {
    const { storeDir } = settings;
    const { address } = parseDaemonUrl(url, `${settings.stateDir}/daemon-socket/socket`);
    const events = new ActivityEvents(storeDir, (event) => {
      if (event.kind === "log") onLine(event.line);
    });
    const client = await DaemonClient.connect(
      await openConnection(address),
      { storeDir, onMessage: (message) => events.take(message) },
      signal,
    );
    return new DaemonMachine(url, settings, client);
  }

  async queryValidPaths(
    paths: readonly StorePath[],
    { isSubstituted = false, signal }: ValidPathsOptions,
  ): Promise<ReadonlySet<StorePath>> {
    for (const path of paths) await this.#run(calls.addTempRoot(path), signal);
    return new Set(await this.#run(calls.queryValidPaths(this.#client.wire, paths, isSubstituted), signal));
  }

  query(path: StorePath, signal?: AbortSignal): Promise<RemotePathInfo | undefined> {
    return this.#run(calls.queryPathInfo(this.#client.wire, path), signal);
  }

  openNar({ path }: ValidPathInfo, { signal }: TransferOptions): Promise<NarDownload> {
    return Promise.resolve({ nar: this.#receive(path, signal), discard: () => Promise.resolve() });
  }

  addPath(info: IncomingPathInfo, nar: AsyncIterable<Uint8Array>, { signal }: AddPathOptions): Promise<void> {
    const whole: ValidPathInfo = {
      ...info,
      signatures: info.signatures ?? [],
      isUltimate: false,
      registrationTime: 0,
    };
    const call = calls.addToStoreNar(whole, { isRepair: false, isUnchecked: true });
    return this.#take(() => this.#client.runNar(call, nar), signal);
  }

  get trustsUs(): boolean {
    return this.#client.greeting.isTrusted !== false;
  }

  async buildDerivation(
    drvPath: StorePath,
    derivation: Derivation,
    options: RemoteBuildOptions,
    signal?: AbortSignal,
  ): Promise<BuildResult> {
    await this.#setOptions(options, signal);
    return await this.#run(calls.buildDerivation(this.#client.wire, drvPath, derivation, "normal"), signal);
  }

  async buildInStore(
    drvPath: StorePath,
    options: RemoteBuildOptions,
    signal?: AbortSignal,
  ): Promise<BuildResult> {
    await this.#setOptions(options, signal);
    const target = { kind: "built", drvPath, outputs: "*" } as const;
    const [result] = await this.#run(
      calls.buildPathsWithResults(this.#client.wire, [target], "normal"),
      signal,
    );
    if (result === undefined) throw wireError("a build has no result");
    return result;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    return Promise.resolve();
  }

  async #setOptions(options: RemoteBuildOptions, signal: AbortSignal | undefined): Promise<void> {
    const settings = settingsForDaemon(this.#settings.config);
    const named = new Map([
      ["timeout", String(options.timeoutSeconds)],
      ...(options.maxLogBytes === 0 ? [] : [["max-build-log-size", String(options.maxLogBytes)] as const]),
    ]);
    const call = calls.setOptions(this.#client.wire, {
      ...settings,
      keepFailed: options.keepFailed,
      maxSilentSeconds: options.maxSilentSeconds,
      // It is not to send it on, nor to look for what we have sent.
      substitute: false,
      maxJobs: Math.max(1, settings.maxJobs),
      named,
    });
    await this.#run(call, signal);
  }

  async *#receive(path: StorePath, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    signal?.throwIfAborted();
    const hangUp = (): void => this.#client[Symbol.dispose]();
    signal?.addEventListener("abort", hangUp, { once: true });
    try {
      yield* this.#client.receiveNar(calls.narFromPath(path));
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", hangUp);
    }
  }

  #run<T>(call: calls.Call<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#take(() => this.#client.run(call), signal);
  }

  /** Aborting hangs up, and so ends what the daemon does for us. */
  #take<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#turn.run(async () => {
      const hangUp = (): void => this.#client[Symbol.dispose]();
      signal?.addEventListener("abort", hangUp, { once: true });
      try {
        return await work();
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener("abort", hangUp);
      }
    }, signal);
  }
}
