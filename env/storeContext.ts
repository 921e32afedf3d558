import { existsSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, bytesOfText, rawText, textOfBytes, type ByteString } from "../core/index.ts";
import { fetchInput, flakeReference, parseFlakeReference, type SearchPathEntry } from "../lang/index.ts";
import {
  debianBuilders,
  openDebianCollection,
  type DebianCollection,
  type DebianEvent,
} from "../packages/index.ts";
import {
  DaemonStore,
  LocalStore,
  TransientRoot,
  collectWhenFull,
  isTransient,
  openStore,
  placeTransient,
  realise,
  resolveStoreSettings,
  throwFailure,
  type DerivedPath,
  type RealiseEvent,
  type RealiseReport,
  type Store,
  type StorePath,
  type StoreSettings,
} from "../store/index.ts";
import { cacheDirectory, prepareCache } from "./cache/recordPaths.ts";
import { AccessRules, type EvaluationMode } from "./host/accessRules.ts";
import { EvaluationTasks } from "./host/evaluationTasks.ts";
import { emptyEvaluationStore, localEvaluationStore } from "./host/localEvaluationStore.ts";
import { fetchTreeNow } from "./fetch/index.ts";
import { DEFAULT_REGISTRY, FlakeRegistries, type RegistryEntry } from "./flake/registry.ts";
import { readRemoteRegistry } from "./flake/registryCache.ts";
import { pathOfEntry, searchPathEntries, urlOfEntry } from "./host/searchPath.ts";
import { STATE_VARIABLES, userExpressions, usesXdg } from "./userDirectories.ts";
import { StoreHost } from "./host/storeHost.ts";
import { TreeDisplay } from "./host/treeDisplay.ts";
import { TreeFetcher } from "./host/treeFetcher.ts";
import { InputTracker } from "./inputTracker.ts";
import { trackSurroundings } from "./trackSurroundings.ts";
import type { EnvironmentEvent, MessageLevel } from "./types.ts";

export type ContextEvent = RealiseEvent | EnvironmentEvent;

export interface StoreContextOptions {
  /** `nix.conf` options of the command line. */
  readonly settings?: ReadonlyMap<string, string> | undefined;
  readonly onEvent?: ((event: ContextEvent) => void) | undefined;
  /** Told what only who debugs wants to know. */
  readonly onDebug?: ((text: ByteString) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether what is read is recorded, so that a result can be kept; it is unless this is false. */
  readonly isRecording?: boolean | undefined;
  /** Evaluation only computes: nothing is written to the store. */
  readonly isReadOnly?: boolean | undefined;
  readonly mode?: EvaluationMode | undefined;
  /** `--store`. */
  readonly store?: string | undefined;
  /** `--eval-store`: what evaluation reads and writes, where that is another store than builds are made in. */
  readonly evalStore?: string | undefined;
  /** Calls within calls, where `max-call-depth` says nothing; unset: as deep as the stack is. */
  readonly maxCallDepth?: number | undefined;
  /** Whether what builders say is shown while they do, so that failures need not quote it. */
  readonly isLogShown?: boolean | undefined;
  /** Who wants to know what of a flake's own tree was read. */
  readonly followsTrees?: boolean | undefined;
}

/** The default of `tarball-ttl`. */
const DEFAULT_TTL_S = 3600;

/** Settings, store, builders and the collection, opened together; what evaluation and realising share. */
export class StoreContext implements Disposable {
  #settings: StoreSettings;
  /** `nix.conf` options of the command line, then those of flakes. */
  readonly #overrides: Map<string, string>;
  readonly tracker: InputTracker;
  readonly signal: AbortSignal | undefined;
  readonly isReadOnly: boolean;
  readonly maxCallDepth: number | undefined;
  #store: Store | undefined;
  #evalStore: Store | undefined;
  /** Holds what is in stores that go with us. */
  #transientRoot: TransientRoot | undefined;
  /** `--store`, or what was decided instead. */
  #storeUri: string | undefined;
  readonly #options: StoreContextOptions;
  readonly #hosts: StoreHost[] = [];
  readonly #tasks: EvaluationTasks;
  readonly #trees: TreeFetcher;
  readonly #treeDisplay: TreeDisplay;
  readonly #flakeOverrides: RegistryEntry[] = [];
  #registries: FlakeRegistries | undefined;
  #mode: EvaluationMode;
  #collection: DebianCollection | undefined;

