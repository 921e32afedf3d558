import type { ByteString } from "../../../core/index.ts";
import {
  AttrSet,
  Float,
  NO_POS,
  coerceToString,
  enterLevel,
  calls,
  evalError,
  force,
  forceAttrs,
  forceBool,
  forceList,
  forceString,
  forceStringNoContext,
  isInteger,
  isList,
  isStringValue,
  parseDerivationName,
  textOf,
  type Runtime,
  type Value,
} from "../../../lang/index.ts";
import { parseStorePath, type StorePath } from "../../../store/index.ts";

/** By name, sorted; the path only where it was asked for. */
export type PackageOutputs = readonly (readonly [name: ByteString, path: StorePath | undefined])[];

/** A derivation of an expression as `nix-env` looks at it: each attribute is evaluated when first asked for. */
export class EnvPackage {
  /** Where it was found: `a.b.c`; names with other characters are never looked at. */
  readonly attributePath: string;
  name: ByteString;
  /** Its outputs could not be evaluated: passed over. */
  hasFailed = false;
  readonly #runtime: Runtime;
  readonly #attrs: AttrSet;
  #outputs: PackageOutputs | undefined;
  #parsedName: ReturnType<typeof parseDerivationName> | undefined;
  /** Metadata that a user has set: in place of the expression's. */
  readonly #givenMeta = new Map<ByteString, Value>();

  /** @throws EvalError where the derivation has no name */
  constructor(runtime: Runtime, attributePath: string, attrs: AttrSet) {
    this.#runtime = runtime;
    this.#attrs = attrs;
    this.attributePath = attributePath;
    const name = attrs.get("name");
    if (name === undefined) throw evalError("type", "derivation name missing");
    this.name = forceStringNoContext(name, NO_POS, "while evaluating the 'name' attribute of a derivation");
  }

  /** The name without its version, and the version. */
  get parsedName(): ReturnType<typeof parseDerivationName> {
    return (this.#parsedName ??= parseDerivationName(this.name));
  }

  rename(name: ByteString): void {
    this.name = name;
    this.#parsedName = undefined;
  }

  get hasSystem(): boolean {
    return this.#attrs.has("system");
  }

  get system(): ByteString {
    return this.#text("system", "while evaluating the 'system' attribute of a derivation") ?? "unknown";
  }

  get outputName(): ByteString {
    return this.#text("outputName", "while evaluating the output name of a derivation") ?? "";
  }

  get drvPath(): StorePath | undefined {
    return this.#storePath(
      this.#attrs,
      "drvPath",
      "while evaluating the 'drvPath' attribute of a derivation",
    );
  }

  get outPath(): StorePath {
    const path = this.#storePath(this.#attrs, "outPath", "while evaluating the output path of a derivation");
    if (path === undefined) throw evalError("eval", "derivation does not have attribute 'outPath'");
    return path;
  }

