import { DevshellError } from "../../core/index.ts";
import type { TransferOptions } from "../../io/index.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { BuildResult } from "../protocol/buildResult.ts";
import { parseStoreAddress } from "../remote/storeAddress.ts";
import type {
  AddPathOptions,
  NarDownload,
  OpenRemoteOptions,
  RemotePathInfo,
  RemoteStore,
  ValidPathsOptions,
} from "../remote/types.ts";
import type { Derivation, StorePath, StoreSettings, ValidPathInfo } from "../types.ts";
import type { Channel } from "./channel.ts";
import { ServeClient } from "./serveClient.ts";
import type { ServeBuildOptions } from "./serveProtocol.ts";
import { parseSshAddress, type SshAddress } from "./sshAddress.ts";
import { isTrue } from "./sshCommandLine.ts";
import { startOverSsh } from "./startOverSsh.ts";

export interface ServeStoreOptions extends OpenRemoteOptions {
  /** Told what the other side prints on standard error, builders' output among it; unset: it goes to ours. */
  readonly onLine?: ((line: string) => void) | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const DEFAULT_PRIORITY = 0;

/**
 * A store on another machine, by `ssh://HOST`: `nix-store --serve --write` there is asked. Parameters: `remote-program`,
 * `remote-store`, `ssh-key`, `compress`, `base64-ssh-public-host-key`, `priority`, `trusted`.
 */
export class ServeStore implements RemoteStore {
  readonly url: string;
  readonly priority: number;
  readonly isTrusted: boolean;
  readonly #client: ServeClient;
  /** Questions of this moment, to be asked together: each message is a journey there and back. */
  #asked: Map<StorePath, PromiseWithResolvers<RemotePathInfo | undefined>> | undefined;

  constructor(url: string, client: ServeClient, parameters: ReadonlyMap<string, string> = new Map()) {
    this.url = url;
    this.#client = client;
    this.priority = Number(parameters.get("priority")) || DEFAULT_PRIORITY;
    this.isTrusted = isTrue(parameters.get("trusted"));
  }

  /** @throws {DevshellError} `SSH_FAILED`, `SSH_ADDRESS_INVALID`, `PROTOCOL_INVALID` */
  static async open(
    settings: StoreSettings,
    url: string,
    options: ServeStoreOptions = {},
  ): Promise<ServeStore> {
    const address = parseSshAddress(url);
    const channel = startServe(address, options);
    const client = await ServeClient.open(channel, {
      host: address.host,
      storeDir: settings.storeDir,
      signal: options.signal,
    });
    return new ServeStore(parseStoreAddress(url).base, client, address.parameters);
  }

  query(path: StorePath, signal?: AbortSignal): Promise<RemotePathInfo | undefined> {
    signal?.throwIfAborted();
    if (this.#asked === undefined) {
      this.#asked = new Map();
      setImmediate(() => this.#askTogether());
    }
    const known = this.#asked.get(path);
    if (known !== undefined) return known.promise;
    const answer = Promise.withResolvers<RemotePathInfo | undefined>();
    this.#asked.set(path, answer);
    return answer.promise;
  }

  queryValidPaths(
    paths: readonly StorePath[],
    { isSubstituted = false, signal }: ValidPathsOptions = {},
  ): Promise<ReadonlySet<StorePath>> {
    return this.#client.queryValidPaths(paths, { isLocked: true, isSubstituted }, signal);
  }

  async substitute(paths: readonly StorePath[], signal?: AbortSignal): Promise<void> {
    await this.queryValidPaths(paths, { isSubstituted: true, signal });
  }

  queryClosure(
    paths: readonly StorePath[],
    includeOutputs: boolean,
    signal?: AbortSignal,
  ): Promise<readonly StorePath[]> {
    return this.#client.queryClosure(paths, includeOutputs, signal);
  }

  openNar(info: ValidPathInfo, { signal, onProgress }: TransferOptions): Promise<NarDownload> {
    const nar = bounded(this.#client.readNar(info.path, signal), info, onProgress);
    return Promise.resolve({ nar, discard: () => Promise.resolve() });
  }

  addPath(info: IncomingPathInfo, nar: AsyncIterable<Uint8Array>, { signal }: AddPathOptions): Promise<void> {
    return this.#client.addPath(info, nar, signal);
  }

  buildDerivation(
    drvPath: StorePath,
    derivation: Derivation,
    options: ServeBuildOptions,
    signal?: AbortSignal,
  ): Promise<BuildResult> {
    return this.#client.buildDerivation(drvPath, derivation, options, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }

  #askTogether(): void {
    const asked = this.#asked ?? new Map<StorePath, PromiseWithResolvers<RemotePathInfo | undefined>>();
    this.#asked = undefined;
    this.#client.queryPathInfos([...asked.keys()]).then(
      (infos) => {
        for (const [path, answer] of asked) answer.resolve(infos.get(path));
      },
      (error: unknown) => {
        for (const answer of asked.values()) answer.reject(error as Error);
      },
    );
  }
}

export function startServe(address: SshAddress, { onLine, env = process.env }: ServeStoreOptions): Channel {
  const { parameters } = address;
  const program = (parameters.get("remote-program") || "nix-store")
    .split(/\s+/)
    .filter((word) => word !== "");
  const store = parameters.get("remote-store") ?? "";
  const command = [...program, "--serve", "--write", ...(store === "" ? [] : ["--store", store])];
  return startOverSsh(address, command, { env, onLine });
}

/** @throws {DevshellError} where the other side sends more than it announced */
async function* bounded(
  nar: AsyncIterable<Buffer>,
  info: ValidPathInfo,
  onProgress: TransferOptions["onProgress"],
): AsyncGenerator<Buffer> {
  let doneBytes = 0;
  for await (const chunk of nar) {
    doneBytes += chunk.length;
    if (info.narSizeBytes > 0 && doneBytes > info.narSizeBytes)
      throw new DevshellError(
        "STORE_SIZE_MISMATCH",
        `Cannot import "${info.path}": expected ${info.narSizeBytes} bytes but found more`,
      );
    yield chunk;
    onProgress?.(doneBytes, info.narSizeBytes);
  }
}
