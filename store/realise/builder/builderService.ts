import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { chmod, chown, lstat, rename } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { DevshellError, fsPath, textOfBytes, type ByteString } from "../../../core/index.ts";
import { clientLimits } from "../../clientLimits.ts";
import { ClientTurns } from "../../clientTurns.ts";
import { narChunks } from "../../format/nar.ts";
import { restoreNar } from "../../format/narRestore.ts";
import { storePathBaseName } from "../../format/storePath.ts";
import { shortSocketPath } from "../../remote/daemonClient/daemonAddress.ts";
import type { OutputName, StorePath } from "../../types.ts";
import type { BuildRequest } from "../buildRequest.ts";
import { requireFeature } from "../experimentalFeatures.ts";
import { BUILDER_RPC, RECURSIVE_NIX, Restriction } from "./restriction.ts";
import { sandboxedPath } from "./sandbox.ts";
import type { Scratch } from "./scratch.ts";

const SOCKET = ".nix-socket";

/** Of the builders of this process. */
let turns: ClientTurns | undefined;
let builders = 0;

/** A socket in a build's directory through which its builder adds to the store and builds in it. */
export class BuilderService implements AsyncDisposable {
  /** What the builder finds it by. */
  readonly address: string;
  readonly #server: Server;
  readonly #restriction: Restriction;
  readonly #storeFd: number | undefined;
  readonly #connections: Map<Socket, Promise<void>>;
  readonly #ended: AbortController;

  private constructor(
    address: string,
    parts: {
      readonly server: Server;
      readonly restriction: Restriction;
      readonly storeFd: number | undefined;
      readonly connections: Map<Socket, Promise<void>>;
      readonly ended: AbortController;
    },
  ) {
    this.address = address;
    this.#server = parts.server;
    this.#restriction = parts.restriction;
    this.#storeFd = parts.storeFd;
    this.#connections = parts.connections;
    this.#ended = parts.ended;
  }

  /**
   * Begins to serve, before the builder runs.
   * @param buildDir as the builder sees it
   */
  static async start(request: BuildRequest, scratch: Scratch, buildDir: string): Promise<BuilderService> {
    const { drvPath, serveBuilder, inputPaths, store } = request;
    const isSubmitting = request.options.requiredSystemFeatures.includes(BUILDER_RPC);
    if (serveBuilder === undefined)
      throw new DevshellError(
        "BUILD_REJECTED",
        `Cannot build '${drvPath}'.\nReason: its builder wants to use the store (${isSubmitting ? BUILDER_RPC : RECURSIVE_NIX}), which is not served here.`,
        { exitStatus: 100 },
      );
    // A machine may be said to have it (`system-features`) that has it turned off.
    requireFeature(store.settings.config, isSubmitting ? "dynamic-derivations" : RECURSIVE_NIX);
    const storeFd = openSandboxStore(scratch, store.settings.storeDir);
    const show = async (path: StorePath): Promise<void> => {
      store.addTempRoots([path]);
      if (storeFd !== undefined && scratch.chrootDir !== undefined && !isSubmitting)
        await copyIntoSandbox(store.realPath(path), path, { chrootDir: scratch.chrootDir, storeFd });
    };
    const restriction = new Restriction(inputPaths, show, isSubmitting);
    // Whoever is not us, or is shut in: through us it would get at what is ours.
    const isStranger =
      request.isForStranger || scratch.chrootDir !== undefined || scratch.builderUser !== undefined;
    const connections = new Map<Socket, Promise<void>>();
    const ended = new AbortController();
    const builder = ++builders;
    turns ??= new ClientTurns(clientLimits());
    const turn = turns;
    const serve = async (socket: Socket): Promise<void> => {
      // One that waited may have gone.
      if (!socket.destroyed && !ended.signal.aborted)
        await serveBuilder(socket, { restriction, isStranger, signal: ended.signal });
    };
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      connections.set(socket, closed);
      const close = (): void => {
        socket.destroy();
        connections.delete(socket);
        resolve();
      };
      const isTaken = turn.take(
        builder,
        (done) =>
          void serve(socket)
            // What it says that makes no sense is its own affair: it is hung up on.
            .catch(() => undefined)
            .finally(() => {
              close();
              done();
            }),
      );
      if (!isTaken) close();
    });
    const service = new BuilderService(addressOf(join(buildDir, SOCKET)), {
      server,
      restriction,
      storeFd,
      connections,
      ended,
    });
    try {
      const place = join(scratch.buildDir, SOCKET);
      await listenAt(server, place);
      chmodSync(fsPath(place), 0o600);
      const { builderUser } = scratch;
      if (builderUser !== undefined) await chown(fsPath(place), builderUser.uid, builderUser.gid);
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
    return service;
  }

  /** What the builder may refer to beside its inputs. */
  added(): ReadonlySet<StorePath> {
    return this.#restriction.added();
  }

  /** What it said its outputs are; `undefined` where it leaves them behind. */
  submitted(): ReadonlyMap<OutputName, StorePath> | undefined {
    return this.#restriction.isSubmitting ? this.#restriction.submitted() : undefined;
  }

  /** Builds that it has asked for and not waited for end with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new DevshellError("PROTOCOL_DISCONNECTED", "the builder has ended"));
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#connections.keys()) socket.destroy();
    await Promise.all(this.#connections.values());
    await closed;
    if (this.#storeFd !== undefined) closeSync(this.#storeFd);
  }
}

/** A build's directory is called as its derivation, which may have a question mark in its name. */
function addressOf(socketPath: ByteString): string {
  return `unix://${encodeURI(textOfBytes(socketPath)).replaceAll(/[?#]/g, encodeURIComponent)}`;
}

async function listenAt(server: Server, place: ByteString): Promise<void> {
  using short = shortSocketPath(textOfBytes(place));
  await new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", reject);
    server.listen({ path: short.path });
  });
}

/** Held from before the builder runs: later it could have put a link in its place. */
function openSandboxStore({ chrootDir }: Scratch, storeDir: string): number | undefined {
  if (chrootDir === undefined) return undefined;
  const directory = fsPath(sandboxedPath(chrootDir, storeDir));
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  return openSync(directory, "r");
}

let copies = 0;

/** A copy, not a mount or hard links: without a user of its own the builder could write to what is ours. */
async function copyIntoSandbox(
  source: ByteString,
  path: StorePath,
  { chrootDir, storeFd }: { readonly chrootDir: ByteString; readonly storeFd: number },
): Promise<void> {
  // Made where the builder cannot reach, then moved: it has no moment to put links into it.
  const copy = join(chrootDir, `added-${++copies}`);
  await restoreNar(copy, narChunks(source), { isCanonical: true });
  if ((await lstat(fsPath(copy))).isDirectory()) await chmod(fsPath(copy), 0o755);
  await rename(fsPath(copy), fsPath(`/proc/self/fd/${storeFd}/${storePathBaseName(path)}`));
}
