import {
  DevshellError,
  bytesOfText,
  formatHash,
  isHashAlgorithm,
  parseHash,
  textOfBytes,
  type ByteString,
  type HashAlgorithm,
} from "../../../core/index.ts";
import {
  DerivationHasher,
  makeDerivation,
  parseStorePath,
  type Derivation,
  type DerivationOutput,
  type DynamicInput,
  type IngestionMethod,
  type MadeDerivation,
  type StorePath,
} from "../../../store/index.ts";

/** The version of the format: https://nix.dev/manual/nix/latest/protocols/json/derivation */
export const DERIVATION_JSON_VERSION = 4;

/** A derivation as `nix derivation show` prints it; store paths are base names. */
export function derivationToJson(drv: Derivation): unknown {
  const env = new Map(drv.env);
  const structured = env.get("__json");
  env.delete("__json");
  return {
    args: drv.args.map(textOfBytes),
    builder: textOfBytes(drv.builder),
    env: Object.fromEntries(
      [...env].map(([name, value]) => [textOfBytes(name), textOfBytes(value)]).toSorted(byName),
    ),
    inputs: {
      drvs: Object.fromEntries(
        [...drv.inputDrvs]
          .map(([path, outputs]) => {
            const children = drv.dynamicInputs?.get(path) ?? new Map<string, DynamicInput>();
            return [baseName(path), inputJson(outputs, children)] as const;
          })
          .toSorted(byName),
      ),
      srcs: drv.inputSrcs.map(baseName).toSorted(),
    },
    name: drv.name,
    outputs: Object.fromEntries(
      [...drv.outputs].map(([name, output]) => [name, outputJson(output)] as const).toSorted(byName),
    ),
    ...(structured === undefined ? {} : { structuredAttrs: JSON.parse(textOfBytes(structured)) as unknown }),
    system: textOfBytes(drv.system),
    version: DERIVATION_JSON_VERSION,
  };
}

/**
 * Reads what {@link derivationToJson} prints. Output paths are computed: those that are given must be the same.
 * @throws {DevshellError} `DRV_JSON_INVALID`, `DRV_OUTPUT_WRONG`
 */
export function derivationFromJson(
  text: string,
  storeDir: string,
  read: (drvPath: StorePath) => Derivation,
  features: ReadonlySet<string>,
): MadeDerivation {
  const json = objectOf(parseJson(text), "the derivation");
  if (json["version"] !== DERIVATION_JSON_VERSION)
    throw new DevshellError(
      "DRV_JSON_INVALID",
      `Unsupported derivation JSON format version ${String(json["version"])}, only format version ${DERIVATION_JSON_VERSION} is currently supported.`,
    );
  const outputs = Object.entries(objectOf(json["outputs"], "'outputs'"));
  const env = new Map(
    Object.entries(objectOf(json["env"], "'env'")).map(([name, value]) => [
      bytesOfText(name),
      bytes(value, `'env.${name}'`),
    ]),
  );
  if (json["structuredAttrs"] !== undefined)
    env.set("__json", bytesOfText(JSON.stringify(sortedKeys(json["structuredAttrs"]))));
  const made = makeDerivation(
    {
      name: bytes(json["name"], "'name'"),
      system: bytes(json["system"], "'system'"),
      builder: bytes(json["builder"], "'builder'"),
      args: list(json["args"], "'args'").map((argument) => bytes(argument, "'args'")),
      env,
      outputs: outputs.map(([name]) => name),
      kind: kindOf(outputs.map(([, output]) => objectOf(output, "'outputs'"))),
      context: contextOfInputs(objectOf(json["inputs"], "'inputs'"), storeDir),
    },
    new DerivationHasher(storeDir, read),
    () => [],
  );
  requireFeatures(made.derivation, features);
  for (const [name, output] of outputs) {
    const { path } = objectOf(output, "'outputs'");
    const given = path === undefined ? undefined : bytes(path, "'path'");
    const expected = made.outputs.get(name) ?? "";
    if (given !== undefined && `${storeDir}/${given}` !== expected)
      throw new DevshellError(
        "DRV_OUTPUT_WRONG",
        `derivation has incorrect output '${given}', should be '${baseName(expected)}'`,
      );
  }
  return made;
}

