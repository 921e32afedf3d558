import { DevshellError } from "../../core/index.ts";
import { checkAcceptable } from "../format/acceptance.ts";
import { LocalStore } from "../local/localStore.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { ByteSource } from "../protocol/byteSource.ts";
import type { Wire } from "../protocol/values.ts";
import { WireWriter, type Decoder } from "../protocol/wire.ts";
import { SubstituterSet } from "../realise/goals/substituterSet.ts";
import type { Restriction, ServeBuilder } from "../realise/builder/restriction.ts";
import { overlayStore } from "../realise/storeOverlay.ts";
import type { RealiseStore } from "../realise/storePort.ts";
import type { BuiltinBuilder, StoreConfig, StorePath, StoreSettings } from "../types.ts";
import type { ClientLog } from "./clientLog.ts";
import { clientGone, type Outbox } from "./outbox.ts";
import { restrictStore, unknownPath } from "./restrictedStore.ts";

export interface SessionOptions {
  readonly settings: StoreSettings;
  /** May add unsigned paths, repair, and choose all settings. */
  readonly isTrusted: boolean;
  /** Is another user than the daemon's, and not trusted: nothing runs, or reads files, in the daemon's name for it. */
  readonly isStranger?: boolean | undefined;
  /** Builders that run in this process, beside the store's own. */
  readonly builtinBuilders?: ReadonlyMap<string, BuiltinBuilder> | undefined;
  /** A store that is open already, and is not closed. */
  readonly store?: LocalStore | undefined;
  /** The client is a builder of ours. */
  readonly restriction?: Restriction | undefined;
  /** Ends what the client asked for: one that has gone may have sent more than was read. */
  readonly signal?: AbortSignal | undefined;
}

/** One client's connection once it is set up: what it asked for, what it may do, what it is told. */
export class Session implements Disposable {
  readonly wire: Wire;
  readonly source: ByteSource;
  readonly log: ClientLog;
  /** The answer to the operation at work. */
  readonly reply = new WireWriter();
  readonly isTrusted: boolean;
  readonly isStranger: boolean;
  readonly builtinBuilders: ReadonlyMap<string, BuiltinBuilder> | undefined;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** What comes next cannot be understood any more: the connection ends after the answer. */
  isOutOfStep = false;
  readonly restriction: Restriction | undefined;
  /** For builders that use the store themselves. */
  readonly serveBuilder: ServeBuilder;
  readonly #outbox: Outbox;
  readonly #given: LocalStore | undefined;
  #settings: StoreSettings;
  #store: LocalStore | undefined;
  #seen: LocalStore | undefined;
  #substituters: SubstituterSet | undefined;

  constructor(
    channel: { readonly source: ByteSource; readonly outbox: Outbox; readonly log: ClientLog },
    wire: Wire,
    options: SessionOptions,
    serveBuilder: ServeBuilder,
  ) {
    this.source = channel.source;
    this.#outbox = channel.outbox;
    this.log = channel.log;
    this.wire = wire;
    this.isTrusted = options.isTrusted;
    this.isStranger = options.isStranger === true;
    this.builtinBuilders = options.builtinBuilders;
    this.restriction = options.restriction;
    this.serveBuilder = serveBuilder;
    this.#given = options.store;
    this.#settings = options.settings;
    const gone = new AbortController();
    this.signal = options.signal === undefined ? gone.signal : AbortSignal.any([gone.signal, options.signal]);
    this.source.onEnd(() => gone.abort(clientGone()));
  }

  /** The store as the client sees it. */
  get store(): LocalStore {
    if (this.restriction === undefined) return this.wholeStore;
    this.#seen ??= restrictStore(this.wholeStore, this.restriction);
    return this.#seen;
  }

  /** Opened when it is first needed: a client that only says hello touches nothing. */
  get wholeStore(): LocalStore {
    if (this.#given !== undefined) return this.#given;
    this.#store ??= LocalStore.open(this.#settings, {
      onWait: (text) => this.log.say("info", text),
      onWarn: (text) => this.log.say("warning", `warning: ${text}`),
    });
    return this.#store;
  }

  /** The daemon's settings with those that the client may choose. */
  get settings(): StoreSettings {
    return this.#settings;
  }

  useConfig(config: StoreConfig): void {
    this.#settings = { ...this.#settings, config };
    this.#closeSubstituters();
  }

  get substituters(): SubstituterSet {
    const { config } = this.#settings;
    // What others have is nothing that a build may depend on.
    const settings =
      this.restriction === undefined
        ? this.#settings
        : { ...this.#settings, config: { ...config, substitute: false } };
    this.#substituters ??= new SubstituterSet(settings, this.signal, (problem) =>
      this.log.say("warning", `warning: ${problem instanceof Error ? problem.message : String(problem)}`),
    );
    return this.#substituters;
  }

  /** The store as realising sees it: with the client's settings, and what is laid over its methods. */
  realiseStore(overlay: Partial<RealiseStore> = {}): RealiseStore {
    return overlayStore<RealiseStore, RealiseStore>(this.wholeStore, {
      settings: this.#settings,
      ...overlay,
    });
  }

  /** @throws {DevshellError} `STORE_PATH_NOT_VALID` for paths that a builder may not see */
  checkSeen(paths: Iterable<StorePath>): void {
    if (this.restriction === undefined) return;
    for (const path of paths) if (!this.restriction.isAllowed(path)) throw unknownPath(path);
  }

  /** Lets a builder see what it added or had built, with all that it refers to. */
  async reveal(paths: Iterable<StorePath>): Promise<void> {
    await this.restriction?.add(this.wholeStore.closureOf(paths));
  }

  read<T>(decoder: Decoder<T>): Promise<T> {
    return this.source.decode(decoder);
  }

  /** Does an operation's work; what it says meanwhile and whether it failed reaches the client before the answer. */
  async work<T>(task: () => T | Promise<T>): Promise<T> {
    this.log.start();
    const result = await task();
    this.signal.throwIfAborted();
    this.log.finish();
    return result;
  }

  /** @throws {DevshellError} `DAEMON_UNTRUSTED` */
  requireTrust(what: string): void {
    if (!this.isTrusted) throw new DevshellError("DAEMON_UNTRUSTED", what);
  }

  /** What is not built here must be signed, or follow from its content. @throws {DevshellError} `STORE_SIGNATURE_MISSING` */
  checkSignature(info: IncomingPathInfo): void {
    checkAcceptable(this.#settings, info);
  }

  /** Sends the answer. */
  async flush(): Promise<void> {
    await this.send(this.reply.take());
  }

  /** Sends bytes as they are, at the client's pace. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.#outbox.send(bytes);
    this.signal.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#closeSubstituters();
    this.#store?.[Symbol.dispose]();
    this.#store = undefined;
  }

  #closeSubstituters(): void {
    // What they remember is written; nobody waits for it, nor hears that it failed.
    this.#substituters?.[Symbol.asyncDispose]().catch(() => undefined);
    this.#substituters = undefined;
  }
}

/** An operation: reads what it is given, does its work within {@link Session.work}, writes its answer. */
export type Operation = (session: Session) => Promise<void>;
