import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DevshellError, bytesOfText, packageRoot, textOfBytes, type ByteString } from "../../core/index.ts";
import { environmentRecipe, findArchitecture, needsShim, unpackRecipe } from "./builders/index.ts";
import { findMirrors, mirrorsOf, type Mirrors } from "./index/mirrors.ts";
import { runIndexTasks, type DebianEvent } from "./index/indexWork.ts";
import { emptyLock, readLock, writeLock, type DebianLock } from "./index/lock.ts";
import type { ArchiveFile } from "./index/records.ts";
import { EMBEDDED_KEYRING, SYSTEM_KEYRING } from "./index/signature.ts";
import { readSuiteState, suiteStatePath } from "./index/suiteState.ts";
import { parseQuery, type Query } from "./query.ts";
import { searchIndex, type FoundPackages } from "./searchIndex.ts";
import { Suite, type PackageChoice, type SourceChoice } from "./suite.ts";
import { upstreamVersion, withoutEpoch } from "./resolve/version.ts";

export interface DebianCollectionOptions {
  /** Indexes in short form lie there, by hash. */
  readonly cacheDir: string;
  /** The project's `devshell.lock`; absent for a one-off shell, which pins nothing. */
  readonly lockPath?: string | undefined;
  /** They replace all other mirrors. */
  readonly mirrors?: readonly string[] | undefined;
  readonly storeDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Forget what is pinned and ask the mirrors: `devshell update`. */
  readonly isUpdate?: boolean | undefined;
  readonly onEvent?: ((event: DebianEvent) => void) | undefined;
}

/** The collection `<debian>`: its expressions, and the function through which they ask about the archive. */
export interface DebianCollection extends Disposable {
  /** Holds `default.nix`. */
  readonly nixDir: string;
  /** Answers a question of the expressions, JSON in and out; see `query.ts`. */
  call(argument: ByteString): ByteString;
  /** The files read so far that an answer depends on. */
  inputs(): readonly string[];
  /**
   * Packages by the beginnings of their names, from a cached index alone.
   * @param suite undefined: the one that a spec without a suite means
   * @returns undefined where none is cached
   */
  search(
    query: { readonly prefix: string; readonly limit: number },
    suite: string | undefined,
    system: string,
  ): FoundPackages | undefined;
  /** Why an index could not be had, where one was asked for: then only the lock's packages are known. */
  readonly indexFailure: DevshellError | undefined;
  /** Writes the lock if something new was pinned. */
  flushLock(): void;
  close(): void;
}

const DEFAULT_SUITE = "bookworm";
/** Nix's system → Debian's architecture. */
const SYSTEMS: Readonly<Record<string, string>> = { "x86_64-linux": "amd64", "aarch64-linux": "arm64" };

export function openDebianCollection(options: DebianCollectionOptions): DebianCollection {
  return new Collection(options);
}

class Collection implements DebianCollection {
  readonly nixDir = join(packageRoot, "packages/debian/nix");
  readonly #options: DebianCollectionOptions;
  readonly #suites = new Map<string, Suite>();
  #mirrors: Mirrors | undefined;
  #lock: DebianLock | undefined;
  #isLockChanged = false;
  #indexFailure: DevshellError | undefined;
  readonly #states = new Set<string>();

  constructor(options: DebianCollectionOptions) {
    this.#options = options;
  }

  call(argument: ByteString): ByteString {
    const query = parseQuery(textOfBytes(argument));
    const answer = this.#answer(query);
    return typeof answer === "string" ? answer : bytesOfText(JSON.stringify(answer));
  }

  get indexFailure(): DevshellError | undefined {
    return this.#indexFailure;
  }

