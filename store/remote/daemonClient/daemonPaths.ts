import { DevshellError } from "../../../core/index.ts";
import { isDerivationPath } from "../../format/storePath.ts";
import type { ClosureOptions } from "../../local/types.ts";
import * as calls from "../../protocol/calls.ts";
import type { OutputName, StorePath, ValidPathInfo } from "../../types.ts";
import type { BlockingClient } from "./blockingClient.ts";

export interface DaemonPathsOptions {
  /** Connects when it is first asked for. */
  readonly client: () => BlockingClient;
  readonly outputsOf: (drvPath: StorePath) => ReadonlyMap<OutputName, StorePath | undefined>;
}

/** What a daemon says of its paths, asked about many at once, and remembered. */
export class DaemonPaths {
  readonly #options: DaemonPathsOptions;
  readonly #infos = new Map<StorePath, ValidPathInfo>();
  readonly #valid = new Set<StorePath>();
  readonly #rooted = new Set<StorePath>();

  constructor(options: DaemonPathsOptions) {
    this.#options = options;
  }

  isValid(path: StorePath): boolean {
    if (this.#valid.has(path)) return true;
    const isValid = this.#client.run(calls.isValidPath(path));
    if (isValid) this.#valid.add(path);
    return isValid;
  }

  /** Those that are not known to be valid, and are not. */
  missingAmong(paths: readonly StorePath[]): ReadonlySet<StorePath> {
    const unknown = paths.filter((path) => !this.#valid.has(path));
    if (unknown.length === 0) return new Set();
    const client = this.#client;
    const valid = new Set(client.run(calls.queryValidPaths(client.wire, unknown)));
    return new Set(unknown.filter((path) => !valid.has(path)));
  }

  /** Those that are valid. */
  infosOf(paths: readonly StorePath[]): ReadonlyMap<StorePath, ValidPathInfo> {
    const client = this.#client;
    const unknown = [...new Set(paths)].filter((path) => !this.#infos.has(path));
    for (const info of client.runAll(unknown.map((path) => calls.queryPathInfo(client.wire, path)))) {
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

  /** @throws {DevshellError} `STORE_PATH_NOT_VALID` when a path is not */
  closureOf(roots: readonly StorePath[], options: ClosureOptions): StorePath[] {
    const infos = this.infosOf(roots);
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

  /** Has them kept until our connection ends. */
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

  noteValid(paths: Iterable<StorePath>): void {
    for (const path of paths) this.#valid.add(path);
  }

  /** What is known of a path has changed. */
  forgetInfo(path: StorePath): void {
    this.#infos.delete(path);
  }

  forget(): void {
    this.#infos.clear();
    this.#valid.clear();
  }

  get #client(): BlockingClient {
    return this.#options.client();
  }

  #neighbours(paths: readonly StorePath[], options: ClosureOptions): StorePath[] {
    const next: StorePath[] = [];
    const client = this.#client;
    const infos = this.infosOf(paths);
    const outputsOf = (path: StorePath): StorePath[] =>
      [...this.#options.outputsOf(path).values()].filter((output) => output !== undefined);
    if (options.isReversed === true)
      next.push(...client.runAll(paths.map((path) => calls.queryReferrers(client.wire, path))).flat());
    for (const path of paths) {
      const info = infos.get(path);
      const followsOutputs =
        options.isReversed === true ? options.includeDerivers === true : options.includeOutputs === true;
      if (followsOutputs && isDerivationPath(path)) next.push(...outputsOf(path));
      if (options.isReversed === true) {
        if (options.includeOutputs === true)
          next.push(...client.run(calls.queryValidDerivers(client.wire, path)));
      } else {
        next.push(...(info?.references ?? []));
        if (options.includeDerivers === true && info?.deriver !== undefined) next.push(info.deriver);
      }
    }
    const valid = this.infosOf(next);
    return next.filter((path) => valid.has(path));
  }
}
