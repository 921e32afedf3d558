import { DevshellError, textOfBytes, bytesOfText, type ByteString } from "../../core/index.ts";
import type { Derivation, OutputName, StoreConfig } from "../types.ts";

/** JSON as `__json` holds it: bigint for Nix's 64-bit integers, number for its floats. */
export type Json =
  | null
  | boolean
  | string
  | bigint
  | number
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What an output may and may not refer to; elements are store paths or names of outputs. */
export interface OutputChecks {
  readonly ignoreSelfReferences: boolean;
  readonly maxSizeBytes?: number | undefined;
  readonly maxClosureSizeBytes?: number | undefined;
  readonly allowedReferences?: readonly ByteString[] | undefined;
  readonly allowedRequisites?: readonly ByteString[] | undefined;
  readonly disallowedReferences: readonly ByteString[];
  readonly disallowedRequisites: readonly ByteString[];
}

/** The attributes of a derivation that tell the builder's machinery, not the builder, something. */
export interface DerivationOptions {
  /** The parsed `__json`; `undefined` without structured attributes. Strings in it are text. */
  readonly structured: { readonly [key: string]: Json } | undefined;
  checksFor(output: OutputName): OutputChecks | undefined;
  readonly passAsFile: ReadonlySet<ByteString>;
  /** File name (or key of the structured attributes) → store paths whose closure is described there. */
  readonly exportReferencesGraph: ReadonlyMap<ByteString, readonly ByteString[]>;
  readonly impureEnvVars: readonly ByteString[];
  readonly requiredSystemFeatures: readonly ByteString[];
  readonly unsafeDiscardReferences: ReadonlySet<OutputName>;
  readonly isOutsideSandbox: boolean;
  readonly preferLocalBuild: boolean;
  readonly allowSubstitutes: boolean;
  /** What is wrong without being an error. */
  readonly warnings: readonly string[];
}

const EXPORT_FILE_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/** @throws {DevshellError} `DRV_ATTRIBUTES` where an attribute has not the form it must have */
export function readDerivationOptions(derivation: Derivation): DerivationOptions {
  const encoded = derivation.env.get("__json");
  const structured = encoded === undefined ? undefined : parseStructured(encoded);
  const attributes =
    structured === undefined ? plainAttributes(derivation) : structuredAttributes(structured);
  return {
    structured,
    checksFor: structured === undefined ? plainChecks(attributes) : structuredChecks(structured),
    passAsFile: new Set(structured === undefined ? (attributes.list("passAsFile") ?? []) : []),
    exportReferencesGraph:
      structured === undefined
        ? plainGraphs(derivation)
        : structuredGraphs(structured["exportReferencesGraph"]),
    impureEnvVars: attributes.list("impureEnvVars") ?? [],
    requiredSystemFeatures: attributes.list("requiredSystemFeatures") ?? [],
    unsafeDiscardReferences: discarded(structured?.["unsafeDiscardReferences"]),
    isOutsideSandbox: attributes.flag("__noChroot", false),
    preferLocalBuild: attributes.flag("preferLocalBuild", false),
    allowSubstitutes: attributes.flag("allowSubstitutes", true),
    warnings: structured === undefined ? [] : structuredWarnings(structured),
  };
}

/** A derivation that is quicker to build than to fetch says so; users may have it fetched all the same. */
export function maySubstitute(derivation: Derivation, { raw }: Pick<StoreConfig, "raw">): boolean {
  return raw.get("always-allow-substitutes") === "true" || readDerivationOptions(derivation).allowSubstitutes;
}

