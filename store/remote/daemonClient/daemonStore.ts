import { DevshellError, hashBytes, type ByteString } from "../../../core/index.ts";
import { knownOutputPaths } from "../../format/derivation.ts";
import { DerivationHasher, type BuiltElement } from "../../format/derivationHasher.ts";
import type { MadeDerivation } from "../../format/makeDerivation.ts";
import { hashNar, narChunks } from "../../format/nar.ts";
import { parseDerivation } from "../../format/parseDerivation.ts";
import {
  checkStorePathName,
  derivationNameOfPath,
  makeFixedOutputPath,
  makeTextPath,
  sortedPaths,
} from "../../format/storePath.ts";
import { fileChunks, hashFlat, hashMismatch } from "../../local/contentHash.ts";
import { rememberAnswers, scanReferences } from "../../local/readSource.ts";
import { readDerivationText } from "../../local/derivationText.ts";
import { addPermanentRoot, indirectRootOf } from "../../local/roots.ts";
import { topologicalSort } from "../../local/topologicalSort.ts";
import type {
  AddPathOptions,
  AddStreamOptions,
  ClosureOptions,
  GcOptions,
  GcResult,
  GcRoots,
  IncomingPathInfo,
  OptimiseResult,
  VerifyOptions,
  VerifyResult,
} from "../../local/types.ts";
import type { BlockingChannel } from "../../protocol/blockingChannel.ts";
import * as calls from "../../protocol/calls.ts";
import type { ServerMessage } from "../../protocol/messages.ts";
import { FEATURE } from "../../protocol/version.ts";
import { buildLogPath } from "../../realise/buildLog.ts";
import type { Store } from "../../store.ts";
import type {
  DaemonPlace,
  Derivation,
  OutputName,
  Realisation,
  RealiseEvent,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "../../types.ts";
import { ActivityEvents } from "./activityEvents.ts";
import { BlockingClient } from "./blockingClient.ts";
import { settingsForDaemon, takesSettings } from "./clientSettings.ts";
import { openChannel } from "./daemonAddress.ts";
import type { DaemonClient } from "./daemonClient.ts";
import { DaemonPaths } from "./daemonPaths.ts";
import { DaemonPool, connectionError, type UseOptions } from "./daemonPool.ts";
import { receiveText, sendDerivations, sendFiles, sendText } from "./daemonTransfers.ts";
import { keepsRootsThere } from "./parseDaemonUrl.ts";

export interface DaemonStoreOptions {
  /** Told what the daemon says while it works. */
  readonly onEvent?: ((event: RealiseEvent) => void) | undefined;
  readonly onWait?: ((message: string) => void) | undefined;
}

/** Derivations that are sent together. */
const BATCH_SIZE = 500;

/**
 * A store that a daemon holds. What evaluation asks is waited for (`BlockingClient`); what takes long is not: it has a
 * connection of its own. What was valid once is taken for valid until we delete something ourselves.
 */
export class DaemonStore implements Store {
  readonly settings: StoreSettings;
  readonly storeDir: string;
  readonly realStoreDir: ByteString;
  readonly hasher: DerivationHasher;
  readonly place: DaemonPlace;
  readonly onWait: (message: string) => void;
  readonly #options: DaemonStoreOptions;
  readonly #derivations = new Map<StorePath, Derivation>();
  readonly #greetings = new Set<ByteString>();
  readonly #pool: DaemonPool;
  readonly #paths = new DaemonPaths({
    client: () => this.#client,
    outputsOf: (drvPath) => this.queryDerivationOutputs(drvPath),
  });
  #blocking: BlockingClient | undefined;

  private constructor(settings: StoreSettings, place: DaemonPlace, options: DaemonStoreOptions) {
    this.settings = settings;
    this.place = place;
    this.storeDir = settings.storeDir;
    this.realStoreDir = settings.realStoreDir ?? settings.storeDir;
    this.#options = options;
    this.onWait = options.onWait ?? (() => undefined);
    this.#pool = new DaemonPool(settings, place, (message) => this.#greet(message));
    this.hasher = new DerivationHasher(settings.storeDir, (drvPath) => this.readDerivation(drvPath));
  }

  /** Connects when something is first asked of it. @throws {DevshellError} where the settings name no daemon */
  static open(settings: StoreSettings, options: DaemonStoreOptions = {}): DaemonStore {
    if (settings.daemon === undefined) throw new Error("the settings name no daemon");
    return new DaemonStore(settings, settings.daemon, options);
  }

  /** What the daemon said of itself. */
  get greeting(): BlockingClient["greeting"] {
    return this.#client.greeting;
  }

  /** Whether it builds packages of `<debian>`: Nix's own daemon has no builders for them. */
  get hasOwnBuilders(): boolean {
    return this.greeting.version.features.has(FEATURE.ownBuilders);
  }

  /** Does what takes long, on a connection that is not the blocking one. */
  use<T>(work: (client: DaemonClient) => Promise<T>, options: UseOptions = {}): Promise<T> {
    return this.#pool.use(work, { onEvent: this.#options.onEvent, ...options });
  }

  // Queries

  isValidPath(path: StorePath): boolean {
    return this.#paths.isValid(path);
  }

  queryPathInfo(path: StorePath): ValidPathInfo | undefined {
    return this.#paths.infosOf([path]).get(path);
  }

  pathInfo(path: StorePath): ValidPathInfo {
    const info = this.queryPathInfo(path);
    if (info === undefined)
      throw new DevshellError("STORE_PATH_NOT_VALID", `Cannot find "${path}" in the store: it is not valid`);
    return info;
  }

  queryReferrers(path: StorePath): StorePath[] {
    return this.#client.run(calls.queryReferrers(this.#wire, path));
  }

  queryValidDerivers(path: StorePath): StorePath[] {
    return this.#client.run(calls.queryValidDerivers(this.#wire, path));
  }

  queryDerivationOutputs(drvPath: StorePath): Map<OutputName, StorePath | undefined> {
    const outputs = knownOutputPaths(this.readDerivation(drvPath));
    if ([...outputs.values()].every((path) => path !== undefined)) return outputs;
    if (!this.isValidPath(drvPath)) return outputs;
    for (const [name, path] of this.#client.run(calls.queryDerivationOutputMap(this.#wire, drvPath)))
      if (path !== undefined) outputs.set(name, path);
    return outputs;
  }

  queryOutput({ drvPath, outputs }: BuiltElement): StorePath | undefined {
    let path: StorePath | undefined = drvPath;
    for (const output of outputs)
      path = path === undefined ? undefined : this.queryDerivationOutputs(path).get(output);
    return path;
  }

  queryPathFromHashPart(hashPart: string): StorePath | undefined {
    return this.#client.run(calls.queryPathFromHashPart(this.#wire, hashPart));
  }

  allValidPaths(): StorePath[] {
    return this.#client.run(calls.queryAllValidPaths(this.#wire));
  }

  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined {
    const query = calls.queryRealisation(this.#wire, drvPath, output);
    const known = query === undefined ? undefined : this.#client.run(query);
    return known === undefined ? undefined : { drvPath, output, ...known };
  }

  registerRealisation(realisation: Realisation): void {
    this.#client.run(calls.registerRealisation(this.#wire, realisation, realisation));
  }

  deleteRealisation(): void {
    throw new DevshellError(
      "STORE_DAEMON_UNSUPPORTED",
      `Cannot forget realisations in the store '${this.place.url}': only who opens a store himself can`,
    );
  }

  closureOf(paths: StorePath | Iterable<StorePath>, options: ClosureOptions = {}): StorePath[] {
    return this.#paths.closureOf(typeof paths === "string" ? [paths] : [...paths], options);
  }

  topologicalSort(paths: Iterable<StorePath>): StorePath[] {
    const wanted = new Set(paths);
    const infos = this.#paths.infosOf([...wanted]);
    return topologicalSort(wanted, (path) => infos.get(path)?.references ?? []);
  }

  /** @throws {DevshellError} `STORE_NOT_HERE` where the files are on another machine */
  realPath(path: ByteString): ByteString {
    if (!this.place.isHere)
      throw new DevshellError(
        "STORE_NOT_HERE",
        `Cannot read '${path}': the store '${this.place.url}' is on another machine`,
        { hint: "copy it here first: `nix copy --from`" },
      );
    return this.realStoreDir === this.storeDir ? path : this.realStoreDir + path.slice(this.storeDir.length);
  }

  narOf(path: StorePath): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    return this.place.isHere ? narChunks(this.realPath(path)) : this.#pool.receiveNar(path);
  }

  logPath(drvPath: StorePath): ByteString {
    return buildLogPath(this.settings, drvPath);
  }

  // Derivations

  readDerivation(drvPath: StorePath): Derivation {
    const known = this.#derivations.get(drvPath);
    if (known !== undefined) return known;
    const text = this.place.isHere
      ? readDerivationText(this.realPath(drvPath))
      : receiveText(this.#client, drvPath);
    const derivation = parseDerivation(this.storeDir, derivationNameOfPath(drvPath), text);
    this.#derivations.set(drvPath, derivation);
    return derivation;
  }

  writeDerivation(made: MadeDerivation): StorePath {
    this.writeDerivations([made]);
    return made.drvPath;
  }

  writeDerivations(all: Iterable<MadeDerivation>): void {
    const list = [...all];
    for (const made of list) this.#derivations.set(made.drvPath, made.derivation);
    for (let at = 0; at < list.length; at += BATCH_SIZE) this.#writeBatch(list.slice(at, at + BATCH_SIZE));
  }

  // Adding

  addText(name: string, contents: ByteString, references: Iterable<StorePath>): StorePath {
    const sorted = sortedPaths(references);
    const path = makeTextPath(this.storeDir, name, hashBytes("sha256", contents), sorted);
    this.addTempRoots([path]);
    if (this.isValidPath(path)) return path;
    return this.#added(path, sendText(this.#client, name, contents, sorted));
  }

  addPath(path: ByteString, options: AddPathOptions): StorePath {
    const { name, method, algorithm = "sha256", expectedHash, isRepair = false } = options;
    checkStorePathName(name);
    const filter = rememberAnswers(options.filter);
    const hash = method === "flat" ? hashFlat(path, algorithm) : hashNar(path, { algorithm, filter }).hash;
    if (expectedHash !== undefined && !hash.digest.equals(expectedHash.digest))
      throw hashMismatch(path, expectedHash, hash);
    const candidates = [...(options.candidates ?? [])];
    const references = sortedPaths(
      options.references ?? (candidates.length === 0 ? [] : scanReferences(path, candidates, filter)),
    );
    const storePath = makeFixedOutputPath(this.storeDir, name, { method, hash, references });
    if (options.isDryRun === true) return storePath;
    this.addTempRoots([storePath]);
    if (!isRepair && this.isValidPath(storePath)) return storePath;
    const request = { name, method, algorithm, references, isRepair };
    const { url } = this.place;
    return this.#added(storePath, sendFiles(this.#client, request, path, { filter, url }));
  }

  /** Adds what may refer to anything that a builder sees; only builders can. */
  addScanned(path: ByteString, request: Parameters<typeof calls.addToStoreScanning>[1]): StorePath {
    checkStorePathName(request.name);
    const call = calls.addToStoreScanning(this.#wire, request);
    const added = this.#client.runFramed(call, request.method === "nar" ? narChunks(path) : fileChunks(path));
    this.#paths.noteValid([added]);
    return added;
  }

  /** Says what an output of the derivation is whose builder we are. */
  submitOutput(path: StorePath, output: OutputName): void {
    this.#client.run(calls.submitOutput(this.#wire, path, output));
  }

  async addToStoreFromStream(
    info: IncomingPathInfo,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    { isRepair = false, onProgress, signal }: AddStreamOptions = {},
  ): Promise<ValidPathInfo> {
    const existing = isRepair ? undefined : this.queryPathInfo(info.path);
    if (existing !== undefined) return existing;
    const whole: ValidPathInfo = {
      registrationTime: 0,
      isUltimate: false,
      signatures: [],
      ...info,
    } as ValidPathInfo;
    await this.use(
      async (client) => {
        const isUnchecked = client.greeting.isTrusted !== false;
        const call = calls.addToStoreNar(whole, { isRepair, isUnchecked });
        await client.runNar(call, counted(source, onProgress));
      },
      { signal },
    );
    return this.pathInfo(info.path);
  }

  registerValidPaths(): void {
    throw new DevshellError(
      "STORE_DAEMON_UNSUPPORTED",
      `Cannot register paths in the store '${this.place.url}': only who opens a store himself can`,
    );
  }

  addSignatures(path: StorePath, signatures: readonly string[]): void {
    this.#client.run(calls.addSignatures(path, signatures));
    this.#paths.forgetInfo(path);
  }

  // Roots

  addTempRoots(paths: Iterable<StorePath>): void {
    this.#paths.addTempRoots(paths);
  }

  indirectRootOf(link: ByteString): ByteString | undefined {
    return indirectRootOf(this.settings.stateDir, link);
  }

  addRoot(link: ByteString, path: StorePath): void {
    this.addTempRoots([path]);
    if (keepsRootsThere(this.place.url)) this.#client.run(calls.addPermRoot(path, link));
    else addPermanentRoot(this, link, path, (absolute) => this.addIndirectRoot(absolute));
  }

  addIndirectRoot(link: ByteString): void {
    this.#client.run(calls.addIndirectRoot(link));
  }

  findRoots(): GcRoots {
    const roots = new Map<StorePath, Set<string>>();
    for (const [link, path] of this.#client.run(calls.findRoots(this.#wire)))
      roots.set(path, (roots.get(path) ?? new Set<string>()).add(link));
    return roots;
  }

  // Upkeep

  async collectGarbage(options: GcOptions): Promise<GcResult> {
    const { action, paths = [], ignoreLiveness = false, maxFreedBytes, onDelete, signal } = options;
    const onEvent = (event: RealiseEvent): void => {
      const deleted = event.kind === "log" ? /^deleting '(.*)'$/.exec(event.line)?.[1] : undefined;
      if (deleted === undefined) this.#options.onEvent?.(event);
      else onDelete?.(deleted);
    };
    this.#paths.forget();
    const call = calls.collectGarbage({ action, paths, ignoreLiveness, maxFreedBytes });
    return await this.use((client) => client.run(call), { onEvent, signal });
  }

  deletePaths(
    paths: readonly StorePath[],
    options: Pick<GcOptions, "ignoreLiveness" | "includesReferrers"> = {},
  ): Promise<GcResult> {
    return this.collectGarbage({ action: "deleteSpecific", paths, ...options });
  }

  async verify({ checkContents = false, repair, signal }: VerifyOptions = {}): Promise<VerifyResult> {
    const problems: string[] = [];
    const onEvent = (event: RealiseEvent): void => {
      if (event.kind === "log" && event.id === 0) problems.push(event.line);
      else this.#options.onEvent?.(event);
    };
    const call = calls.verifyStore(checkContents, repair !== undefined);
    const hasProblems = await this.use((client) => client.run(call), { onEvent, signal });
    this.#paths.forget();
    // Which of the things it says are problems, only the daemon knows.
    return {
      checkedPaths: this.allValidPaths().length,
      problems: hasProblems ? problems : [],
      forgotten: [],
    };
  }

  async optimise({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<OptimiseResult> {
    await this.use((client) => client.run(calls.optimiseStore()), { signal });
    // The protocol does not tell.
    return { linkedFiles: 0, savedBytes: 0 };
  }

  [Symbol.dispose](): void {
    this.#blocking?.[Symbol.dispose]();
    this.#blocking = undefined;
    this.#pool[Symbol.dispose]();
  }

  get #client(): BlockingClient {
    if (this.#blocking !== undefined) return this.#blocking;
    const events = new ActivityEvents(this.storeDir, (event) => this.#options.onEvent?.(event));
    let channel: BlockingChannel | undefined;
    try {
      channel = openChannel(this.place.address);
      const client = new BlockingClient(channel, {
        storeDir: this.storeDir,
        onMessage: (message) => {
          if (this.#blocking === undefined) this.#greet(message);
          else events.take(message);
        },
      });
      if (takesSettings(client.wire))
        client.run(calls.setOptions(client.wire, settingsForDaemon(this.settings.config)));
      this.#blocking = client;
      return client;
    } catch (error) {
      channel?.[Symbol.dispose]();
      throw connectionError(this.place.url, error);
    }
  }

  get #wire(): BlockingClient["wire"] {
    return this.#client.wire;
  }

  /** What a daemon has against our settings it says on every connection: once is enough. */
  #greet(message: ServerMessage): void {
    if (message.kind !== "log" || this.#greetings.has(message.text)) return;
    this.#greetings.add(message.text);
    new ActivityEvents(this.storeDir, (event) => this.#options.onEvent?.(event)).take(message);
  }

  #writeBatch(batch: readonly MadeDerivation[]): void {
    this.addTempRoots(batch.map(({ drvPath }) => drvPath));
    const absent = this.#paths.missingAmong(batch.map(({ drvPath }) => drvPath));
    const missing = batch.filter(({ drvPath }) => absent.has(drvPath));
    if (missing.length === 0) return;
    if (this.#wire.version.minor < calls.BATCHES_SINCE)
      for (const { derivation, contents, references } of missing)
        this.addText(`${derivation.name}.drv`, contents, references);
    else sendDerivations(this.#client, this.storeDir, missing);
    this.#paths.noteValid(batch.map(({ drvPath }) => drvPath));
  }

  /** @throws {DevshellError} `STORE_SOURCE_CHANGING` where the daemon received something else than we hashed */
  #added(expected: StorePath, actual: StorePath): StorePath {
    if (actual !== expected)
      throw new DevshellError(
        "STORE_SOURCE_CHANGING",
        `Cannot copy "${expected}" to the store: it was received as "${actual}"`,
        { hint: "try again once nothing writes to it" },
      );
    this.#paths.noteValid([actual]);
    return actual;
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: ((doneBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let doneBytes = 0;
  for await (const chunk of source) {
    doneBytes += chunk.length;
    onProgress?.(doneBytes);
    yield chunk;
  }
}
