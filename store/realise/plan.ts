import { addressOfOutput, type ContentAddress } from "../format/contentAddress.ts";
import { isFixedOutput } from "../format/derivation.ts";
import { storePathName } from "../format/storePath.ts";
import { builtInputsOf } from "../format/resolveDerivation.ts";
import type { RemotePathInfo } from "../remote/types.ts";
import type { BuiltTarget, Derivation, DerivedPath, StorePath } from "../types.ts";
import { maySubstitute } from "./derivationOptions.ts";
import { hasDerivation } from "./evalStore.ts";
import { knownOutputPathsOf } from "./outputs/outputPaths.ts";
import type { RealiseStore } from "./storePort.ts";

/** What realising would do; made without changing anything. */
export interface RealisePlan {
  /** Inputs before those who need them. */
  readonly builds: readonly StorePath[];
  /** By name. */
  readonly downloads: readonly StorePath[];
  readonly downloadBytes: number;
  readonly unpackedBytes: number;
  /** Neither valid, nor offered by a substituter, nor the output of a known derivation. */
  readonly unknown: readonly StorePath[];
}

export interface PlanRequest {
  readonly store: RealiseStore;
  readonly targets: readonly DerivedPath[];
  /** @returns what a substituter says of a path; `undefined` where none offers it */
  readonly querySubstituters: (
    path: StorePath,
    address?: ContentAddress,
  ) => Promise<RemotePathInfo | undefined>;
  /** Builds even what is valid. */
  readonly isForced: boolean;
}

/** Finds out what must be fetched and what must be built. */
export async function planRealisation(request: PlanRequest): Promise<RealisePlan> {
  const planner = new Planner(request);
  await Promise.all(request.targets.map((target) => planner.visit(target, request.isForced)));
  await planner.end();
  return planner.result();
}

/** The plan as `nix-build --dry-run` words it, a line each. */
export function describePlan(plan: RealisePlan): readonly string[] {
  const { builds, downloads, unknown } = plan;
  const lines: string[] = [];
  if (builds.length > 0) {
    lines.push(
      builds.length === 1
        ? "this derivation will be built:"
        : `these ${builds.length} derivations will be built:`,
      ...builds.map((path) => `  ${path}`),
    );
  }
  if (downloads.length > 0) {
    const sizes = `${renderSize(plan.downloadBytes)} download, ${renderSize(plan.unpackedBytes)} unpacked`;
    lines.push(
      downloads.length === 1
        ? `this path will be fetched (${sizes}):`
        : `these ${downloads.length} paths will be fetched (${sizes}):`,
      ...downloads.map((path) => `  ${path}`),
    );
  }
  if (unknown.length > 0)
    lines.push("don't know how to build these paths:", ...unknown.map((path) => `  ${path}`));
  return lines;
}

