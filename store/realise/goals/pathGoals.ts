import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError } from "../../../core/index.ts";
import { checkAcceptable } from "../../format/acceptance.ts";
import { storePathName } from "../../format/storePath.ts";
import { ABSENT_FILE } from "../../remote/binaryCache/checkedFile.ts";
import type { RemotePathInfo } from "../../remote/types.ts";
import type { StorePath } from "../../types.ts";
import { isIntact } from "../outputs/registerBuild.ts";
import type { Semaphore } from "./semaphore.ts";
import type { Offer, SubstituterSet } from "./substituterSet.ts";
import { WaitCycle, WaitGraph } from "./waitGraph.ts";
import { Goals, Unavailable, isFailure, type Work } from "./work.ts";

/** Nix's own tests set it, so that two processes that start together want the same path at the same time. */
const IS_SLOWED = "_NIX_TEST_CONCURRENT_SUBSTITUTION";

/** Makes paths valid by what is there and by substitution. */
export class PathGoals {
  readonly #work: Work;
  readonly #substituters: SubstituterSet;
  readonly #downloads: Semaphore;
  readonly #goals: Goals<void>;
  readonly #waits = new WaitGraph();

  constructor(work: Work, substituters: SubstituterSet, downloads: Semaphore) {
    this.#work = work;
    this.#substituters = substituters;
    this.#downloads = downloads;
    this.#goals = new Goals(work);
  }

  /** Makes a path valid that nothing here can build. */
  async require(path: StorePath, isRepair = false): Promise<void> {
    try {
      await this.ensure(path, isRepair);
    } catch (error) {
      throw error instanceof Unavailable ? this.#work.fail(path, error) : error;
    }
  }

  /** @throws {Unavailable} where no substituter has it */
  ensure(path: StorePath, isRepair = false): Promise<void> {
    const work = this.#work;
    const { store } = work;
    const make = async (): Promise<void> => {
      work.throwIfStopped();
      if (store.isValidPath(path)) {
        store.addTempRoots([path]);
        // The collector may have been quicker than the root.
        if (isRepair ? this.isIntact(path) : store.isValidPath(path)) return;
      }
      if (!isRepair && (await this.#copyFromEvalStore(path))) return;
      if (!(await this.#substitute(path, isRepair)))
        throw new Unavailable(
          "REALISE_UNKNOWN_PATH",
          isRepair
            ? `cannot repair path '${path}': there is no substituter that has it`
            : `path '${path}' is required, but there is no substituter that can build it`,
        );
    };
    return this.#goals.reach(keyOf(path, isRepair), () => this.#waits.run(make));
  }

  isIntact(path: StorePath): boolean {
    const { store } = this.#work;
    const info = store.queryPathInfo(path);
    return info !== undefined && isIntact(store, info);
  }

  /** Whoever wants the path later shall try again. */
  forget(path: StorePath): void {
    this.#goals.forget(keyOf(path, false));
  }

  end(): Promise<void> {
    return this.#goals.end();
  }

  /** @returns false where evaluation wrote no such path elsewhere */
  async #copyFromEvalStore(path: StorePath): Promise<boolean> {
    const { store, signal } = this.#work;
    const { evalStore } = store;
    const info = evalStore?.queryPathInfo(path);
    if (evalStore === undefined || info === undefined) return false;
    // It may be anybody's.
    checkAcceptable(store.settings, info);
    const others = info.references.filter((reference) => reference !== path);
    await Promise.all(others.map((reference) => this.require(reference)));
    using locks = await store.lockPaths([path], { signal });
    if (!store.isValidPath(path))
      await store.addToStoreFromStream({ ...info, isUltimate: false }, chunksOf(evalStore.narOf(path)), {
        signal,
        isLocked: true,
      });
    locks.discard();
    return true;
  }

  /** Tries every substituter that offers the path. @returns false where none does */
  async #substitute(path: StorePath, isRepair: boolean): Promise<boolean> {
    const work = this.#work;
    let offer = await this.#substituters.find(path);
    while (offer !== undefined) {
      const { info, offered, substituter } = offer;
      const failed = await this.#ensureReferences(info, keyOf(path, isRepair));
      if (failed.length > 0) {
        const message = `some references of path '${path}' could not be realised`;
        throw failed.some(({ reason }) => reason instanceof Unavailable)
          ? new Unavailable("SUBSTITUTE_FAILED", message)
          : work.note(new DevshellError("SUBSTITUTE_FAILED", message));
      }
      work.throwIfStopped();
      try {
        await this.#downloads.run(
          () => this.#download(info, { offered, substituter }, isRepair),
          work.signal,
        );
        return true;
      } catch (error) {
        const next = work.signal.aborted ? undefined : await this.#substituters.findAfter(path, substituter);
        const isGone = error instanceof DevshellError && error.code === ABSENT_FILE;
        if (next === undefined && !isGone) throw work.fail(path, error, work.store.settings.config.fallback);
        work.activities.warn(error);
        offer = next;
      }
    }
    return false;
  }

  /** @returns what failed of all that a path refers to */
  async #ensureReferences(
    { path, references }: RemotePathInfo,
    key: string,
  ): Promise<readonly PromiseRejectedResult[]> {
    const others = references.filter((reference) => reference !== path);
    if (others.length === 0) return [];
    const keys = others.map((reference) => keyOf(reference, false));
    const settled = Promise.allSettled(others.map((reference) => this.ensure(reference)));
    try {
      return (await this.#waits.wait(key, keys, settled)).filter(isFailure);
    } catch (error) {
      if (!(error instanceof WaitCycle)) throw error;
      const names = error.keys.map((each) => each.slice(each.lastIndexOf("/") + 1));
      throw new Unavailable(
        "SUBSTITUTE_CYCLE",
        `cycle detected in the references of '${path}': ${[...names, names[0]].join(" -> ")}`,
        { hint: "the substituter that says so is broken, or lies" },
      );
    }
  }

  async #download(
    info: RemotePathInfo,
    { offered, substituter }: Pick<Offer, "offered" | "substituter">,
    isRepair: boolean,
  ): Promise<void> {
    const { activities, signal, store } = this.#work;
    const { path } = info;
    await activities.run(
      { kind: "substitute", name: storePathName(path), path, totalBytes: info.narFile?.sizeBytes },
      async (id) => {
        if (process.env[IS_SLOWED] === "1") await sleep(1000, undefined, { signal });
        // Another process may be about to make it valid.
        store.addTempRoots([path]);
        using locks = await store.lockPaths([path], { signal });
        if (!isRepair && store.isValidPath(path)) {
          locks.discard();
          return;
        }
        const download = await substituter.openNar(offered, {
          signal,
          onUrl: (url) => activities.emit({ kind: "transfer", id, url }),
          onProgress: (doneBytes, totalBytes) =>
            activities.emit({ kind: "progress", id, doneBytes, totalBytes }),
          onRetry: (message) => activities.emit({ kind: "log", id, line: `warning: ${message}` }),
        });
        try {
          await store.addToStoreFromStream(info, download.nar, { signal, isLocked: true, isRepair });
        } catch (error) {
          // A file that passed its own hash yet is not what was promised is of no use to the next run.
          if (!signal.aborted) await download.discard();
          throw error;
        }
        await download.discard();
        locks.discard();
      },
    );
  }
}

async function* chunksOf(nar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* nar;
}

function keyOf(path: StorePath, isRepair: boolean): string {
  return `${isRepair ? "repair" : "normal"} ${path}`;
}