  /** What the first call finds stays, with or without paths, as in Nix. */
  outputs(hasPaths: boolean): PackageOutputs {
    return (this.#outputs ??= this.#findOutputs(hasPaths));
  }

  /** The outputs that a user environment gets: the one that was chosen, `meta.outputsToInstall`, or all. */
  outputsToInstall(): PackageOutputs {
    const outputs = this.outputs(true);
    const specified = this.#attrs.get("outputSpecified");
    const isSpecified =
      specified !== undefined &&
      forceBool(
        specified,
        this.#attrs.posOf("outputSpecified"),
        "while evaluating the 'outputSpecified' attribute of a derivation",
      );
    if (isSpecified) {
      const only = outputs.find(([name]) => name === this.outputName);
      if (only === undefined) throw evalError("eval", `derivation does not have output '${this.outputName}'`);
      return [only];
    }
    const wanted = this.metaValue("outputsToInstall");
    if (wanted === undefined) return outputs;
    const bad = (): Error => evalError("eval", "this derivation has bad 'meta.outputsToInstall'");
    if (!isList(wanted)) throw bad();
    const names = new Set(
      wanted.map((item) => {
        const value = force(item);
        if (!isStringValue(value)) throw bad();
        return textOf(value);
      }),
    );
    const chosen = outputs.filter(([name]) => names.has(name));
    if (chosen.length < names.size) throw bad();
    return chosen;
  }

  metaNames(): readonly ByteString[] {
    return [...new Set([...(this.#meta()?.sortedNames() ?? []), ...this.#givenMeta.keys()])].sort();
  }

  setMeta(name: ByteString, value: Value): void {
    this.#givenMeta.set(name, value);
  }

  /** A value of `meta`, evaluated to its depth; `undefined` where it is none that metadata can be. */
  metaValue(name: ByteString): Value | undefined {
    const given = this.#givenMeta.get(name);
    if (given !== undefined) return given;
    const meta = this.#meta();
    const slot = meta?.get(name);
    if (slot === undefined) return undefined;
    const value = force(slot, meta?.posOf(name));
    return isMetadata(value) ? value : undefined;
  }

  metaString(name: ByteString): ByteString {
    const value = this.metaValue(name);
    return value !== undefined && isStringValue(value) ? textOf(value) : "";
  }

  /** Which of two packages hides the other's files: the lower number. Numbers were strings once. */
  get priority(): bigint {
    const value = this.metaValue("priority");
    if (value !== undefined && isInteger(value)) return BigInt(value);
    const text = value !== undefined && isStringValue(value) ? textOf(value) : "";
    return /^-?\d{1,18}$/.test(text) ? BigInt(text) : 0n;
  }

  /** Whether it is to stay as it is when others are installed or upgraded. */
  get isKept(): boolean {
    const value = this.metaValue("keep");
    return value === true || (value !== undefined && isStringValue(value) && textOf(value) === "true");
  }

  #findOutputs(hasPaths: boolean): PackageOutputs {
    const slot = this.#attrs.get("outputs");
    if (slot === undefined) return [["out", hasPaths ? this.outPath : undefined]];
    const pos = this.#attrs.posOf("outputs");
    const outputs = new Map<ByteString, StorePath | undefined>();
    for (const item of forceList(slot, pos, "while evaluating the 'outputs' attribute of a derivation")) {
      const name = forceStringNoContext(item, pos, "while evaluating the name of an output of a derivation");
      if (!hasPaths) {
        outputs.set(name, undefined);
        continue;
      }
      const output = this.#attrs.get(name);
      if (output === undefined) continue;
      const set = forceAttrs(output, pos, "while evaluating an output of a derivation");
      const path = this.#storePath(set, "outPath", "while evaluating an output path of a derivation");
      if (path !== undefined && !outputs.has(name)) outputs.set(name, path);
    }
    return [...outputs].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #meta(): AttrSet | undefined {
    const slot = this.#attrs.get("meta");
    if (slot === undefined) return undefined;
    const context = "while evaluating the 'meta' attribute of a derivation";
    return forceAttrs(slot, this.#attrs.posOf("meta"), context);
  }

  #text(name: string, context: string): ByteString | undefined {
    const slot = this.#attrs.get(name);
    return slot === undefined ? undefined : forceString(slot, this.#attrs.posOf(name), context);
  }

  #storePath(set: AttrSet, name: string, frame: string): StorePath | undefined {
    const slot = set.get(name);
    if (slot === undefined) return undefined;
    const text = coerceToString(this.#runtime, slot, new Set(), set.posOf(name), frame);
    return parseStorePath(this.#runtime.host.storeDir, text);
  }
}

/** Plain data all through; no derivations, functions, paths or nulls. */
function isMetadata(value: Value): boolean {
  enterLevel(NO_POS);
  const result = isPlain(value);
  calls.depth--;
  return result;
}

function isPlain(value: Value): boolean {
  if (isList(value)) return value.every((item) => isMetadata(force(item)));
  if (value instanceof AttrSet)
    return !value.has("outPath") && value.sortedNames().every((name) => isMetadata(force(value.get(name)!)));
  return isInteger(value) || typeof value === "boolean" || isStringValue(value) || value instanceof Float;
}
