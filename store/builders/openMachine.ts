import { DevshellError } from "../../core/index.ts";
import { LocalStore } from "../local/localStore.ts";
import { ByteSource } from "../protocol/byteSource.ts";
import { parseStoreAddress } from "../remote/storeAddress.ts";
import { resolveStoreSettings } from "../settings.ts";
import { channelPair } from "../ssh/channel.ts";
import { ServeClient } from "../ssh/serveClient.ts";
import { serveSession } from "../ssh/serveSession.ts";
import { ServeStore } from "../ssh/serveStore.ts";
import type { StoreSettings } from "../types.ts";
import { DaemonMachine } from "./daemonMachine.ts";
import { machineAddress, type Machine } from "./machines.ts";
import type { BuildingStore, Realise } from "./types.ts";

export interface OpenMachineOptions {
  readonly realise: Realise;
  /** Told what builders print. */
  readonly onLine: (line: string) => void;
  /** Gives up a machine that does not answer. */
  readonly signal?: AbortSignal | undefined;
}

/** Variables that have ssh ask in a window; nobody may be there to answer. */
const ASKING = ["DISPLAY", "SSH_ASKPASS"];

/** @throws {DevshellError} `MACHINE_UNSUPPORTED`, `SSH_FAILED`, … */
export async function openMachine(
  settings: StoreSettings,
  machine: Machine,
  options: OpenMachineOptions,
): Promise<BuildingStore> {
  const url = machineAddress(machine);
  const { scheme } = parseStoreAddress(url);
  switch (scheme) {
    case "ssh":
      return await ServeStore.open(settings, url, {
        onLine: options.onLine,
        signal: options.signal,
        env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !ASKING.includes(name))),
      });
    case "ssh-ng":
      return await DaemonMachine.open(settings, url, { onLine: options.onLine, signal: options.signal });
    case "auto":
    case "local":
      return await openHere(settings, machine, options);
    default:
      throw new DevshellError(
        "MACHINE_UNSUPPORTED",
        `stores of the kind "${scheme}" cannot build for others yet`,
        {
          hint: "ssh://HOST and ssh-ng://HOST can, and directories of this machine",
        },
      );
  }
}

/** Another store of this machine, spoken to as one that is not. */
async function openHere(
  settings: StoreSettings,
  { url, supportedFeatures, mandatoryFeatures }: Machine,
  { realise, onLine }: OpenMachineOptions,
): Promise<BuildingStore> {
  const { parameters } = parseStoreAddress(url);
  const features = [parameters.get("system-features") ?? "", ...supportedFeatures, ...mandatoryFeatures];
  const place = resolveStoreSettings(process.env, { store: url });
  const raw = new Map([
    ...settings.config.raw,
    ["system-features", features.join(" ").trim()],
    ["builders", ""],
  ]);
  // What keeps us from building does not keep it.
  const config = { ...settings.config, maxJobs: Math.max(1, settings.config.maxJobs), raw };
  const store = LocalStore.open({ ...place, config });
  const [ours, theirs] = channelPair();
  const session = serveSession(new ByteSource(theirs.input), theirs.output, {
    store,
    isWritable: true,
    realise,
    onLine,
  })
    .catch(async (error: unknown) => {
      onLine(error instanceof Error ? `error: ${error.message}` : String(error));
      await theirs[Symbol.asyncDispose]();
    })
    .finally(() => store[Symbol.dispose]());
  const client = await ServeClient.open(ours, { host: url, storeDir: settings.storeDir });
  return new LocalMachine(url, client, session);
}

class LocalMachine extends ServeStore {
  readonly #session: Promise<void>;

  constructor(url: string, client: ServeClient, session: Promise<void>) {
    super(url, client);
    this.#session = session;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#session;
  }
}
