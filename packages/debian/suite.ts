import { dirname } from "node:path";
import { DevshellError, bytesOfText, type ByteString } from "../../core/index.ts";
import { runIndexTasks, type ArchiveState, type DebianEvent, type IndexTask } from "./index/indexWork.ts";
import { emptySuiteLock, type DebianLock, type SuiteLock } from "./index/lock.ts";
import { mirrorsOf, type Mirrors } from "./index/mirrors.ts";
import type { ArchiveFile, IndexedPackage, IndexedSource } from "./index/records.ts";
import { pruneTables } from "./index/recordTable.ts";
import {
  namesJson,
  openPackageIndex,
  openSourceIndex,
  tableBase,
  type PackageIndex,
  type SourceIndex,
} from "./index/suiteIndex.ts";
import { loadSuite } from "./index/suiteState.ts";
import type { ResolveQuery, SourceQuery } from "./query.ts";
import { parseRelations, type RelationContext } from "./resolve/relation.ts";
import { resolvePackages, type ResolutionRoot } from "./resolve/resolver.ts";

export interface SuiteOptions {
  readonly name: string;
  /** In the lock: `<suite>/<architecture>`. */
  readonly key: string;
  readonly architecture: string;
  readonly cacheDir: string;
  readonly lock: DebianLock;
  readonly onPin: () => void;
  readonly findMirrors: () => Mirrors;
  readonly keyrings: readonly string[];
  readonly ignoresExpiry: boolean;
  readonly isUpdate: boolean;
  readonly onEvent: (event: DebianEvent) => void;
  /** The index could not be had: only what the lock pins is known. */
  readonly onIndexFailure: (error: DevshellError) => void;
  /** The cached state of the suite, not the lock, decided what is used. */
  readonly onState: () => void;
}

export interface PackageChoice {
  readonly name: string;
  readonly version: string;
  readonly file: ArchiveFile;
}

export interface SourceChoice {
  readonly name: string;
  readonly version: string;
  readonly files: readonly ArchiveFile[];
}

/** A C compiler of Debian's only recommends the C library's headers; without them it compiles nothing. */
const COMPILER = /^(?:gcc|g\+\+|clang|gfortran|gobjc|gdc|gnat)(?:-[\d.]+)?$/;

/**
 * One suite for one architecture. What the lock pins is answered from it; the indexes are opened, and if need be
 * fetched, only for a question that the lock does not answer.
 */
export class Suite implements Disposable {
  readonly #options: SuiteOptions;
  #pinned: SuiteLock | undefined;
  #packages: PackageIndex | undefined;
  #sources: SourceIndex | undefined;

  constructor(options: SuiteOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  packageNamesJson(): ByteString {
    return this.#namesOr(() => this.#packageIndex().namesJson());
  }

  /** Sources by their own names and by those of the binary packages they make. */
  sourceNamesJson(binaries: Suite): ByteString {
    return this.#namesOr(() => {
      const sources = namesIn(this.#sourceIndex().namesJson());
      return namesJson([sources, namesIn(binaries.packageNamesJson())]);
    });
  }

  choosePackage(name: string): PackageChoice {
    const pin = this.#lockedFor("packages");
    const version = pin?.candidates.get(name);
    const file = version === undefined ? undefined : pin?.packages.get(`${name}=${version}`);
    if (version !== undefined && file !== undefined) return { name, version, file };
    const [candidate] = this.#packageIndex().versionsOf(name);
    if (candidate === undefined) throw unknownPackage(name, this.name);
    this.#pinCandidate(candidate);
    return candidate;
  }

  /** Facts for people, from the index only. */
  describe(name: string): {
    readonly description: string;
    readonly homepage: string;
    readonly source: string;
  } {
    const [candidate] = this.#packageIndex().versionsOf(name);
    if (candidate === undefined) throw unknownPackage(name, this.name);
    const { description, homepage, source } = candidate;
    return { description, homepage, source };
  }