/** @throws {DevshellError} `DRV_FEATURE` where a derivation is of a kind that is not enabled */
function requireFeatures({ outputs, dynamicInputs }: Derivation, features: ReadonlySet<string>): void {
  const needed = new Set<string>();
  for (const { kind } of outputs.values())
    if (kind === "contentAddressed") needed.add("ca-derivations");
    else if (kind === "impure") needed.add("impure-derivations");
  if ((dynamicInputs?.size ?? 0) > 0) needed.add("dynamic-derivations");
  for (const feature of needed)
    if (!features.has(feature))
      throw new DevshellError(
        "DRV_FEATURE",
        `experimental Nix feature '${feature}' is disabled; add '--extra-experimental-features ${feature}' to enable it`,
      );
}

type Json = Readonly<Record<string, unknown>>;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : "it is no JSON");
  }
}

function invalid(why: string): DevshellError {
  return new DevshellError("DRV_JSON_INVALID", `Cannot read derivation from JSON: ${why}`);
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`${what} is not an object`);
  return value as Json;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} is not an array`);
  return value as readonly unknown[];
}

function bytes(value: unknown, what: string): ByteString {
  if (typeof value !== "string") throw invalid(`${what} is not a string`);
  return bytesOfText(value);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

function inputJson(outputs: readonly string[], children: ReadonlyMap<string, DynamicInput>): unknown {
  const dynamicOutputs = [...children].map(
    ([name, child]) => [name, inputJson(child.outputs, child.children)] as const,
  );
  return { dynamicOutputs: Object.fromEntries(dynamicOutputs.toSorted(byName)), outputs: outputs.toSorted() };
}

function outputJson(output: DerivationOutput): unknown {
  switch (output.kind) {
    case "inputAddressed":
      return { path: baseName(output.path) };
    case "fixed":
      return { hash: formatHash(output.hash, "sri"), method: output.method };
    case "contentAddressed":
      return { hashAlgo: output.algorithm, method: output.method };
    case "impure":
      return { hashAlgo: output.algorithm, impure: true, method: output.method };
    case "deferred":
      return {};
  }
}

/** All outputs are of one kind. */
function kindOf(outputs: readonly Json[]): Parameters<typeof makeDerivation>[0]["kind"] {
  const [first] = outputs;
  if (first === undefined) throw invalid("'outputs' is empty");
  if (outputs.some((output) => shapeOf(output) !== shapeOf(first)))
    throw invalid("its outputs are of different kinds");
  switch (shapeOf(first)) {
    case "":
    case "path":
      return { kind: "inputAddressed" };
    case "hash method":
      return {
        kind: "fixed",
        hash: parseHash(bytes(first["hash"], "'hash'"), undefined),
        method: methodOf(first["method"]),
      };
    case "hashAlgo method":
      return {
        kind: "contentAddressed",
        algorithm: algorithmOf(first["hashAlgo"]),
        method: methodOf(first["method"]),
      };
    case "hashAlgo impure method":
      return { kind: "impure", algorithm: algorithmOf(first["hashAlgo"]), method: methodOf(first["method"]) };
    default:
      throw invalid("invalid JSON for derivation output");
  }
}

function shapeOf(output: Json): string {
  return Object.keys(output).toSorted().join(" ");
}

function methodOf(value: unknown): IngestionMethod {
  if (value === "flat" || value === "nar" || value === "text" || value === "git") return value;
  throw invalid(`the method '${String(value)}' is unknown`);
}

function algorithmOf(value: unknown): HashAlgorithm {
  if (typeof value === "string" && isHashAlgorithm(value)) return value;
  throw invalid(`the hash algorithm '${String(value)}' is unknown`);
}

function contextOfInputs(inputs: Json, storeDir: string): Set<ByteString> {
  const path = (name: string): StorePath => parseStorePath(storeDir, `${storeDir}/${bytesOfText(name)}`);
  const context = new Set<ByteString>();
  for (const src of list(inputs["srcs"], "'srcs'")) context.add(path(bytes(src, "'srcs'")));
  for (const [drv, input] of Object.entries(objectOf(inputs["drvs"], "'drvs'"))) {
    const { outputs, dynamicOutputs = {} } = objectOf(input, "'drvs'");
    if (Object.keys(objectOf(dynamicOutputs, "'dynamicOutputs'")).length > 0)
      throw invalid("outputs of outputs are not built yet");
    for (const output of list(outputs, "'outputs'"))
      context.add(`!${bytes(output, "'outputs'")}!${path(drv)}`);
  }
  return context;
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, item]) => [name, sortedKeys(item)] as const)
      .toSorted(byName),
  );
}
