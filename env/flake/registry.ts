import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { DevshellError, bytesOfText, textOfBytes, shownUrl } from "../../core/index.ts";
import {
  attributesOf,
  fetchInput,
  flakeReference,
  formatFlakeReference,
  isSameAttributes,
  printLockJson,
  readAttributes,
  type FlakeAttributes,
  type FlakeReference,
  type LockJson,
  type ResolvedFlake,
} from "../../lang/index.ts";

export interface RegistryEntry {
  readonly from: FlakeAttributes;
  readonly to: FlakeReference;
  /** Only for this very reference, not for it with another revision. */
  readonly isExact: boolean;
}

export type RegistryKind = "flags" | "user" | "system" | "global" | "custom";

export interface Registry {
  readonly kind: RegistryKind;
  readonly entries: readonly RegistryEntry[];
}

export interface RegistrySurroundings {
  /** The global registry's path or URL; "" for none. */
  readonly globalRegistry: string;
  /** The global registry's text, where it is a URL. */
  readonly download: (url: string) => string;
  readonly warn: (message: string) => void;
  /** Of the command line, the strongest. */
  readonly overrides: readonly RegistryEntry[];
  /** What decided the answer. */
  readonly onRead?: ((path: string) => void) | undefined;
}

export const DEFAULT_REGISTRY = "https://channels.nixos.org/flake-registry.json";
const MAX_STEPS = 100;
const VERSION = 2;

const ORDER: readonly RegistryKind[] = ["flags", "user", "system", "global"];

/** The registries in their order: the command line's, the user's, the system's, the global one. */
export class FlakeRegistries {
  readonly #surroundings: RegistrySurroundings;
  readonly #known = new Map<RegistryKind, Registry>();

  constructor(surroundings: RegistrySurroundings) {
    this.#surroundings = surroundings;
  }