  inputs(): readonly string[] {
    const { lockPath } = this.#options;
    return [...(lockPath === undefined ? [] : [lockPath]), ...(this.#mirrors?.files ?? []), ...this.#states];
  }

  search(
    query: { readonly prefix: string; readonly limit: number },
    suite: string | undefined,
    system: string,
  ): FoundPackages | undefined {
    const { architecture } = platformOf(system);
    const { cacheDir } = this.#options;
    const lock = this.#readLock();
    const name = suite ?? lock.defaultSuite ?? this.#findMirrors().machineSuite ?? DEFAULT_SUITE;
    const candidates = [
      lock.suites.get(`${name}/${architecture}`)?.archives ?? [],
      readSuiteState(suiteStatePath(cacheDir, name, architecture))?.archives ?? [],
    ];
    return searchIndex(cacheDir, candidates, architecture, query);
  }

  flushLock(): void {
    const { lockPath } = this.#options;
    if (lockPath === undefined || this.#lock === undefined || !this.#isLockChanged) return;
    writeLock(lockPath, this.#lock);
    this.#isLockChanged = false;
  }

  close(): void {
    for (const suite of this.#suites.values()) suite[Symbol.dispose]();
    this.#suites.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @returns JSON as it is, or data */
  #answer(query: Query): ByteString | object {
    switch (query.op) {
      case "platform":
        return this.#platform(query.system);
      case "names": {
        const suite = this.#suite(query.suite, query.system);
        if (query.kind === "binary") return suite.packageNamesJson();
        return this.#suite(query.sourceSuite, query.system).sourceNamesJson(suite);
      }
      case "package": {
        const suite = this.#suite(query.suite, query.system);
        return this.#describePackage(suite.choosePackage(query.name));
      }
      case "describe":
        return this.#suite(query.suite, query.system).describe(query.name);
      case "resolve": {
        const suite = this.#suite(query.suite, query.system);
        const source = query.source;
        const chosen = suite.resolve(
          query,
          source === undefined
            ? undefined
            : this.#suite(source.suite, query.system).source(source.name, suite),
        );
        return chosen.map((choice) => this.#describePackage(choice));
      }
      case "source": {
        const suite = this.#suite(query.suite, query.system);
        const fallback = this.#suite(query.binarySuite, query.system);
        return this.#describeSource(suite.chooseSource(query.name, fallback, (file) => this.#probe(file)));
      }
    }
  }

  #platform(system: string): object {
    const platform = platformOf(system);
    const lock = this.#readLock();
    if (lock.defaultSuite === undefined) {
      lock.defaultSuite = this.#findMirrors().machineSuite ?? DEFAULT_SUITE;
      this.#isLockChanged = true;
    }
    return { ...platform, defaultSuite: lock.defaultSuite, unpackRecipe, environmentRecipe };
  }

  #suite(name: string, system: string): Suite {
    const { architecture } = platformOf(system);
    const key = `${name}/${architecture}`;
    let suite = this.#suites.get(key);
    if (suite === undefined) {
      const { env, cacheDir, isUpdate = false, onEvent = () => {} } = this.#options;
      suite = new Suite({
        name,
        key,
        architecture,
        cacheDir,
        lock: this.#readLock(),
        onPin: () => (this.#isLockChanged = true),
        findMirrors: () => this.#findMirrors(),
        keyrings: env["DEVSHELL_DEBIAN_KEYRING"]?.split(":") ?? [EMBEDDED_KEYRING, SYSTEM_KEYRING],
        ignoresExpiry: env["DEVSHELL_DEBIAN_VALID_UNTIL"] === "ignore",
        isUpdate,
        onEvent,
        onIndexFailure: (error) => {
          if (this.#indexFailure === undefined)
            onEvent({
              kind: "warning",
              message: `${error.message}; only the packages of devshell.lock are known`,
            });
          this.#indexFailure ??= error;
        },
        onState: () => this.#states.add(suiteStatePath(cacheDir, name, architecture)),
      });
      this.#suites.set(key, suite);
    }
    return suite;
  }

  #describePackage({ name, version, file }: PackageChoice): object {
    const fileName = file.path.slice(file.path.lastIndexOf("/") + 1);
    return {
      name,
      version,
      storeName: storeName(`${name}-${withoutEpoch(version)}`),
      needsShim: needsShim(name),
      file: { name: storeName(fileName), sha256: file.sha256, urls: this.#urlsOf(file) },
    };
  }

  #describeSource({ name, version, files }: SourceChoice): object {
    return {
      name,
      version,
      upstreamVersion: storeName(upstreamVersion(version)),
      storeName: storeName(`${name}-${upstreamVersion(version)}`),
      files: files.map((file) => {
        const fileName = file.path.slice(file.path.lastIndexOf("/") + 1);
        return { name: storeName(fileName), sha256: file.sha256, urls: this.#urlsOf(file) };
      }),
    };
  }

  /**
   * Of a security update also its place in the main archive: there lie the upstream tarballs that it did not change,
   * and after a point release the update itself.
   */
  #urlsOf({ role, path }: ArchiveFile): string[] {
    const escaped = path.split("/").map(encodeURIComponent).join("/").replaceAll("%2B", "+");
    const mirrors = this.#findMirrors();
    const urls = mirrorsOf(mirrors, role).map((mirror) => `${mirror}/${escaped}`);
    if (role !== "security") return urls;
    const inMain = escaped.replace(/^pool\/updates\//, "pool/");
    return [...urls, ...mirrors.main.map((mirror) => `${mirror}/${inMain}`)];
  }

  /** A mirror is asked once for a file; that it has it is remembered in the cache. */
  #probe(file: ArchiveFile): boolean {
    const { cacheDir, onEvent = () => {} } = this.#options;
    const seen = join(cacheDir, "seen", file.sha256);
    if (existsSync(seen)) return true;
    const [answer] = runIndexTasks([{ kind: "probe", urls: this.#urlsOf(file) }], onEvent);
    if (answer === true) {
      mkdirSync(join(cacheDir, "seen"), { recursive: true });
      writeFileSync(seen, "");
    }
    return answer !== false;
  }

  #findMirrors(): Mirrors {
    const { mirrors, env } = this.#options;
    return (this.#mirrors ??= findMirrors({ mirrors, env }));
  }

  #readLock(): DebianLock {
    const { lockPath, isUpdate = false } = this.#options;
    if (this.#lock === undefined) {
      this.#lock = lockPath === undefined ? emptyLock() : readLock(lockPath);
      // An update keeps the choice of suite, and pins everything else anew.
      if (isUpdate) {
        this.#lock.suites.clear();
        this.#isLockChanged = true;
      }
    }
    return this.#lock;
  }
}

/** @returns Debian's names for a system, and its dynamic loader's */
function platformOf(system: string): { architecture: string; triplet: string; loader: string } {
  const name = Object.hasOwn(SYSTEMS, system) ? SYSTEMS[system] : undefined;
  const architecture = name === undefined ? undefined : findArchitecture(name);
  if (architecture === undefined)
    throw new DevshellError("DEBIAN_SYSTEM_UNSUPPORTED", `Cannot use <debian> on system "${system}"`, {
      hint: `it knows ${Object.keys(SYSTEMS).join(" and ")}`,
    });
  const { triplet, interpreter } = architecture;
  return { architecture: architecture.name, triplet, loader: basename(interpreter) };
}

/** Characters that store names do not have become "_"; Debian's versions have `~` and `:`. */
function storeName(text: string): string {
  return text.replace(/[^A-Za-z0-9+._?=-]/g, "_").slice(0, 200);
}