  constructor(options: StoreContextOptions = {}) {
    this.#options = options;
    this.#storeUri = options.store;
    const configFiles: string[] = [];
    this.#overrides = new Map(options.settings);
    this.#settings = this.#place(
      resolveStoreSettings(process.env, {
        overrides: this.#overrides,
        store: options.store,
        onWarn: (text) => this.message("warning", text),
        onFile: (path) => configFiles.push(path),
      }),
    );
    this.signal = options.signal;
    this.isReadOnly = options.isReadOnly ?? false;
    this.#mode = options.mode ?? modeOf(this.settings);
    this.maxCallDepth = Number(this.settings.config.raw.get("max-call-depth")) || options.maxCallDepth;
    this.tracker = new InputTracker(this.settings.storeDir, options.isRecording);
    if (options.evalStore !== undefined) this.tracker.impure("another store for evaluation");
    if (this.#transientRoot !== undefined) this.tracker.impure("a store that goes with the process");
    this.#treeDisplay = new TreeDisplay(this.settings.storeDir);
    this.#tasks = new EvaluationTasks({
      settings: () => this.settings,
      mode: () => this.mode,
      place: () => ({
        settings: [...this.#overrides],
        store: this.#storeUri,
        evalStore: options.evalStore,
        transientRoot: this.#transientRoot?.path,
        isLogShown: options.isLogShown,
      }),
      store: () => this.evalStore,
      trees: () => this.#trees,
      tracker: this.tracker,
      warn: (text) => this.message("warning", text),
      onEvent: (event) => this.emit(event),
    });
    this.#trees = new TreeFetcher({
      run: (task) => this.#tasks.run(task),
      fetchNow: (attributes, reference, isFinal) =>
        isEmpty(this.settings)
          ? undefined
          : fetchTreeNow(attributes, reference, {
              store: this.evalStore,
              setting: (name) => this.settings.config.raw.get(name),
              signal: this.signal ?? new AbortController().signal,
              warn: (text) => this.message("warning", text),
              isFinal,
            }),
      tracker: this.tracker,
      trees: this.#treeDisplay,
    });
    trackSurroundings(this.tracker, this.settings, configFiles);
  }

  /** Opened (and created) when it is first needed: plain evaluation can do without. */
  get store(): Store {
    this.#store ??= this.#openStore();
    return this.#store;
  }

  /** Where evaluation reads and writes: the store, unless `--eval-store` says otherwise. */
  get evalStore(): Store {
    if (this.#options.evalStore === undefined) return this.store;
    this.#evalStore ??= this.#openStore(this.#evalSettings());
    return this.#evalStore;
  }

  get settings(): StoreSettings {
    return this.#settings;
  }

  #evalSettings(): StoreSettings {
    const { evalStore } = this.#options;
    if (evalStore === undefined) return this.#settings;
    const settings = this.#place(
      resolveStoreSettings(process.env, { overrides: this.#overrides, store: evalStore }),
    );
    if (settings.storeDir !== this.#settings.storeDir)
      throw new DevshellError(
        "STORE_DIRECTORY_DIFFERS",
        `Cannot evaluate in the store "${evalStore}": it is one of "${settings.storeDir}", not of "${this.#settings.storeDir}"`,
        { hint: `name the directory: \`?store=${this.#settings.storeDir}\`` },
      );
    return settings;
  }

  /** Puts `nix.conf` options in force that were found out late: a flake's `nixConfig`. */
  useSettings(settings: ReadonlyMap<string, string>): void {
    if (settings.size === 0) return;
    for (const [name, value] of settings) this.#overrides.set(name, value);
    this.#resolveSettings();
    this.#registries = undefined;
  }

  /**
   * Packages of `<debian>` are built by builders of ours: a daemon that nobody asked for and that has none, or lets us
   * not in, is left for a store of our own.
   */
  requireOwnBuilders(): void {
    if (this.#settings.daemon?.isFound !== true || this.isReadOnly) return;
    try {
      const { store } = this;
      if (!(store instanceof DaemonStore) || store.hasOwnBuilders) return;
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
    }
    this.message(
      "warning",
      "the Nix daemon that runs here cannot build packages of <debian>, so a store of your own is used",
    );
    this.#storeUri = "local";
    this.#resolveSettings();
    this.tracker.useStore(this.#settings.storeDir);
    this.#treeDisplay.useStore(this.#settings.storeDir);
  }

  #resolveSettings(): void {
    this.#settings = this.#place(
      resolveStoreSettings(process.env, {
        overrides: this.#overrides,
        store: this.#storeUri,
        onWarn: (text) => this.message("warning", text),
      }),
    );
    // opened anew when it is next needed
    this.#store?.[Symbol.dispose]();
    this.#store = undefined;
    this.#evalStore?.[Symbol.dispose]();
    this.#evalStore = undefined;
  }

  /** Finds a place for the files of a store that goes with us: one for all, so that it is the same store always. */
  #place(settings: StoreSettings): StoreSettings {
    if (!isTransient(settings)) return settings;
    this.#transientRoot ??= TransientRoot.create();
    return placeTransient(settings, this.#transientRoot.path);
  }

  get mode(): EvaluationMode {
    return this.#mode;
  }

  /** Evaluations opened from now on are pure, unless the command line says that they are not to be. */
  becomePure(): void {
    if (this.#options.settings?.get("pure-eval") !== "false") this.#mode = "pure";
  }

  emit(event: ContextEvent): void {
    this.#options.onEvent?.(event);
  }

  message(level: MessageLevel, text: string): void {
    this.emit({ kind: "message", level, text });
  }

  /**
   * Makes paths valid: the store's own builders and the collection's.
   * @throws {DevshellError} the first failure
   */
  async realise(
    targets: readonly DerivedPath[],
    options: { readonly dryRun?: boolean | undefined } = {},
  ): Promise<RealiseReport> {
    const report = await this.tryRealise(targets, options);
    throwFailure(report);
    return report;
  }

  /** As {@link realise}; failures are in the report. */
  async tryRealise(
    targets: readonly DerivedPath[],
    options: {
      readonly dryRun?: boolean | undefined;
      readonly mode?: "normal" | "check" | "repair" | undefined;
      /** In the place of the context's own. */
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<RealiseReport> {
    const { signal = this.signal } = options;
    await using _collector =
      this.store instanceof LocalStore && !this.store.isReadOnly && options.dryRun !== true
        ? collectWhenFull(this.store, {
            signal,
            onMessage: (line) => this.message("warning", line),
          })
        : undefined;
    return await realise(this.store, targets, {
      evalStore: this.#options.evalStore === undefined ? undefined : this.evalStore,
      builtinBuilders: debianBuilders,
      onEvent: (event) => this.emit(event),
      isLogShown: this.#options.isLogShown,
      signal,
      dryRun: options.dryRun,
      mode: options.mode,
    });
  }

  /**
   * The collection `<debian>`, opened once.
   * @param lockDirectory where `devshell.lock` lies; undefined for what pins nothing
   */
  collection(lockDirectory: string | undefined, isUpdate = false): DebianCollection {
    this.#collection ??= openDebianCollection({
      cacheDir: join(cacheDirectory(), "debian"),
      lockPath: lockDirectory === undefined ? undefined : join(lockDirectory, "devshell.lock"),
      storeDir: this.settings.storeDir,
      env: process.env,
      isUpdate,
      onEvent: (event) => this.#debianEvent(event),
    });
    return this.#collection;
  }

  /** Why not all packages of the collection are known, where that is so. */
  get collectionFailure(): DevshellError | undefined {
    return this.#collection?.indexFailure;
  }

  /** Writes the lock, and records what the collection's answers depend on. */
  finishCollection(): void {
    if (!this.isReadOnly) this.#collection?.flushLock();
    this.trackCollection();
  }

  /** Records what the collection's answers depend on, so far. */
  trackCollection(): void {
    if (this.#collection === undefined) return;
    for (const path of this.#collection.inputs()) this.#trackFile(path);
  }

  #trackFile(path: string): void {
    const bytes = bytesOfText(path);
    if (existsSync(path)) this.tracker.file(bytes);
    else this.tracker.type(bytes, undefined);
  }

  #downloadRegistry(url: string): string {
    this.tracker.impure("a registry of flakes");
    return readRemoteRegistry(url, {
      ttlMs: 1000 * Number(this.settings.config.raw.get("tarball-ttl") ?? DEFAULT_TTL_S),
      download: (wanted) => this.#tasks.download("url", wanted, "flake-registry.json", undefined).storePath,
      warn: (text) => this.message("warning", text),
    });
  }

  /** The search path in force and the evaluator's host for it. */
  evaluationHost(options: {
    readonly directory: string;
    readonly includes: readonly string[];
    readonly lockDirectory: string | undefined;
    readonly isUpdate?: boolean | undefined;
    /** Traces and warnings are left out. */
    readonly isSilent?: boolean | undefined;
  }): {
    readonly host: StoreHost;
    readonly searchPath: readonly SearchPathEntry[];
    /** What is found although no search path names it: `<debian>`. */
    readonly builtInSearchPath: readonly SearchPathEntry[];
  } {
    const rules = new AccessRules(this.mode, this.settings.storeDir, this.#allowedUris());
    const collection = this.collection(options.lockDirectory, options.isUpdate);
    const nixDir = bytesOfText(collection.nixDir);
    rules.allow(nixDir);
    const { raw } = this.settings.config;
    if (usesXdg(raw)) for (const name of STATE_VARIABLES) this.tracker.variable(name, process.env[name]);
    const searchPath = searchPathEntries({
      includes: options.includes,
      variable: this.mode === "pure" ? "" : process.env["NIX_PATH"],
      option: raw.get("nix-path"),
      commandLine: {
        whole: this.mode === "pure" ? undefined : this.#options.settings?.get("nix-path"),
        extra: this.mode === "pure" ? undefined : this.#options.settings?.get("extra-nix-path"),
      },
      isRestricted: this.mode !== "impure",
      stateDir: this.settings.stateDir,
      userExpressions: userExpressions(raw),
      onLook: (path) => this.tracker.existence(bytesOfText(path)),
    });
    if (this.mode !== "impure")
      for (const { value } of searchPath)
        if (urlOfEntry(value) === undefined && !value.startsWith("flake:"))
          rules.allow(pathOfEntry(value, options.directory));
    const askCollection = (argument: ByteString): ByteString => {
      prepareCache();
      this.tracker.impure("the collection's index");
      return collection.call(argument);
    };
    const evalSettings = this.#evalSettings();
    const host = new StoreHost({
      store: isEmpty(evalSettings)
        ? emptyEvaluationStore(evalSettings, this.#options.evalStore)
        : localEvaluationStore(evalSettings, () => this.evalStore),
      tracker: this.tracker,
      rules,
      system: this.settings.config.raw.get("eval-system") || this.settings.config.system,
      isReadOnly: this.isReadOnly,
      environment: process.env,
      resolveEntry: (entry) => this.#resolveEntry(entry, options.directory),
      extraGlobals: (file) =>
        file.startsWith(`${nixDir}/`) ? new Map([["__debian", askCollection]]) : undefined,
      realise: (elements) => this.#tasks.realise(elements),
      fetch: (request) => this.#tasks.fetch(request),
      resolveFlake: (attributes, scope) => this.registries.resolve(new Map(attributes), scope),
      trees: this.#treeDisplay,
      onPathUse: this.#options.followsTrees === true ? (path) => this.tracker.trees.use(path) : undefined,
      onTimeUse: (storePath) => this.#trees.useTime(storePath),
      onDebug: this.#options.onDebug,
      onMessage: (level, text) => {
        if (options.isSilent !== true) this.message(level, rawText(text));
      },
    });
    this.#hosts.push(host);
    return { host, searchPath, builtInSearchPath: [{ prefix: "debian", value: nixDir }] };
  }

  /** What evaluation put into the store, down to what nothing else of it refers to. */
  createdRoots(): StorePath[] {
    return this.#hosts.flatMap((host) => host.createdRoots());
  }

  [Symbol.dispose](): void {
    this.#collection?.close();
    this.#store?.[Symbol.dispose]();
    this.#evalStore?.[Symbol.dispose]();
    this.#transientRoot?.[Symbol.dispose]();
  }

  /** The flake registries that the settings name. */
  get registries(): FlakeRegistries {
    this.#registries ??= new FlakeRegistries({
      globalRegistry: this.settings.config.raw.get("flake-registry") ?? DEFAULT_REGISTRY,
      download: (url) => this.#downloadRegistry(url),
      warn: (text) => this.message("warning", text),
      overrides: this.#flakeOverrides,
      onRead: (path) => this.#trackFile(path),
    });
    return this.#registries;
  }

  /** `--override-flake`: stands before all registries. */
  overrideFlake(from: RegistryEntry["from"], to: RegistryEntry["to"]): void {
    this.#flakeOverrides.push({ from, to, isExact: false });
  }

  /** What is fetched from now on is fetched anew: a flake's own files have been written. */
  forgetFetched(): void {
    this.#trees.forget();
  }

  #openStore(settings = this.settings): Store {
    return openStore(settings, {
      onEvent: (event) => this.emit(event),
      onWait: (text) => this.message("warning", text),
      onWarn: (text) => this.message("warning", text),
    });
  }

  #resolveEntry(entry: ByteString, directory: string): ByteString | undefined {
    const url = urlOfEntry(entry);
    if (url === undefined) {
      if (entry.startsWith("flake:")) return this.#fetchFlakeEntry(entry.slice("flake:".length));
      return pathOfEntry(entry, directory);
    }
    const attributes = new Map([
      ["url", bytesOfText(url)],
      ["name", "source"],
    ]);
    try {
      return this.#tasks.fetch({ kind: "tarball", attributes }).storePath;
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      this.message("warning", `Nix search path entry '${textOfBytes(entry)}' cannot be downloaded, ignoring`);
      return undefined;
    }
  }

  /** The tree of a flake that an element of the search path names. */
  #fetchFlakeEntry(text: ByteString): ByteString {
    const { attributes, dir } = flakeReference(parseFlakeReference(text));
    const resolved = this.registries.resolve(attributes, "all");
    const input = fetchInput(resolved.attributes);
    const { storePath } = this.#trees.fetch({
      kind: "tree",
      attributes: input.attributes,
      reference: input.reference,
    });
    const inner = resolved.dir ?? dir;
    return inner === "" ? storePath : `${storePath}/${inner}`;
  }

  #allowedUris(): string[] {
    return (this.settings.config.raw.get("allowed-uris") ?? "").split(/\s+/).filter((uri) => uri !== "");
  }

  #debianEvent(event: DebianEvent): void {
    switch (event.kind) {
      case "warning":
        this.message("warning", event.message);
        break;
      case "fetch":
        this.emit(event);
        break;
    }
  }
}

export function createStoreContext(options: StoreContextOptions = {}): StoreContext {
  return new StoreContext(options);
}

/** Whether nothing is in the store, nor ever will be. */
function isEmpty(settings: StoreSettings): boolean {
  return settings.rung === "dummy" && !isTransient(settings);
}

function modeOf({ config }: StoreSettings): EvaluationMode {
  if (config.raw.get("pure-eval") === "true") return "pure";
  return config.raw.get("restrict-eval") === "true" ? "restricted" : "impure";
}