/** One attribute as the builder would see it, from either form. */
export function derivationAttribute(derivation: Derivation, name: ByteString): ByteString | undefined {
  const encoded = derivation.env.get("__json");
  if (encoded === undefined) return derivation.env.get(name);
  const value = parseStructured(encoded)[textOfBytes(name)];
  if (typeof value === "string") return bytesOfText(value);
  if (typeof value === "boolean") return value ? "1" : "";
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  if (isArray(value))
    return value
      .filter((item) => typeof item === "string")
      .map(bytesOfText)
      .join(" ");
  return undefined;
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface Attributes {
  list(name: string): readonly ByteString[] | undefined;
  flag(name: string, fallback: boolean): boolean;
}

/** `JSON.parse` as Node 24 has it; TypeScript's library does not know the reviver's third argument yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: Json, context: { readonly source?: string }) => Json,
) => Json;

function parseStructured(encoded: ByteString): { readonly [key: string]: Json } {
  let value: Json;
  try {
    value = parseWithSource(textOfBytes(encoded), (_key, item, { source }) =>
      typeof item === "number" && source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : item,
    );
  } catch (cause) {
    throw new DevshellError("DRV_ATTRIBUTES", "cannot process __json attribute: it is not JSON", { cause });
  }
  if (!isObject(value))
    throw new DevshellError("DRV_ATTRIBUTES", "cannot process __json attribute: it is no object");
  return value;
}

function tokens(text: ByteString): readonly ByteString[] {
  return text.split(/[ \t\r\n]+/).filter((token) => token !== "");
}

function plainAttributes({ env }: Derivation): Attributes {
  return {
    list: (name) => {
      const value = env.get(name);
      return value === undefined ? undefined : tokens(value);
    },
    flag: (name, fallback) => {
      const value = env.get(name);
      return value === undefined ? fallback : value === "1";
    },
  };
}

function structuredAttributes(json: { readonly [key: string]: Json }): Attributes {
  return {
    list: (name) => (json[name] === undefined ? undefined : stringList(json[name], name)),
    flag: (name, fallback) => {
      const value = json[name];
      if (value === undefined) return fallback;
      if (typeof value !== "boolean")
        throw new DevshellError("DRV_ATTRIBUTES", `attribute '${name}' must be a Boolean`);
      return value;
    },
  };
}

function stringList(value: Json, name: string): readonly ByteString[] {
  if (!isArray(value))
    throw new DevshellError("DRV_ATTRIBUTES", `attribute '${name}' must be a list of strings`);
  return value.map((item) => {
    if (typeof item !== "string")
      throw new DevshellError("DRV_ATTRIBUTES", `attribute '${name}' must be a list of strings`);
    return bytesOfText(item);
  });
}

function plainChecks(attributes: Attributes): (output: OutputName) => OutputChecks {
  const checks: OutputChecks = {
    ignoreSelfReferences: true,
    allowedReferences: attributes.list("allowedReferences"),
    allowedRequisites: attributes.list("allowedRequisites"),
    disallowedReferences: attributes.list("disallowedReferences") ?? [],
    disallowedRequisites: attributes.list("disallowedRequisites") ?? [],
  };
  return () => checks;
}

function structuredChecks(json: {
  readonly [key: string]: Json;
}): (output: OutputName) => OutputChecks | undefined {
  const all = json["outputChecks"];
  if (!isObject(all)) return () => undefined;
  return (output) => {
    const checks = all[output];
    if (!isObject(checks)) return undefined;
    const list = (name: string): readonly ByteString[] | undefined =>
      checks[name] === undefined ? undefined : stringList(checks[name], `outputChecks.${output}.${name}`);
    const size = (name: string): number | undefined =>
      typeof checks[name] === "bigint" ? Number(checks[name]) : undefined;
    return {
      ignoreSelfReferences: false,
      maxSizeBytes: size("maxSize"),
      maxClosureSizeBytes: size("maxClosureSize"),
      allowedReferences: list("allowedReferences"),
      allowedRequisites: list("allowedRequisites"),
      disallowedReferences: list("disallowedReferences") ?? [],
      disallowedRequisites: list("disallowedRequisites") ?? [],
    };
  };
}

function plainGraphs({ env }: Derivation): ReadonlyMap<ByteString, readonly ByteString[]> {
  const text = env.get("exportReferencesGraph") ?? "";
  const words = tokens(text);
  if (words.length % 2 !== 0)
    throw new DevshellError("DRV_ATTRIBUTES", `odd number of tokens in 'exportReferencesGraph': '${text}'`);
  const graphs = new Map<ByteString, readonly ByteString[]>();
  for (let i = 0; i < words.length; i += 2) {
    const [fileName = "", path = ""] = words.slice(i, i + 2);
    if (!EXPORT_FILE_NAME.test(fileName))
      throw new DevshellError("DRV_ATTRIBUTES", `invalid file name '${fileName}' in 'exportReferencesGraph'`);
    graphs.set(fileName, [path]);
  }
  return graphs;
}

function structuredGraphs(value: Json | undefined): ReadonlyMap<ByteString, readonly ByteString[]> {
  const graphs = new Map<ByteString, readonly ByteString[]>();
  if (!isObject(value)) return graphs;
  const flatten = (item: Json): ByteString[] => {
    if (typeof item === "string") return [bytesOfText(item)];
    if (isArray(item)) return item.flatMap(flatten);
    throw new DevshellError("DRV_ATTRIBUTES", "'exportReferencesGraph' value is not an array or a string");
  };
  for (const [key, item] of Object.entries(value)) graphs.set(key, [...new Set(flatten(item))]);
  return graphs;
}

function structuredWarnings({ exportReferencesGraph }: { readonly [key: string]: Json }): readonly string[] {
  return exportReferencesGraph === undefined || isObject(exportReferencesGraph)
    ? []
    : ["'exportReferencesGraph' in structured attrs is not a JSON object, ignoring"];
}

function discarded(value: Json | undefined): ReadonlySet<OutputName> {
  if (!isObject(value)) return new Set();
  return new Set(
    Object.entries(value).flatMap(([output, isDiscarded]) => (isDiscarded === true ? [output] : [])),
  );
}
