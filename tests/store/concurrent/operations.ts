import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { hashNar } from "../../../store/format/nar.ts";
import {
  addGeneration,
  deleteGenerations,
  makeDerivation,
  openStore,
  readGenerations,
  realise,
  switchGeneration,
  type DerivationRequest,
  type Store,
  type StorePath,
  type StoreSettings,
} from "../../../store/index.ts";
import { copyPaths } from "../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../store/remote/openRemoteStore.ts";
import { StoreEndpoint } from "../../../store/remote/storeEndpoint.ts";
import type { Random } from "../mutate.ts";
import { shellDerivation } from "../daemon/daemonFixture.ts";
import { testSettings } from "../realiseFixture.ts";

export const NAMES = [
  "addText",
  "addPath",
  "substitute",
  "copy",
  "build",
  "buildAddressed",
  "buildSeveral",
  "collect",
  "optimise",
  "delete",
  "profile",
  "verify",
  "query",
  "reopen",
] as const;
export type OperationName = (typeof NAMES)[number];

/** What a process does not do as it pleases with: others are at it too. */
const REFUSALS: ReadonlySet<string> = new Set([
  "STORE_PATH_ALIVE",
  "STORE_PATH_IN_USE",
  "STORE_NO_GENERATION",
  "STORE_GENERATION_IN_USE",
]);
/** As a daemon words them. */
const REFUSED = /still alive|it is in use by/;

function isRefusal({ code, message }: DevshellError): boolean {
  return REFUSALS.has(code) || (code === "DAEMON_FAILED" && REFUSED.test(message));
}

const TEXTS = 60;
const TREES = 8;
const DERIVATIONS = 24;
const PROFILES = 3;
/** Old versions of what is kept: longer lists only cost time. */
const MAX_HELD = 200;

export function settingsIn(
  dir: string,
  cache: string,
  raw: Readonly<Record<string, string>> = {},
): StoreSettings {
  return {
    ...testSettings(dir, {
      substituters: [`file://${cache}`],
      requireSignatures: false,
      keepDerivations: false,
      maxJobs: 1,
      raw: new Map(Object.entries(raw)),
    }),
    cacheDir: `${dir}/cache-home`,
  };
}

/** Trees to add: small files, many of them equal, so that there is something to link. */
export function writeSources(dir: string): void {
  for (let tree = 0; tree < TREES; tree++) {
    mkdirSync(join(dir, `tree-${tree}/bin`), { recursive: true });
    for (let file = 0; file < 6; file++)
      writeFileSync(join(dir, `tree-${tree}/file-${file}`), `shared ${file}\n`.repeat(500));
    writeFileSync(join(dir, `tree-${tree}/bin/own`), `${tree}`, { mode: 0o755 });
    symlinkSync("bin/own", join(dir, `tree-${tree}/link`));
  }
}

/** One process of several that work on a store. What it holds by a temporary root must stay whole. */
export class StoreUser implements Disposable {
  readonly #settings: StoreSettings;
  readonly #random: Random;
  readonly #offered: readonly StorePath[];
  readonly #held = new Set<StorePath>();
  readonly #dir: string;
  #store: Store;

  /** @param offered what the cache has */
  constructor(dir: string, settings: StoreSettings, offered: readonly StorePath[], random: Random) {
    this.#dir = dir;
    this.#settings = settings;
    this.#offered = offered;
    this.#random = random;
    this.#store = openStore(settings);
  }

  /** @returns whether it was done; others may have been in the way @throws whatever should not happen */
  async do(name: OperationName): Promise<boolean> {
    try {
      await this.#run(name);
      return true;
    } catch (error) {
      if (error instanceof DevshellError && isRefusal(error)) return false;
      throw error;
    }
  }