  /** @throws {DevshellError} where the global registry cannot be had */
  all(): readonly Registry[] {
    return ORDER.map((kind) => this.#registry(kind));
  }

  /**
   * The direct reference that an indirect one stands for.
   * @param scope `limited`: the command line's and the global registry only
   * @throws {DevshellError} `FLAKE_UNKNOWN`
   */
  resolve(attributes: FlakeAttributes, scope: "all" | "limited"): ResolvedFlake {
    const kinds: readonly RegistryKind[] = scope === "all" ? ORDER : ["flags", "global"];
    let current: ResolvedFlake = { attributes, dir: undefined };
    for (let step = 0; ; step++) {
      if (step === MAX_STEPS)
        throw new DevshellError(
          "FLAKE_UNKNOWN",
          `cycle detected in flake registry for '${show(current.attributes)}'`,
        );
      const next = this.#match(kinds, current.attributes);
      if (next === undefined) break;
      current = next;
    }
    if (current.attributes.get("type") === "indirect")
      throw new DevshellError(
        "FLAKE_UNKNOWN",
        `cannot find flake '${show(current.attributes)}' in the flake registries`,
        { hint: "`nix registry list` shows what they know; `nix registry add` adds to them" },
      );
    return current;
  }

  #match(kinds: readonly RegistryKind[], attributes: FlakeAttributes): ResolvedFlake | undefined {
    const isIndirect = attributes.get("type") === "indirect";
    for (const kind of kinds) {
      // what names its place already needs no network: a global registry redirects names only
      if (kind === "global" && !isIndirect && !isAbsolute(this.#surroundings.globalRegistry)) continue;
      const found = match(this.#registry(kind), attributes);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #registry(kind: RegistryKind): Registry {
    const known = this.#known.get(kind);
    if (known !== undefined) return known;
    const registry = this.#read(kind);
    // those of the command line may still grow
    if (kind !== "flags") this.#known.set(kind, registry);
    return registry;
  }

  #read(kind: RegistryKind): Registry {
    const { warn, overrides, onRead, globalRegistry, download } = this.#surroundings;
    const read = (path: string): Registry => {
      onRead?.(path);
      return readRegistry(path, kind, warn);
    };
    switch (kind) {
      case "user":
        return read(userRegistryPath());
      case "system":
        return read(join(process.env["NIX_CONF_DIR"] || "/etc/nix", "registry.json"));
      case "global":
        if (globalRegistry === "") return { kind, entries: [] };
        if (isAbsolute(globalRegistry)) return read(globalRegistry);
        return parseRegistry(download(globalRegistry), globalRegistry, kind, warn);
      case "flags":
      case "custom":
        return { kind, entries: overrides };
    }
  }
}

/** Where `nix registry add` writes. */
export function userRegistryPath(): string {
  const config =
    process.env["NIX_CONFIG_HOME"] ||
    join(process.env["XDG_CONFIG_HOME"] || join(process.env["HOME"] || homedir(), ".config"), "nix");
  return join(config, "registry.json");
}

/** Reads a registry; one that is absent is empty, one that is wrong is warned of. */
export function readRegistry(path: string, kind: RegistryKind, warn: (message: string) => void): Registry {
  if (!existsSync(path)) return { kind, entries: [] };
  return parseRegistry(readFileSync(path, "utf8"), path, kind, warn);
}

export function parseRegistry(
  text: string,
  path: string,
  kind: RegistryKind,
  warn: (message: string) => void,
): Registry {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    warn(`cannot parse flake registry '${path}': ${error instanceof Error ? error.message : String(error)}`);
    return { kind, entries: [] };
  }
  try {
    const { version, flakes } = json as { version?: unknown; flakes?: unknown };
    if (version !== VERSION)
      throw new DevshellError(
        "FLAKE_REGISTRY",
        `flake registry '${path}' has unsupported version ${String(version)}`,
      );
    if (!Array.isArray(flakes))
      throw new DevshellError("FLAKE_REGISTRY", `flake registry '${path}' has no list 'flakes'`);
    return { kind, entries: flakes.map((entry: unknown) => entryOf(entry, path)) };
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    warn(`cannot read flake registry '${path}': ${error.message}`);
    return { kind, entries: [] };
  }
}

function entryOf(value: unknown, path: string): RegistryEntry {
  if (typeof value !== "object" || value === null)
    throw new DevshellError("FLAKE_REGISTRY", `flake registry '${path}' has an entry that is no object`);
  const { from, to, exact } = value as { from?: unknown; to?: unknown; exact?: unknown };
  const bytes = bytesOfText(path);
  return {
    from: fetchInput(readAttributes(from, bytes)).attributes,
    to: flakeReference(readAttributes(to, bytes)),
    isExact: exact === true,
  };
}

/** Writes a registry as Nix does; a symbolic link stays one. */
export function writeRegistry(path: string, entries: readonly RegistryEntry[]): void {
  const flakes = entries.map(({ from, to, isExact }): LockJson => {
    const entry = new Map<string, LockJson>([
      ["from", from],
      ["to", attributesOf(to)],
    ]);
    return isExact ? entry.set("exact", true) : entry;
  });
  const json = new Map<string, LockJson>([
    ["version", BigInt(VERSION)],
    ["flakes", flakes],
  ]);
  const target = existsSync(path) ? realpathSync(path) : path;
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(`${target}.${process.pid}`, printLockJson(json), "latin1");
  renameSync(`${target}.${process.pid}`, target);
}

function match({ entries }: Registry, attributes: FlakeAttributes): ResolvedFlake | undefined {
  const bare = new Map(attributes);
  bare.delete("ref");
  bare.delete("rev");
  for (const { from, to, isExact } of entries) {
    const isSame = isSameAttributes(from, attributes);
    const dir = to.dir === "" ? undefined : to.dir;
    if (isExact) {
      if (isSame) return { attributes: new Map(to.attributes), dir };
    } else if (isSame || isSameAttributes(from, bare)) {
      const given = (name: string): string | undefined => {
        const value = attributes.get(name);
        return !from.has(name) && typeof value === "string" ? value : undefined;
      };
      return { attributes: withRevision(to.attributes, given("ref"), given("rev")), dir };
    }
  }
  return undefined;
}

const FORGES = new Set(["github", "gitlab", "sourcehut"]);

/** A reference with another branch or revision. @throws {DevshellError} where its type has none */
export function withRevision(
  given: FlakeAttributes,
  ref: string | undefined,
  rev: string | undefined,
): FlakeAttributes {
  const attributes = new Map(given);
  const type = attributes.get("type");
  const fail = (message: string): never => {
    throw new DevshellError("FLAKE_REFERENCE", message);
  };
  if (typeof type === "string" && FORGES.has(type)) {
    if (rev !== undefined && ref !== undefined)
      fail(
        `cannot apply both a commit hash (${rev}) and a branch/tag name ('${ref}') to input '${show(given)}'`,
      );
    if (rev !== undefined) attributes.set("rev", rev).delete("ref");
    if (ref !== undefined) attributes.set("ref", ref).delete("rev");
  } else if (type === "git" || type === "hg" || type === "indirect") {
    if (rev !== undefined) attributes.set("rev", rev);
    if (ref !== undefined) attributes.set("ref", ref);
    if (type === "git" && attributes.has("rev") && !attributes.has("ref"))
      fail(`Git input '${show(attributes)}' has a commit hash but no branch/tag name`);
  } else {
    if (ref !== undefined)
      fail(`don't know how to set branch/tag name of input '${show(given)}' to '${ref}'`);
    if (rev !== undefined) fail(`don't know how to set revision of input '${show(given)}' to '${rev}'`);
  }
  return attributes;
}

function show(attributes: FlakeAttributes): string {
  return textOfBytes(shownUrl(formatFlakeReference(attributes)));
}
