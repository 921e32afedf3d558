import { readFileSync } from "node:fs";
import { DevshellError, fsPath, hashBytes, type ByteString } from "../../core/index.ts";
import { formatContentAddress } from "../format/contentAddress.ts";
import { knownOutputPaths } from "../format/derivation.ts";
import { DerivationHasher, type BuiltElement } from "../format/derivationHasher.ts";
import type { MadeDerivation } from "../format/makeDerivation.ts";
import { hashNar, narChunks, narOfBytes } from "../format/nar.ts";
import { NarReader } from "../format/narReader.ts";
import { parseDerivation } from "../format/parseDerivation.ts";
import {
  checkStorePathName,
  derivationNameOfPath,
  isDerivationPath,
  makeFixedOutputPath,
  makeTextPath,
  sortedPaths,
} from "../format/storePath.ts";
import { fileChunks, hashFlat, hashMismatch } from "../local/contentHash.ts";
import { rememberAnswers, scanReferences } from "../local/copyInto.ts";
import { addPermanentRoot, indirectRootOf } from "../local/roots.ts";
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
} from "../local/types.ts";
import * as calls from "../protocol/calls.ts";
import type { ServerMessage } from "../protocol/messages.ts";
import { FEATURE } from "../protocol/version.ts";
import { WireWriter } from "../protocol/wire.ts";
import { buildLogPath } from "../realise/buildLog.ts";
import type { Store } from "../store.ts";
import type {
  DaemonPlace,
  Derivation,
  OutputName,
  Realisation,
  RealiseEvent,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "../types.ts";
import { ActivityEvents } from "./activityEvents.ts";
import { BlockingClient } from "./blockingClient.ts";
import { settingsForDaemon } from "./clientSettings.ts";
import { openChannel } from "./daemonAddress.ts";
import type { DaemonClient } from "./daemonClient.ts";
import { DaemonPool, connectionError, type UseOptions } from "./daemonPool.ts";

export interface DaemonStoreOptions {
  /** Told what the daemon says while it works. */
  readonly onEvent?: ((event: RealiseEvent) => void) | undefined;
  readonly onWait?: ((message: string) => void) | undefined;
}

const MAX_DERIVATION_BYTES = 256 << 20;
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
  readonly #infos = new Map<StorePath, ValidPathInfo>();
  readonly #valid = new Set<StorePath>();
  readonly #rooted = new Set<StorePath>();
  readonly #greetings = new Set<ByteString>();
  readonly #pool: DaemonPool;
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
    if (this.#valid.has(path)) return true;
    const isValid = this.#client.run(calls.isValidPath(path));
    if (isValid) this.#valid.add(path);
    return isValid;
  }

  queryPathInfo(path: StorePath): ValidPathInfo | undefined {
    return this.#queryInfos([path]).get(path);
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
    const roots = typeof paths === "string" ? [paths] : [...paths];
    const infos = this.#queryInfos(roots);
    for (const path of roots)
      if (!infos.has(path))
        throw new DevshellError(
          "STORE_PATH_NOT_VALID",
          `Cannot find "${path}" in the store: it is not valid`,
        );
    const seen = new Set(roots);
    for (let level = roots; level.length > 0;) {
      const next = new Set(this.#neighbours(level, options).filter((path) => !seen.has(path)));
      for (const path of next) seen.add(path);
      level = [...next];
    }
    return [...seen].sort();
  }

  topologicalSort(paths: Iterable<StorePath>): StorePath[] {
    const wanted = new Set(paths);
    const infos = this.#queryInfos([...wanted]);
    const sorted: StorePath[] = [];
    const entered = new Set<StorePath>();
    for (const root of [...wanted].sort()) {
      if (entered.has(root)) continue;
      entered.add(root);
      const stack = [{ path: root, references: infos.get(root)?.references ?? [], next: 0 }];
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const reference = frame.references[frame.next++];
        if (reference === undefined) {
          sorted.push(frame.path);
          stack.pop();
        } else if (wanted.has(reference) && !entered.has(reference)) {
          entered.add(reference);
          stack.push({ path: reference, references: infos.get(reference)?.references ?? [], next: 0 });
        }
      }
    }
    return sorted;
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
    const text = this.place.isHere ? this.#readText(drvPath) : this.#receiveText(drvPath);
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
    const client = this.#client;
    const added =
      this.#wire.version.minor < calls.ANY_METHOD_SINCE
        ? client.run(calls.addTextToStore(this.#wire, name, contents, sorted))
        : client.runFramed(
            calls.addToStore(this.#wire, {
              name,
              method: "text",
              algorithm: "sha256",
              references: sorted,
              isRepair: false,
            }),
            [Buffer.from(contents, "latin1")],
          ).path;
    return this.#added(path, added);
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
    return this.#added(storePath, this.#send(request, path, filter));
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
    this.#infos.delete(path);
  }

  // Roots

  addTempRoots(paths: Iterable<StorePath>): void {
    const fresh = [...new Set(paths)].filter((path) => !this.#rooted.has(path));
    this.#client.runAll(fresh.map((path) => calls.addTempRoot(path)));
    for (const path of fresh) {
      this.#rooted.add(path);
      // What was there before it was rooted may have gone since.
      this.#valid.delete(path);
      this.#infos.delete(path);
    }
  }

  indirectRootOf(link: ByteString): ByteString | undefined {
    return indirectRootOf(this.settings.stateDir, link);
  }

  addRoot(link: ByteString, path: StorePath): void {
    this.addTempRoots([path]);
    addPermanentRoot(this, link, path, (absolute) => this.addIndirectRoot(absolute));
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
    this.#forget();
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
    this.#forget();
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
    try {
      const client = new BlockingClient(openChannel(this.place.address), {
        storeDir: this.storeDir,
        onMessage: (message) => {
          if (this.#blocking === undefined) this.#greet(message);
          else events.take(message);
        },
      });
      client.run(calls.setOptions(client.wire, settingsForDaemon(this.settings.config)));
      this.#blocking = client;
      return client;
    } catch (error) {
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

  #forget(): void {
    this.#infos.clear();
    this.#valid.clear();
  }

  /** Those that are valid. */
  #queryInfos(paths: readonly StorePath[]): ReadonlyMap<StorePath, ValidPathInfo> {
    const unknown = [...new Set(paths)].filter((path) => !this.#infos.has(path));
    for (const info of this.#client.runAll(unknown.map((path) => calls.queryPathInfo(this.#wire, path)))) {
      if (info === undefined) continue;
      this.#infos.set(info.path, info);
      this.#valid.add(info.path);
    }
    return new Map(
      paths.flatMap((path) => {
        const info = this.#infos.get(path);
        return info === undefined ? [] : [[path, info] as const];
      }),
    );
  }

  #neighbours(paths: readonly StorePath[], options: ClosureOptions): StorePath[] {
    const next: StorePath[] = [];
    const infos = this.#queryInfos(paths);
    const outputsOf = (path: StorePath): StorePath[] =>
      [...this.queryDerivationOutputs(path).values()].filter((output) => output !== undefined);
    if (options.isReversed === true)
      next.push(...this.#client.runAll(paths.map((path) => calls.queryReferrers(this.#wire, path))).flat());
    for (const path of paths) {
      const info = infos.get(path);
      const followsOutputs =
        options.isReversed === true ? options.includeDerivers === true : options.includeOutputs === true;
      if (followsOutputs && isDerivationPath(path)) next.push(...outputsOf(path));
      if (options.isReversed === true) {
        if (options.includeOutputs === true) next.push(...this.queryValidDerivers(path));
      } else {
        next.push(...(info?.references ?? []));
        if (options.includeDerivers === true && info?.deriver !== undefined) next.push(info.deriver);
      }
    }
    const valid = this.#queryInfos(next);
    return next.filter((path) => valid.has(path));
  }

  #readText(path: StorePath): ByteString {
    try {
      return readFileSync(fsPath(this.realPath(path)), "latin1");
    } catch (error) {
      throw new DevshellError("STORE_READ_FAILED", `Cannot read "${path}": ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** A file's text by its NAR, where the store is elsewhere. */
  #receiveText(path: StorePath): ByteString {
    const parts: Buffer[] = [];
    let size = 0;
    const refuse = (): never => {
      throw new DevshellError("STORE_READ_FAILED", `Cannot read "${path}": it is no file of a derivation`);
    };
    const reader = new NarReader({
      directory: refuse,
      directoryEnd: refuse,
      symlink: refuse,
      file: (_, sizeBytes) => void (sizeBytes > MAX_DERIVATION_BYTES && refuse()),
      data: (chunk) => {
        size += chunk.length;
        parts.push(Buffer.from(chunk));
      },
      fileEnd: () => undefined,
    });
    for (const chunk of this.#client.receiveNar(calls.narFromPath(path))) reader.push(chunk);
    return Buffer.concat(parts, size).toString("latin1");
  }

  #writeBatch(batch: readonly MadeDerivation[]): void {
    this.addTempRoots(batch.map(({ drvPath }) => drvPath));
    const unknown = batch.filter(({ drvPath }) => !this.#valid.has(drvPath));
    const valid = new Set(
      this.#client.run(
        calls.queryValidPaths(
          this.#wire,
          unknown.map(({ drvPath }) => drvPath),
        ),
      ),
    );
    const missing = unknown.filter(({ drvPath }) => !valid.has(drvPath));
    if (missing.length === 0) return;
    if (this.#wire.version.minor < calls.BATCHES_SINCE)
      for (const { derivation, contents, references } of missing)
        this.addText(`${derivation.name}.drv`, contents, references);
    else this.#client.runFramed(calls.addMultipleToStore(), this.#batchFrames(missing));
    for (const { drvPath } of batch) this.#valid.add(drvPath);
  }

  *#batchFrames(batch: readonly MadeDerivation[]): Generator<Buffer> {
    const writer = new WireWriter();
    yield writer.number(batch.length).take();
    for (const { drvPath, contents, references } of batch) {
      const bytes = Buffer.from(contents, "latin1");
      const nar = narOfBytes(bytes);
      calls.describeInBatch(writer, this.storeDir, {
        path: drvPath,
        narHash: hashBytes("sha256", nar),
        narSizeBytes: nar.length,
        references,
        registrationTime: 0,
        isUltimate: false,
        signatures: [],
        contentAddress: formatContentAddress({ method: "text", hash: hashBytes("sha256", bytes) }),
      });
      yield writer.take();
      yield nar;
    }
  }

  #send(request: calls.AddRequest, path: ByteString, filter: ReturnType<typeof rememberAnswers>): StorePath {
    const client = this.#client;
    const isTree = request.method === "nar";
    if (this.#wire.version.minor >= calls.ANY_METHOD_SINCE)
      return client.runFramed(
        calls.addToStore(this.#wire, request),
        isTree ? narChunks(path, { filter }) : fileChunks(path),
      ).path;
    if (request.references.length > 0 || request.isRepair)
      throw new DevshellError(
        "STORE_DAEMON_UNSUPPORTED",
        `Cannot add '${request.name}' to the store '${this.place.url}': its daemon is too old`,
      );
    return client.runPlain(calls.addToStoreOldStyle(this.#wire, request), narChunks(path, { filter }));
  }

  /** @throws {DevshellError} `STORE_SOURCE_CHANGING` where the daemon received something else than we hashed */
  #added(expected: StorePath, actual: StorePath): StorePath {
    if (actual !== expected)
      throw new DevshellError(
        "STORE_SOURCE_CHANGING",
        `Cannot copy "${expected}" to the store: it was received as "${actual}"`,
        { hint: "try again once nothing writes to it" },
      );
    this.#valid.add(actual);
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