  /** @throws where something that this process holds is gone or damaged */
  checkHeld(): void {
    for (const path of this.#held) this.#check(path);
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  async #run(name: OperationName): Promise<void> {
    const store = this.#store;
    const random = this.#random;
    switch (name) {
      case "addText":
        this.#addText();
        return;
      case "addPath": {
        const tree = `${this.#dir}/sources/tree-${random.below(TREES)}`;
        this.#hold(store.addPath(tree, { name: `tree-${random.below(3)}`, method: "nar" }));
        return;
      }
      case "substitute":
        await this.#realise({ kind: "opaque", path: random.of(this.#offered) });
        return;
      case "copy": {
        await using source = await openRemoteStore(
          this.#settings,
          this.#settings.config.substituters[0] ?? "",
        );
        const target = new StoreEndpoint(store);
        const paths = [random.of(this.#offered)];
        await copyPaths({ source, target, paths, isRecursive: true, checksSignatures: false });
        for (const path of paths) this.#hold(path);
        return;
      }
      case "build":
        await this.#build();
        return;
      case "buildAddressed": {
        // Several derivations of one content, which belongs at one path.
        const number = random.below(6);
        const script = `echo content ${number >> 1} > $out # ${number}`;
        const kind = { kind: "contentAddressed", algorithm: "sha256", method: "nar" } as const;
        await this.#buildDerivation("addressed", script, ["out"], kind);
        return;
      }
      case "buildSeveral": {
        // Any of the outputs may have been deleted since.
        const script = 'echo one > $out; echo "two, beside $out" > $dev; echo three > $doc';
        const kind = { kind: "inputAddressed" } as const;
        await this.#buildDerivation(`several-${random.below(4)}`, script, ["out", "dev", "doc"], kind);
        return;
      }
      case "collect":
        await store.collectGarbage({
          action: "deleteDead",
          maxFreedBytes: random.below(2) === 0 ? undefined : random.below(100_000),
        });
        return;
      case "optimise":
        await store.optimise();
        return;
      case "delete": {
        const all = store.allValidPaths();
        if (all.length > 0)
          await store.deletePaths([random.of(all)], { includesReferrers: random.below(2) === 0 });
        return;
      }
      case "profile":
        this.#changeProfile();
        return;
      case "verify": {
        const { problems, forgotten } = await store.verify({ checkContents: random.below(3) === 0 });
        if (problems.length > 0 || forgotten.length > 0)
          throw new Error(`verify: ${JSON.stringify({ problems, forgotten })}`);
        return;
      }
      case "query":
        this.#query();
        return;
      case "reopen":
        this.checkHeld();
        this.#held.clear();
        store[Symbol.dispose]();
        this.#store = openStore(this.#settings);
    }
  }

  #addText(): StorePath {
    const store = this.#store;
    const number = this.#random.below(TEXTS);
    // Texts refer to those before them; what a reference is to must be held before it is looked at.
    const before = this.#random.below(2) === 0 ? undefined : this.#someHeld();
    const path = store.addText(
      `text-${number}`,
      `content ${number} ${before}`,
      before === undefined ? [] : [before],
    );
    this.#hold(path);
    return path;
  }

  async #build(): Promise<void> {
    const store = this.#store;
    const number = this.#random.below(DERIVATIONS);
    // Every derivation but the first uses another.
    const chain: string[] = [];
    for (let each = number; each > 0; each >>= 1) chain.unshift(`step-${each}`);
    let input = "";
    let drvPath: StorePath | undefined;
    for (const name of chain) {
      const script = `${input === "" ? "" : `read line < ${input}\n`}echo ${name} ${input} > $out; echo log of ${name}`;
      const made = shellDerivation(store, name, script, undefined, drvPath === undefined ? [] : [drvPath]);
      drvPath = store.writeDerivation(made);
      this.#hold(drvPath);
      const output = store.readDerivation(drvPath).outputs.get("out");
      input = output !== undefined && "path" in output ? output.path : "";
    }
    if (drvPath !== undefined) await this.#realise({ kind: "built", drvPath, outputs: "*" });
  }

  async #buildDerivation(
    name: string,
    script: string,
    outputs: readonly string[],
    kind: DerivationRequest["kind"],
  ): Promise<void> {
    const store = this.#store;
    const made = makeDerivation(
      {
        name,
        system: store.settings.config.system,
        builder: "/bin/sh",
        args: ["-c", script],
        env: new Map([["name", name]]),
        outputs,
        kind,
        context: new Set(),
      },
      store.hasher,
      (path) => store.closureOf(path),
    );
    const drvPath = store.writeDerivation(made);
    this.#hold(drvPath);
    await this.#realise({ kind: "built", drvPath, outputs: "*" });
  }

  async #realise(target: Parameters<typeof realise>[1][number]): Promise<void> {
    const { failures, results } = await realise(this.#store, [target]);
    if (failures[0] !== undefined) throw failures[0];
    for (const { outputs } of results) for (const path of outputs.values()) this.#hold(path);
  }

  #changeProfile(): void {
    const random = this.#random;
    const store = this.#store;
    const profile = `${this.#dir}/profile-${random.below(PROFILES)}`;
    switch (random.below(4)) {
      case 0:
        switchGeneration(store, profile, undefined, { isDryRun: false, onSwitch: () => undefined });
        break;
      case 1:
        deleteGenerations(
          store,
          profile,
          { kind: "keep", count: 2 },
          { isDryRun: false, onDelete: () => undefined },
        );
        break;
      default:
        addGeneration(store, profile, this.#addText());
    }
    const { all, current } = readGenerations(profile);
    // Between the two readings of links others may have switched, but never to nothing.
    if (current !== undefined && all.length > 0 && !lstatSync(profile).isSymbolicLink())
      throw new Error(`${profile} is no link`);
  }

  #query(): void {
    const store = this.#store;
    const all = store.allValidPaths();
    if (all.length === 0) return;
    const path = this.#random.of(all);
    store.queryReferrers(path);
    store.queryPathFromHashPart(path.slice(store.storeDir.length + 1).slice(0, 32));
    store.findRoots();
    store.addTempRoots([path]);
    // A collector may have been quicker than the root.
    if (!store.isValidPath(path)) return;
    for (const each of store.closureOf(path)) this.#check(each);
    if (path.endsWith(".drv")) store.readDerivation(path);
    this.#hold(path);
  }

  #someHeld(): StorePath | undefined {
    return this.#held.size === 0 ? undefined : this.#random.of([...this.#held]);
  }

  #hold(path: StorePath): void {
    this.#check(path);
    if (this.#held.size < MAX_HELD) this.#held.add(path);
  }

  #check(path: StorePath): void {
    const info = this.#store.queryPathInfo(path);
    if (info === undefined) throw new Error(`${path} is held, yet not valid any more`);
    const { hash, sizeBytes } = hashNar(this.#store.realPath(path));
    if (!hash.digest.equals(info.narHash.digest) || sizeBytes !== info.narSizeBytes)
      throw new Error(`${path} is held, yet damaged`);
    if (path.endsWith(".drv")) readFileSync(path);
  }
}