  /** @param source of the query, with the source package it names */
  resolve(query: ResolveQuery, source: (() => IndexedSource) | undefined): readonly PackageChoice[] {
    const key = resolutionKey(query);
    const pin = this.#lockedFor("packages");
    const locked = pin?.resolutions.get(key);
    if (pin !== undefined && locked !== undefined) return locked.map((id) => lockedPackage(pin, id));

    const index = this.#packageIndex();
    const context: RelationContext = {
      architecture: this.#options.architecture,
      profiles: new Set(query.source?.profiles),
    };
    const roots: ResolutionRoot[] = [];
    const add = (field: string, from: string): void => {
      for (const group of parseRelations(field, context)) roots.push({ group, from });
    };
    if (query.essential) for (const name of index.essential) add(name, "the Essential packages");
    for (const wish of query.packages) add(wish, "the list of packages");
    let forbidden = "";
    if (query.source !== undefined && source !== undefined) {
      const { name, buildDepends, buildDependsArch, buildDependsIndep, buildConflicts } = source();
      add("build-essential", "every source package");
      add(buildDepends, `Build-Depends of source "${name}"`);
      add(buildDependsArch, `Build-Depends-Arch of source "${name}"`);
      if (query.source.indep) add(buildDependsIndep, `Build-Depends-Indep of source "${name}"`);
      forbidden = buildConflicts;
    }
    const conflicts = parseRelations(forbidden, context);
    let { packages } = resolvePackages(index, roots, context, conflicts);
    if (query.completesCompilers && packages.some(({ name }) => COMPILER.test(name))) {
      add("libc6-dev", "the C compiler");
      ({ packages } = resolvePackages(index, roots, context, conflicts));
    }
    this.#pinResolution(key, packages);
    return packages;
  }

  /**
   * The source package as its index states it.
   * @param binaries where a binary package's name is looked up if no source is called so
   */
  source(name: string, binaries: Suite): () => IndexedSource {
    return () => this.#findSource(name, binaries);
  }

  /** @param isReachable whether a mirror has the file; asked once, before the source is pinned */
  chooseSource(name: string, binaries: Suite, isReachable: (file: ArchiveFile) => boolean): SourceChoice {
    const locked = this.#lockedFor("sources")?.sources.get(name);
    if (locked !== undefined) return { name: locked.name, version: locked.version, files: locked.files };
    const source = this.#findSource(name, binaries);
    const tarball =
      source.files.find(({ path }) => /\.orig\.tar\.\w+$/.test(path)) ?? source.files.find(isTarball);
    if (tarball !== undefined && !isReachable(tarball))
      throw new DevshellError(
        "DEBIAN_SOURCE_MISSING",
        `Cannot fetch the source of "${source.name}" ${source.version} (${this.name}): no mirror has "${tarball.path}"`,
        {
          hint:
            this.name === "sid"
              ? "try another mirror (DEVSHELL_DEBIAN_MIRROR)"
              : "take the source from another suite, `--argstr sourceSuite sid`, or try another mirror (DEVSHELL_DEBIAN_MIRROR)",
        },
      );
    this.#pin("sources").sources.set(name, {
      name: source.name,
      version: source.version,
      files: source.files,
    });
    this.#options.onPin();
    return source;
  }

  [Symbol.dispose](): void {
    this.#packages?.[Symbol.dispose]();
    this.#sources?.[Symbol.dispose]();
  }

  #findSource(name: string, binaries: Suite): IndexedSource {
    const index = this.#sourceIndex();
    const found = index.find(name);
    if (found !== undefined) return found;
    const [binary] = binaries.#packageIndex().versionsOf(name);
    const source = binary === undefined ? undefined : index.find(binary.source);
    if (source === undefined)
      throw new DevshellError(
        "DEBIAN_SOURCE_UNKNOWN",
        `Cannot find source package "${name}" in suite "${this.name}"`,
      );
    return source;
  }

  /** The lock's names where the index cannot be had: an old lock must work without it. */
  #namesOr(read: () => ByteString): ByteString {
    try {
      return read();
    } catch (error) {
      const pin = this.#options.lock.suites.get(this.#options.key);
      if (pin === undefined || pin.packages.size === 0 || !(error instanceof DevshellError)) throw error;
      this.#options.onIndexFailure(error);
      const names = new Set([...pin.candidates.keys(), ...pin.sources.keys()]);
      for (const id of pin.packages.keys()) names.add(id.slice(0, id.indexOf("=")));
      // Anyone may have written the lock, so its names are quoted as any text.
      return bytesOfText(JSON.stringify(Object.fromEntries([...names].map((name) => [name, null]))));
    }
  }

  #packageIndex(): PackageIndex {
    return (this.#packages ??= this.#openOrFetch("packages", openPackageIndex));
  }

  #sourceIndex(): SourceIndex {
    return (this.#sources ??= this.#openOrFetch("sources", openSourceIndex));
  }

  #openOrFetch<T>(
    content: "packages" | "sources",
    open: (cacheDir: string, archives: readonly ArchiveState[], architecture: string) => T | undefined,
  ): T {
    const { cacheDir, architecture, findMirrors, onEvent } = this.#options;
    const { archives } = this.#pin(content);
    const opened = open(cacheDir, archives, architecture);
    if (opened !== undefined) return opened;
    const tasks = archives.flatMap(({ dist, role, hasByHash, ...archive }): IndexTask[] => {
      const file = archive[content];
      if (file === undefined) return [];
      const base = tableBase(cacheDir, file.rawSha256, architecture);
      const mirrors = mirrorsOf(findMirrors(), role);
      return [{ kind: "index", content, dist, mirrors, architecture, hasByHash, file, base }];
    });
    runIndexTasks(tasks, onEvent);
    pruneTables(dirname(tableBase(cacheDir, "", architecture)));
    const fetched = open(cacheDir, archives, architecture);
    if (fetched === undefined)
      throw new Error(`The tables of ${this.name} are unreadable after they were written`);
    return fetched;
  }

  /** What is pinned; a stale index is accepted for sources, whose version the user asked for, not for programs. */
  #pin(content: "packages" | "sources"): SuiteLock {
    const { lock, key, ignoresExpiry, isUpdate, onState, onPin } = this.#options;
    const whenExpired = ignoresExpiry || content === "sources" ? "warn" : "refuse";
    const known = this.#pinned ?? lock.suites.get(key);
    const isRefused = known?.archives[0]?.isExpired === true && whenExpired === "refuse";
    if (known !== undefined && !isRefused) return (this.#pinned = known);
    const archives = loadSuite(
      {
        ...this.#options,
        suite: this.name,
        mirrors: this.#options.findMirrors(),
        whenExpired,
        refusesOlder: !ignoresExpiry,
      },
      isUpdate,
    );
    onState();
    this.#pinned = emptySuiteLock(archives);
    // Where only programs refuse an expired index, sources that were pinned by it stay pinned.
    if (!isUpdate) for (const [name, source] of known?.sources ?? []) this.#pinned.sources.set(name, source);
    lock.suites.set(key, this.#pinned);
    onPin();
    return this.#pinned;
  }

  #lockedFor(content: "packages" | "sources"): SuiteLock | undefined {
    return this.#options.lock.suites.has(this.#options.key) ? this.#pin(content) : undefined;
  }

  #pinCandidate(candidate: IndexedPackage): void {
    const pin = this.#pin("packages");
    pin.candidates.set(candidate.name, candidate.version);
    pin.packages.set(`${candidate.name}=${candidate.version}`, candidate.file);
    this.#options.onPin();
  }

  #pinResolution(key: string, packages: readonly IndexedPackage[]): void {
    const pin = this.#pin("packages");
    pin.resolutions.set(
      key,
      packages.map(({ name, version }) => `${name}=${version}`),
    );
    for (const { name, version, file } of packages) pin.packages.set(`${name}=${version}`, file);
    this.#options.onPin();
  }
}

