import { isAcceptable, trustedKeysOf } from "../../format/acceptance.ts";
import { pathOfContentAddress, type ContentAddress } from "../../format/contentAddress.ts";
import {
  isOlderRealisationTrusted,
  olderDerivationHash,
  olderRealisationId,
  type OlderRealisation,
} from "../../format/olderRealisation.ts";
import { isRealisationTrusted } from "../../format/realisation.ts";
import { storePathName } from "../../format/storePath.ts";
import { endlessClosure, maxClosurePaths } from "../../remote/closureBound.ts";
import { openRemoteStore } from "../../remote/openRemoteStore.ts";
import type { RemotePathInfo, RemoteStore } from "../../remote/types.ts";
import type { Derivation, OutputName, Realisation, StorePath, StoreSettings } from "../../types.ts";
import { Semaphore } from "./semaphore.ts";

/** A path that a substituter has, by information that may be believed. */
export interface Offer {
  readonly info: RemotePathInfo;
  /** As the substituter has it: under another path where its store directory is another. */
  readonly offered: RemotePathInfo;
  readonly substituter: RemoteStore;
}

const CONCURRENT_QUERIES = 32;

/** The configured substituters, opened when first asked, best priority first; answers are remembered. */
export class SubstituterSet implements AsyncDisposable {
  readonly #settings: StoreSettings;
  readonly #signal: AbortSignal;
  readonly #warn: (problem: unknown) => void;
  readonly #queries = new Semaphore(CONCURRENT_QUERIES);
  readonly #offers = new Map<StorePath, Promise<Offer | undefined>>();
  /** What offered paths refer to. */
  readonly #named = new Set<StorePath>();
  /** What paths are known to hold: then a store of another directory may have it, too. */
  readonly #addresses = new Map<StorePath, ContentAddress>();
  #opened: Promise<readonly RemoteStore[]> | undefined;
  #most: number | undefined;
  #endless: Error | undefined;

  constructor(settings: StoreSettings, signal: AbortSignal, warn: (problem: unknown) => void) {
    this.#settings = settings;
    this.#signal = signal;
    this.#warn = warn;
  }

  /**
   * @param address what the path holds, where that is known
   * @returns `undefined` where none has the path, or substitution is off
   * @throws {DevshellError} `CLOSURE_ENDLESS` where what is offered refers to more than anything real does
   */
  find(path: StorePath, address?: ContentAddress): Promise<Offer | undefined> {
    const { config } = this.#settings;
    if (!config.substitute || config.substituters.length === 0) return Promise.resolve(undefined);
    const known = this.#offers.get(path);
    const isNews = address !== undefined && !this.#addresses.has(path);
    if (known !== undefined && !isNews) return known;
    if (isNews) this.#addresses.set(path, address);
    const offer = this.#queries.run(() => this.findAfter(path), this.#signal);
    this.#offers.set(path, offer);
    offer.catch(() => undefined); // those who wait hear of it
    return offer;
  }

