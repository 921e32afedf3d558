import { DevshellError } from "../../../core/index.ts";
import * as calls from "../../protocol/calls.ts";
import type { ServerMessage } from "../../protocol/messages.ts";
import { Semaphore } from "../../realise/goals/semaphore.ts";
import type { DaemonPlace, RealiseEvent, StorePath, StoreSettings } from "../../types.ts";
import { ActivityEvents } from "./activityEvents.ts";
import { settingsForDaemon, takesSettings } from "./clientSettings.ts";
import { openConnection } from "./daemonAddress.ts";
import { DaemonClient } from "./daemonClient.ts";

/** A connection is for one request at a time; more are opened while they are needed. */
const MAX_CONNECTIONS = 4;

export interface UseOptions {
  /** Told what the daemon says meanwhile. */
  readonly onEvent?: ((event: RealiseEvent) => void) | undefined;
  /** Aborting hangs up, and so ends what the daemon does for us. */
  readonly signal?: AbortSignal | undefined;
}

/** Connections to one daemon, opened as they are needed and used again. */
export class DaemonPool implements Disposable {
  readonly #settings: StoreSettings;
  readonly #place: DaemonPlace;
  readonly #slots = new Semaphore(MAX_CONNECTIONS);
  readonly #idle: DaemonClient[] = [];
  #isClosed = false;
  readonly #onGreeting: (message: ServerMessage) => void;

  /** @param onGreeting told what the daemon says as it lets us in and takes our settings */
  constructor(
    settings: StoreSettings,
    place: DaemonPlace,
    onGreeting: (message: ServerMessage) => void = () => undefined,
  ) {
    this.#settings = settings;
    this.#place = place;
    this.#onGreeting = onGreeting;
  }

  /** A path's NAR; its connection is free again at its end. */
  async *receiveNar(path: StorePath, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const { promise: isRead, resolve: release } = Promise.withResolvers<void>();
    const { promise: ready, resolve, reject } = Promise.withResolvers<DaemonClient>();
    const held = this.use(
      async (client) => {
        resolve(client);
        await isRead;
      },
      { signal },
    );
    held.catch(reject);
    try {
      const client = await ready;
      yield* client.receiveNar(calls.narFromPath(path));
    } finally {
      release();
      await held;
    }
  }

  /** @throws what the daemon answers with, and the signal's reason */
  use<T>(work: (client: DaemonClient) => Promise<T>, { onEvent, signal }: UseOptions = {}): Promise<T> {
    return this.#slots.run(async () => {
      signal?.throwIfAborted();
      const client = this.#idleClient() ?? (await this.#connect(signal));
      const events = new ActivityEvents(this.#settings.storeDir, onEvent ?? (() => undefined));
      client.listenWith((message) => events.take(message));
      const hangUp = (): void => client[Symbol.dispose]();
      signal?.addEventListener("abort", hangUp, { once: true });
      try {
        return await work(client);
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener("abort", hangUp);
        if (client.isBroken || this.#isClosed) client[Symbol.dispose]();
        else this.#idle.push(client);
      }
    }, signal);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const client of this.#idle.splice(0)) client[Symbol.dispose]();
  }

  #idleClient(): DaemonClient | undefined {
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      if (!client.isBroken) return client;
      client[Symbol.dispose]();
    }
    return undefined;
  }

  async #connect(signal: AbortSignal | undefined): Promise<DaemonClient> {
    const { storeDir, config } = this.#settings;
    try {
      const options = { storeDir, onMessage: this.#onGreeting };
      const client = await DaemonClient.connect(await openConnection(this.#place.address), options, signal);
      if (takesSettings(client.wire))
        await client.run(calls.setOptions(client.wire, settingsForDaemon(config)));
      return client;
    } catch (error) {
      signal?.throwIfAborted();
      throw connectionError(this.#place.url, error);
    }
  }
}

export function connectionError(url: string, error: unknown): unknown {
  if (!(error instanceof DevshellError)) return error;
  const message = `cannot open connection to remote store '${url}': ${error.message}`;
  return new DevshellError(error.code, message, { hint: error.hint, cause: error });
}