/** What a resolution depends on besides the index, as the lock names it. */
export function resolutionKey({ packages, essential, completesCompilers, source }: ResolveQuery): string {
  return [
    ...(essential ? ["essential"] : []),
    ...(source === undefined ? [] : [sourceKey(source)]),
    ...packages,
    ...(completesCompilers ? ["compilers"] : []),
  ].join(", ");
}

function sourceKey({ suite, name, profiles, indep }: SourceQuery): string {
  return [`source ${name} of ${suite}`, ...(indep ? ["indep"] : []), ...profiles].join(" ");
}

function lockedPackage(pin: SuiteLock, id: string): PackageChoice {
  const at = id.indexOf("=");
  const file = pin.packages.get(id);
  if (at < 0 || file === undefined)
    throw new DevshellError(
      "LOCK_INVALID",
      `Cannot use the lock: "${id}" is in a resolution but not a package`,
      {
        hint: "restore it from version control, or run `devshell update`",
      },
    );
  return { name: id.slice(0, at), version: id.slice(at + 1), file };
}

/** Back from `{"a":null,"b":null}` to lines, without parsing 60,000 members. */
function namesIn(json: ByteString): ByteString {
  return json.slice(2, -":null}".length - 1).replaceAll('":null,"', "\n");
}

function isTarball({ path }: ArchiveFile): boolean {
  return /\.tar\.\w+$/.test(path);
}

function unknownPackage(name: string, suite: string): DevshellError {
  return new DevshellError("DEBIAN_PACKAGE_UNKNOWN", `Cannot find package "${name}" in suite "${suite}"`);
}