  /** @param failed the substituter that did not keep its word: those after it are asked */
  async findAfter(path: StorePath, failed?: RemoteStore): Promise<Offer | undefined> {
    // Those who wait for their turn are many.
    if (this.#endless !== undefined) throw this.#endless;
    this.#opened ??= this.#open();
    const all = await this.#opened;
    for (const substituter of all.slice(failed === undefined ? 0 : all.indexOf(failed) + 1)) {
      const place = this.#placeIn(substituter, path);
      if (place === undefined) continue;
      let offered: RemotePathInfo | undefined;
      try {
        offered = await substituter.query(place, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#warn(error);
        continue;
      }
      if (offered === undefined) continue;
      // Elsewhere its references would be other paths, too.
      if (place !== path && offered.references.length > 0) continue;
      const info = place === path ? offered : { ...offered, path, deriver: undefined, signatures: [] };
      if (substituter.isTrusted || isAcceptable(this.#settings, info)) {
        this.#note(info, substituter);
        return { info, offered, substituter };
      }
      this.#warn(
        `ignoring substitute for '${path}' from '${substituter.url}', as it's not signed by any of the keys in 'trusted-public-keys'`,
      );
    }
    return undefined;
  }

  /** What an output of a derivation turned out to be, as one says who may be believed. */
  async findRealisation(
    drvPath: StorePath,
    derivation: Derivation,
    output: OutputName,
  ): Promise<Realisation | undefined> {
    const { config } = this.#settings;
    const olderId = olderRealisationId(olderDerivationHash(derivation), output);
    if (!config.substitute || config.substituters.length === 0) return undefined;
    this.#opened ??= this.#open();
    for (const substituter of await this.#opened) {
      if (substituter.storeDir !== undefined && substituter.storeDir !== this.#settings.storeDir) continue;
      let found: Realisation | undefined;
      let older: OlderRealisation | undefined;
      try {
        found = await substituter.queryRealisation?.({ drvPath, output }, this.#signal);
        if (found === undefined) older = await substituter.queryOlderRealisation?.(olderId, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#warn(error);
      }
      const isTrusted = !config.requireSignatures || substituter.isTrusted;
      const keys = trustedKeysOf(config);
      if (found !== undefined && (isTrusted || isRealisationTrusted(found, keys))) return found;
      // Its signatures sign its older form.
      if (older !== undefined && (isTrusted || isOlderRealisationTrusted(older, keys)))
        return { drvPath, output, outputPath: older.outputPath, signatures: [] };
      const outputPath = found?.outputPath ?? older?.outputPath;
      if (outputPath === undefined) continue;
      this.#warn(
        `ignoring substitute for build trace '${drvPath}^${output}' -> '${outputPath}' from '${substituter.url}', as it's not signed by any of the keys in 'trusted-public-keys'`,
      );
    }
    return undefined;
  }

  /** Of many paths that nobody needs yet, those that substituters have which may be asked so. */
  async offered(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>> {
    this.#opened ??= this.#open();
    const asked = (await this.#opened).filter(({ wantsMassQuery }) => wantsMassQuery === true);
    const found = new Set<StorePath>();
    const ask = async (path: StorePath): Promise<void> => {
      for (const substituter of asked) {
        if (found.has(path)) return;
        if (this.#placeIn(substituter, path) !== path) continue;
        const info = await substituter.query(path, this.#signal).catch((error: unknown) => {
          this.#signal.throwIfAborted();
          this.#warn(error);
        });
        if (info !== undefined) found.add(path);
      }
    };
    await Promise.all(paths.map((path) => this.#queries.run(() => ask(path), this.#signal)));
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = (await this.#opened?.catch(() => [])) ?? [];
    await Promise.all(opened.map((substituter) => substituter[Symbol.asyncDispose]()));
  }

  async #open(): Promise<readonly RemoteStore[]> {
    const { config, storeDir } = this.#settings;
    const urls = config.substituters.filter((url) => mayServe(url, storeDir));
    const opened = await Promise.all(
      urls.map(async (url) => {
        try {
          return await openRemoteStore(this.#settings, url, { signal: this.#signal });
        } catch (error) {
          this.#signal.throwIfAborted();
          this.#warn(error);
          return undefined;
        }
      }),
    );
    return opened.filter((substituter) => substituter !== undefined).sort((a, b) => a.priority - b.priority);
  }

  /** Each narinfo could name new ones, for ever. */
  #note({ references }: RemotePathInfo, { url }: RemoteStore): void {
    for (const reference of references) this.#named.add(reference);
    this.#most ??= maxClosurePaths(this.#settings.config);
    if (this.#named.size <= this.#most) return;
    this.#endless = endlessClosure(`the cache '${url}'`, this.#most);
    throw this.#endless;
  }

  /** Where a substituter would have a path; `undefined` where its paths are others, and what this holds is unknown. */
  #placeIn({ storeDir }: RemoteStore, path: StorePath): StorePath | undefined {
    if (storeDir === undefined || storeDir === this.#settings.storeDir) return path;
    const address = this.#addresses.get(path);
    return address === undefined
      ? undefined
      : pathOfContentAddress(storeDir, storePathName(path), address, []);
  }
}

/**
 * Which of many paths could be substituted, as far as that may be asked (`WantMassQuery`).
 * @param warn told of substituters that fail
 */
export async function findSubstitutable(
  settings: StoreSettings,
  paths: readonly StorePath[],
  warn: (problem: unknown) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<ReadonlySet<StorePath>> {
  if (!settings.config.substitute) return new Set();
  await using substituters = new SubstituterSet(settings, signal, warn);
  return await substituters.offered(paths);
}

/** Nix's own cache serves one store directory: it need not be asked about others. */
function mayServe(url: string, storeDir: string): boolean {
  return storeDir === "/nix/store" || !/^https?:\/\/cache\.nixos\.org\/?(?:\?|$)/.test(url);
}
