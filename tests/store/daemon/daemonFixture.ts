import { PassThrough } from "node:stream";
import { parseHash } from "../../../core/index.ts";
import {
  makeDerivation,
  type DerivationRequest,
  type MadeDerivation,
} from "../../../store/format/makeDerivation.ts";
import { serveConnection } from "../../../store/daemon/serveConnection.ts";
import type { ServerMessage } from "../../../store/protocol/messages.ts";
import { LATEST, type ProtocolVersion } from "../../../store/protocol/version.ts";
import type { Restriction } from "../../../store/realise/builder/restriction.ts";
import { DaemonClient } from "../../../store/remote/daemonClient/daemonClient.ts";
import type { Store, StorePath, StoreSettings } from "../../../store/index.ts";

export interface TestConnection extends AsyncDisposable {
  readonly client: DaemonClient;
  /** What the server said while it worked. */
  readonly messages: ServerMessage[];
  /** Ends when the server has done with the client. */
  readonly served: Promise<void>;
}

/** Two streams between a client and a server in this process. */
export function streams(): { readonly toServer: PassThrough; readonly toClient: PassThrough } {
  return { toServer: new PassThrough(), toClient: new PassThrough() };
}

export async function connect(
  settings: StoreSettings,
  {
    isTrusted = true,
    isStranger = false,
    version = LATEST,
    restriction,
    signal,
  }: {
    isTrusted?: boolean;
    isStranger?: boolean;
    version?: ProtocolVersion;
    restriction?: Restriction;
    signal?: AbortSignal;
  } = {},
): Promise<TestConnection> {
  const { toServer, toClient } = streams();
  const options = { settings, isTrusted, isStranger, restriction, signal };
  const served = serveConnection(toServer, toClient, options).finally(() => toClient.end());
  served.catch(() => undefined);
  const messages: ServerMessage[] = [];
  const client = await DaemonClient.connect(
    {
      input: toClient,
      output: toServer,
      close: () => {
        toServer.end();
        toClient.destroy();
      },
    },
    { storeDir: settings.storeDir, onMessage: (message) => void messages.push(message), version },
  );
  return {
    client,
    messages,
    served,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await served.catch(() => undefined);
    },
  };
}

export function version(minor: number, features: readonly string[] = []): ProtocolVersion {
  return { minor, features: new Set(features) };
}

/** A derivation that /bin/sh builds; not written yet. */
export function shellDerivation(
  store: Store,
  name: string,
  script: string,
  hash?: string,
  inputs: readonly StorePath[] = [],
): MadeDerivation {
  const request: DerivationRequest = {
    name,
    system: store.settings.config.system,
    builder: "/bin/sh",
    args: ["-c", script],
    env: new Map([["name", name]]),
    outputs: ["out"],
    kind:
      hash === undefined
        ? { kind: "inputAddressed" }
        : { kind: "fixed", hash: parseHash(hash), method: "flat" },
    context: new Set(inputs.map((drvPath) => `!out!${drvPath}`)),
  };
  return makeDerivation(request, store.hasher, (path) => store.closureOf(path));
}