/** `1.5 MiB`: binary units from KiB on, as Nix picks them. */
export function renderSize(sizeBytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let power = 0;
  for (
    let whole = Math.abs(sizeBytes);
    whole > 1024 && power < units.length;
    whole = Math.floor(whole / 1024)
  )
    power++;
  power = Math.max(1, power);
  return `${(sizeBytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

class Planner {
  readonly #request: PlanRequest;
  readonly #builds = new Set<StorePath>();
  readonly #order: StorePath[] = [];
  readonly #downloads = new Map<StorePath, RemotePathInfo>();
  readonly #unknown = new Set<StorePath>();
  readonly #visited = new Map<string, Promise<void>>();

  constructor(request: PlanRequest) {
    this.#request = request;
  }

  result(): RealisePlan {
    const infos = [...this.#downloads.values()];
    const byName = (a: StorePath, b: StorePath): number => {
      const [nameA, nameB] = [storePathName(a), storePathName(b)];
      return nameA < nameB ? -1 : nameA > nameB ? 1 : a < b ? -1 : 1;
    };
    return {
      builds: this.#order,
      downloads: [...this.#downloads.keys()].sort(byName),
      downloadBytes: infos.reduce((sum, info) => sum + (info.narFile?.sizeBytes ?? 0), 0),
      unpackedBytes: infos.reduce((sum, info) => sum + info.narSizeBytes, 0),
      unknown: [...this.#unknown].sort(byName),
    };
  }

  visit(target: DerivedPath, isForced = false): Promise<void> {
    const key =
      target.kind === "opaque"
        ? target.path
        : `${[target.drvPath, ...(target.via ?? [])].join("!")}!${target.outputs === "*" ? "*" : target.outputs.join()}`;
    const known = this.#visited.get(key);
    if (known !== undefined) return known;
    // The promise is known before its work starts: a graph's shared parts are visited once.
    const visit = Promise.resolve().then(() =>
      target.kind === "opaque" ? this.#visitPath(target.path) : this.#visitBuilt(target, isForced),
    );
    this.#visited.set(key, visit);
    return visit;
  }

  /** Waits for all visits, also those that nobody waits for. @throws what the first of them throws */
  async end(): Promise<void> {
    for (let count = -1; count !== this.#visited.size;) {
      count = this.#visited.size;
      await Promise.all(this.#visited.values());
    }
  }

  async #visitPath(path: StorePath): Promise<void> {
    const { store, querySubstituters } = this.#request;
    if (store.isValidPath(path) || store.evalStore?.isValidPath(path) === true) return;
    const info = await querySubstituters(path);
    if (info === undefined) {
      this.#unknown.add(path);
      return;
    }
    this.#downloads.set(path, info);
    // Not waited for: what a hostile cache says may go in a circle.
    for (const reference of info.references)
      if (reference !== path) this.visit({ kind: "opaque", path: reference }).catch(() => undefined);
  }

  async #visitBuilt(target: BuiltTarget, isForced: boolean): Promise<void> {
    const { store, querySubstituters } = this.#request;
    const { via = [] } = target;
    const drvPath =
      via.length === 0 ? target.drvPath : store.queryOutput({ drvPath: target.drvPath, outputs: via });
    if (via.length > 0 && (drvPath === undefined || !store.isValidPath(drvPath))) {
      // What that derivation needs is known once it is there.
      const producer = { drvPath: target.drvPath, via: via.slice(0, -1), outputs: via.slice(-1) };
      await this.visit({ kind: "built", ...producer });
      return;
    }
    if (drvPath === undefined) throw new Error("unreachable");
    if (!hasDerivation(store, drvPath)) {
      await this.#visitPath(drvPath);
      return;
    }
    const derivation = store.readDerivation(drvPath);
    const paths = knownOutputPathsOf(store, drvPath, derivation, target.outputs);
    if (paths !== undefined && !isForced) {
      const missing = [...paths].filter(([, path]) => !store.isValidPath(path));
      if (missing.length === 0) return;
      if (store.settings.config.substitute && maySubstitute(derivation, store.settings.config)) {
        const offers = await Promise.all(
          missing.map(([name, path]) =>
            querySubstituters(path, addressOfOutput(derivation.outputs.get(name))),
          ),
        );
        if (offers.every((offer) => offer !== undefined)) {
          await Promise.all(missing.map(([, path]) => this.visit({ kind: "opaque", path })));
          return;
        }
      }
    }
    if (this.#builds.has(drvPath)) return;
    this.#builds.add(drvPath);
    await Promise.all([
      ...derivation.inputSrcs.map((path) => this.visit({ kind: "opaque", path })),
      ...[...builtInputsOf(derivation)].map((input) =>
        this.visit({ kind: "built", ...input, outputs: [...input.outputs].sort() }),
      ),
    ]);
    this.#order.push(drvPath);
  }
}

/** Whether a derivation's work is fetching, for those who show it. */
export function isDownload(derivation: Derivation): boolean {
  return derivation.builder === "builtin:fetchurl" && isFixedOutput(derivation);
}
