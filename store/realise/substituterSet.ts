import { isContentAddressed } from "../format/contentAddress.ts";
import { hasTrustedSignature, parsePublicKey, type NarInfo, type PublicKey } from "../format/narInfo.ts";
import { isRealisationTrusted } from "../format/realisation.ts";
import type { OutputName, Realisation, StorePath, StoreSettings } from "../types.ts";
import { openBinaryCache, type Substituter } from "./binaryCache.ts";
import { Semaphore } from "./semaphore.ts";

/** A path that a substituter has, by a narinfo that may be believed. */
export interface Offer {
  readonly info: NarInfo;
  readonly substituter: Substituter;
}

const CONCURRENT_QUERIES = 32;

/** The configured substituters, opened when first asked, best priority first; answers are remembered. */
export class SubstituterSet {
  readonly #settings: StoreSettings;
  readonly #signal: AbortSignal;
  readonly #warn: (problem: unknown) => void;
  readonly #queries = new Semaphore(CONCURRENT_QUERIES);
  readonly #offers = new Map<StorePath, Promise<Offer | undefined>>();
  #opened: Promise<readonly Substituter[]> | undefined;
  #keys: readonly PublicKey[] | undefined;

  constructor(settings: StoreSettings, signal: AbortSignal, warn: (problem: unknown) => void) {
    this.#settings = settings;
    this.#signal = signal;
    this.#warn = warn;
  }

  /** @returns `undefined` where none has the path, or substitution is off */
  find(path: StorePath): Promise<Offer | undefined> {
    const { config } = this.#settings;
    if (!config.substitute || config.substituters.length === 0) return Promise.resolve(undefined);
    const known = this.#offers.get(path);
    if (known !== undefined) return known;
    const offer = this.#queries.run(() => this.findAfter(path), this.#signal);
    this.#offers.set(path, offer);
    offer.catch(() => undefined); // those who wait hear of it
    return offer;
  }

  /** @param failed the substituter that did not keep its word: those after it are asked */
  async findAfter(path: StorePath, failed?: Substituter): Promise<Offer | undefined> {
    this.#opened ??= this.#open();
    const all = await this.#opened;
    for (const substituter of all.slice(failed === undefined ? 0 : all.indexOf(failed) + 1)) {
      let info: NarInfo | undefined;
      try {
        info = await substituter.query(path, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#warn(error);
        continue;
      }
      if (info === undefined) continue;
      if (this.#isTrusted(info, substituter)) return { info, substituter };
      this.#warn(
        `ignoring substitute for '${path}' from '${substituter.url}', as it's not signed by any of the keys in 'trusted-public-keys'`,
      );
    }
    return undefined;
  }

  /** What an output of a derivation turned out to be, as one says who may be believed. */
  async findRealisation(drvPath: StorePath, output: OutputName): Promise<Realisation | undefined> {
    const { config } = this.#settings;
    if (!config.substitute || config.substituters.length === 0) return undefined;
    this.#opened ??= this.#open();
    for (const substituter of await this.#opened) {
      let found: Realisation | undefined;
      try {
        found = await substituter.queryRealisation?.({ drvPath, output }, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#warn(error);
      }
      if (found === undefined) continue;
      const isTrusted = !config.requireSignatures || substituter.isTrusted;
      if (isTrusted || isRealisationTrusted(found, this.#trustedKeys())) return found;
      this.#warn(
        `ignoring substitute for build trace '${drvPath}^${output}' -> '${found.outputPath}' from '${substituter.url}', as it's not signed by any of the keys in 'trusted-public-keys'`,
      );
    }
    return undefined;
  }

  async #open(): Promise<readonly Substituter[]> {
    const { config, storeDir } = this.#settings;
    const urls = config.substituters.filter((url) => mayServe(url, storeDir));
    const opened = await Promise.all(
      urls.map(async (url) => {
        try {
          return await openBinaryCache(this.#settings, url, { signal: this.#signal });
        } catch (error) {
          this.#signal.throwIfAborted();
          this.#warn(error);
          return undefined;
        }
      }),
    );
    return opened.filter((substituter) => substituter !== undefined).sort((a, b) => a.priority - b.priority);
  }

  #isTrusted(info: NarInfo, substituter: Substituter): boolean {
    const { config } = this.#settings;
    if (!config.requireSignatures || substituter.isTrusted) return true;
    if (isContentAddressed(this.#settings.storeDir, info)) return true;
    return hasTrustedSignature(info, this.#trustedKeys());
  }

  #trustedKeys(): readonly PublicKey[] {
    this.#keys ??= this.#settings.config.trustedPublicKeys.map(parsePublicKey);
    return this.#keys;
  }
}

/** Nix's own cache serves one store directory: it need not be asked about others. */
function mayServe(url: string, storeDir: string): boolean {
  return storeDir === "/nix/store" || !/^https?:\/\/cache\.nixos\.org\/?(?:\?|$)/.test(url);
}
