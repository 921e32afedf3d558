import {
  DevshellError,
  bytesOfText,
  encodeNix32,
  formatError,
  hashBytes,
  nameProblem,
  type ByteString,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
import type { ContextElement, IngestionMethod, InstantiateRequest, InstantiatedDerivation } from "../host.ts";
import { printJson, quoteJson } from "../print/index.ts";
import {
  AttrSet,
  NO_POS,
  addFrame,
  asDevshellError,
  coerceToString,
  force,
  forceAttrs,
  forceBool,
  forceList,
  forceString,
  forceStringNoContext,
  getAttr,
  shapeOf,
  makeString,
  quoteAttrName,
  showPos,
  sourcePos,
  type Pos,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, define2, failure, type Definition } from "./define.ts";
import { parseHashAllowEmpty } from "./hashes.ts";
import { normalStructuredAttributes } from "./json/normalJson.ts";

/**
 * `derivation`, in the language. Traces show its lines, so the ones that can fail stand where they stand in Nix.
 */
export const DERIVATION_SOURCE = `\
# \`derivation\`: a set per output, built on the primitive \`derivationStrict\`, which writes the derivation.
#
# What it is given: at least \`name\`, \`system\` and \`builder\`; \`args\` and \`outputs\` if wanted. Every further attribute
# becomes a variable of the build: numbers, paths, lists and other derivations as the strings they coerce to.
#
# What it gives back: the first output as a set that holds
#   - all it was given, and \`drvAttrs\`, which is just that;
#   - \`drvPath\`, the derivation file;
#   - \`outPath\`, where this output will be; a string made from it makes whatever uses that string depend on the output;
#   - \`type = "derivation"\`, by which other code knows such a set;
#   - each output by its name, the name of its own (\`outputName\`), and the list of \`all\` outputs.
#
# Nothing is written before \`drvPath\` or an \`outPath\` is asked for, so a package set of any size costs only what is
# used of it, and packages may refer to each other in circles as long as their builds do not.
#
# An output is built when a command asks for it, or when evaluation needs to look inside it: \`import\`, \`readFile\` and
# \`readDir\` of a path below an \`outPath\` build it first ("import from derivation").
#
# For one that fails while it is evaluated, the trace names the attribute and where its \`name\` was written. Both come
# from \`derivationStrict\`; the frames in between lie in this text.
#
# The primitive knows only \`derivationStrict { ... } -> { drvPath, <output> ... }\`. All else is plain language, below, and
# could be written by anybody: that is why it is here and not a builtin.
#
# It takes its argument by pattern only to have a default for \`outputs\`; other attributes stay as they are.
#
#
#
drvAttrs@{
  outputs ? [ "out" ],
  ...
}:

let

  strict = derivationStrict drvAttrs;

  commonAttrs = drvAttrs // builtins.listToAttrs outputsList // {
    all = map (output: output.value) outputsList;
    inherit drvAttrs;
  };

  # Their names come from \`outputs\`; the first one is the default.
  # \`outPath\` and \`drvPath\` are what a build needs, \`type\` marks the set.
  # One for each output, lazily: they refer to each other through commonAttrs.
  outputsList = map (outputName: {
    name = outputName;
    value = commonAttrs // {
      outPath = strict.\${outputName};
      drvPath = strict.drvPath;
      type = "derivation";
      inherit outputName;
    };
  }) outputs;

in
(builtins.head outputsList).value
`;

export function derivationBuiltins(runtime: Runtime): readonly Definition[] {
  const known: DerivationValues = new Map();
  return [
    define1(
      "derivationStrict",
      "attrs",
      "Writes a derivation: `{ drvPath, <output>, … }`. `derivation` is built on it.",
      (_, attrs) => derivationStrict(runtime, known, attrs),
      { isGlobal: true },
    ),
    define1(
      "placeholder",
      "output",
      "A string that a build replaces by the path of its own output.",
      (_, output) =>
        hashPlaceholder(
          forceStringNoContext(
            output,
            NO_POS,
            "while evaluating the first argument passed to builtins.placeholder",
          ),
        ),
      { isGlobal: true },
    ),
    define2(
      "outputOf",
      "derivation-reference output-name",
      "The output of a derivation that is itself the output of a build.",
      (_, reference, outputName) => outputOf(runtime, reference, outputName),
      { feature: "dynamic-derivations" },
    ),
  ];
}

function hashPlaceholder(output: ByteString): ByteString {
  return `/${encodeNix32(hashBytes("sha256", `nix-output:${output}`).digest)}`;
}

/** What stands for an output's path where that is not known before the build. */
export function placeholderOf(drvPath: ByteString, output: ByteString): ByteString {
  const base = drvPath.slice(drvPath.lastIndexOf("/") + 1);
  const hash = base.slice(0, 32);
  const name = base.slice(33, -".drv".length);
  const outputName = output === "out" ? name : `${name}-${output}`;
  return `/${encodeNix32(hashBytes("sha256", `nix-upstream-output:${hash}:${outputName}`).digest)}`;
}

function outputOf(runtime: Runtime, reference: Slot, outputName: Slot): Value {
  const frame = "while evaluating the first argument to builtins.outputOf";
  const context = new Set<ContextElement>();
  const text = forceString(reference, NO_POS, frame, context);
  const [element] = context;
  if (context.size !== 1 || element === undefined)
    throw addFrame(
      failure(
        `string '${text}' has ${context.size} entries in its context. It should only have exactly one entry`,
      ),
      frame,
    );
  if (element.startsWith("="))
    throw addFrame(
      failure(
        `string '${text}' has a context which refers to a complete source and binary closure. This is not supported at this time`,
      ),
      frame,
    );
  const output = forceStringNoContext(
    outputName,
    NO_POS,
    "while evaluating the second argument to builtins.outputOf",
  );
  if (!element.startsWith("!")) {
    if (text !== element)
      throw addFrame(
        failure(`path string '${text}' has context with the different path '${element}'`),
        frame,
      );
    const place = runtime.host.outputPath(element, output) ?? placeholderOf(element, output);
    return makeString(place, new Set([`!${output}!${element}`]));
  }
  // A placeholder of a placeholder: the inner one's digest, compressed, takes the place of the path's hash.
  const inner = hashBytes("sha256", `nix-upstream-output:${innerPlaceholderText(element)}`).digest;
  const clear = `nix-computed-output:${encodeNix32(compress(inner))}:${output}`;
  return makeString(`/${encodeNix32(hashBytes("sha256", clear).digest)}`, new Set([`!${output}${element}`]));
}

function innerPlaceholderText(element: ContextElement): ByteString {
  const end = element.lastIndexOf("!");
  const base = element.slice(element.lastIndexOf("/") + 1);
  const output = element.slice(1, end);
  const name = base.slice(33, -".drv".length);
  return `${base.slice(0, 32)}:${output === "out" ? name : `${name}-${output}`}`;
}

function compress(digest: Buffer): Buffer {
  const short = Buffer.alloc(20);
  for (let i = 0; i < digest.length; i++) short[i % 20] = short[i % 20]! ^ digest[i]!;
  return short;
}

/** `drvPath` → what `derivationStrict` gives: one that is asked for again shares its strings and their contexts. */
type DerivationValues = Map<ByteString, Value>;

function derivationStrict(runtime: Runtime, known: DerivationValues, argument: Slot): Value {
  const attrs = forceAttrs(
    argument,
    NO_POS,
    "while evaluating the argument passed to builtins.derivationStrict",
  );
  const nameSlot = getAttr(attrs, "name", "in the attrset passed as argument to builtins.derivationStrict");
  const namePos = attrs.posOf("name");
  let name: ByteString;
  try {
    name = forceStringNoContext(
      nameSlot,
      NO_POS,
      "while evaluating the `name` attribute passed to builtins.derivationStrict",
    );
  } catch (error) {
    throw addFrame(error, "while evaluating the derivation attribute 'name'", namePos);
  }
  try {
    const written = new DerivationWriter(runtime, name).write(attrs);
    let value = known.get(written.drvPath);
    if (value === undefined) known.set(written.drvPath, (value = valueOf(written)));
    return value;
  } catch (error) {
    const told = asDevshellError(error);
    if (told === undefined) throw error;
    throw addFrame(
      told,
      `while evaluating derivation '${name}'\n  whose name attribute is located at ${showPos(namePos)}`,
      NO_POS,
      true,
    );
  }
}

function valueOf({ drvPath, outputs }: InstantiatedDerivation): Value {
  const names = ["drvPath"];
  const values: Slot[] = [makeString(drvPath, new Set([`=${drvPath}`]))];
  for (const [output, path] of outputs) {
    names.push(output);
    values.push(makeString(path, new Set([`!${output}!${drvPath}`])));
  }
  return new AttrSet(shapeOf(names), values);
}

/** Attributes that `__structuredAttrs` makes meaningless. */
const CHECKS = new Set([
  "allowedReferences",
  "allowedRequisites",
  "disallowedReferences",
  "disallowedRequisites",
  "maxSize",
  "maxClosureSize",
]);

const FEATURE_HINT = "add '--extra-experimental-features %' to enable it";

/** Collects what a derivation's attributes say, in the order of their names, and has the host write it. */
class DerivationWriter {
  readonly #runtime: Runtime;
  readonly #name: ByteString;
  readonly #context = new Set<ContextElement>();
  readonly #env = new Map<ByteString, ByteString>();
  readonly #args: ByteString[] = [];
  /** `undefined` unless `__structuredAttrs`; then `"name":value` of each attribute. */
  #structured: string[] | undefined;
  #builder: ByteString = "";
  #system: ByteString = "";
  #outputs: ByteString[] = ["out"];
  #isContentAddressed = false;
  #isImpure = false;
  #isSubmittingOutputs = false;
  #outputHash: string | undefined;
  #hashAlgorithm: HashAlgorithm | undefined;
  #method: IngestionMethod | undefined;

  constructor(runtime: Runtime, name: ByteString) {
    this.#runtime = runtime;
    this.#name = name;
  }

  write(attrs: AttrSet): InstantiatedDerivation {
    const name = this.#name;
    const problem = nameProblem(name);
    if (problem !== undefined)
      throw failure(`invalid derivation name: ${problem}. Please pass a different 'name'.`);
    const structured = attrs.get("__structuredAttrs");
    if (
      structured !== undefined &&
      forceBool(
        structured,
        NO_POS,
        "while evaluating the `__structuredAttrs` attribute passed to builtins.derivationStrict",
      )
    )
      this.#structured = [];
    const ignoreNulls = attrs.get("__ignoreNulls");
    const ignoresNulls =
      ignoreNulls !== undefined &&
      forceBool(
        ignoreNulls,
        NO_POS,
        "while evaluating the `__ignoreNulls` attribute passed to builtins.derivationStrict",
      );
    const flat = attrs.flatten();
    const { names, positions } = flat.shape;
    for (const i of flat.shape.order()) {
      const key = names[i]!;
      if (key === "__ignoreNulls") continue;
      const slot = flat.values[i]!;
      const pos = positions?.[i] ?? NO_POS;
      try {
        if (ignoresNulls && force(slot) === null) continue;
        this.#attribute(key, slot, pos);
      } catch (error) {
        throw addFrame(
          error,
          `while evaluating attribute '${quoteAttrName(key)}' of derivation '${name}'`,
          pos,
        );
      }
    }
    if (this.#structured !== undefined) this.#env.set("__json", `{${this.#structured.join(",")}}`);
    return this.#instantiate();
  }

  #attribute(key: string, slot: Slot, pos: Pos): void {
    switch (key) {
      case "__contentAddressed":
        if (!forceBool(slot, NO_POS, "")) return;
        this.#requireFeature("ca-derivations");
        this.#isContentAddressed = true;
        return;
      case "__impure":
        if (!forceBool(slot, NO_POS, "")) return;
        this.#requireFeature("impure-derivations");
        this.#isImpure = true;
        return;
      case "args":
        for (const item of forceList(slot, NO_POS, ""))
          this.#args.push(
            coerceToString(
              this.#runtime,
              item,
              this.#context,
              NO_POS,
              "while evaluating an element of the argument list",
              COERCE_MORE,
            ),
          );
        return;
      default:
        if (this.#structured === undefined) this.#variable(key, slot, pos);
        else this.#structuredAttribute(this.#structured, key, slot, pos);
    }
  }

  #variable(key: string, slot: Slot, pos: Pos): void {
    const text = coerceToString(this.#runtime, slot, this.#context, NO_POS, "", COERCE_MORE);
    if (key === "__json") {
      this.#warn(
        pos,
        "setting structured attributes via '__json' is deprecated, and may be disallowed in future versions of Nix. Set '__structuredAttrs = true' instead.",
      );
      this.#env.set(key, normalStructuredAttributes(text));
      return;
    }
    this.#env.set(key, text);
    switch (key) {
      case "builder":
        this.#builder = text;
        break;
      case "system":
        this.#system = text;
        break;
      case "outputHash":
        this.#outputHash = text;
        break;
      case "outputHashAlgo":
        this.#setAlgorithm(text);
        break;
      case "outputHashMode":
        this.#setMode(text);
        break;
      case "outputs":
        this.#setOutputs(wordsOf(text));
        break;
      case "requiredSystemFeatures":
        this.#setFeatures(wordsOf(text));
        break;
    }
  }

  #structuredAttribute(structured: string[], key: string, slot: Slot, pos: Pos): void {
    if (key === "__structuredAttrs") return;
    structured.push(`${quoteJson(key)}:${printJson(this.#runtime, slot, this.#context)}`);
    switch (key) {
      case "builder":
        this.#builder = forceString(slot, NO_POS, "", this.#context);
        break;
      case "system":
        this.#system = forceStringNoContext(slot, NO_POS, "");
        break;
      case "outputHash":
        this.#outputHash = forceStringNoContext(slot, NO_POS, "");
        break;
      case "outputHashAlgo":
        this.#setAlgorithm(forceStringNoContext(slot, NO_POS, ""));
        break;
      case "outputHashMode":
        this.#setMode(forceStringNoContext(slot, NO_POS, ""));
        break;
      case "outputs":
        this.#setOutputs(
          forceList(slot, NO_POS, "").map((output) => forceStringNoContext(output, NO_POS, "")),
        );
        break;
      case "requiredSystemFeatures":
        if (this.#runtime.settings.features.has("dynamic-derivations"))
          this.#setFeatures(
            forceList(slot, NO_POS, "").map((feature) => forceString(feature, NO_POS, "", this.#context)),
          );
        break;
      default:
        if (CHECKS.has(key))
          this.#warn(
            pos,
            `'structuredAttrs' disables the effect of the derivation attribute '${key}'; use 'outputChecks.<output>.${key}' instead`,
          );
    }
  }

  /** An unknown name counts as none, as in Nix. */
  #setAlgorithm(name: string): void {
    this.#hashAlgorithm =
      name === "md5" || name === "sha1" || name === "sha256" || name === "sha512" ? name : undefined;
  }

  #setMode(mode: string): void {
    switch (mode) {
      case "recursive":
      case "nar":
        this.#method = "nar";
        return;
      case "flat":
        this.#method = "flat";
        return;
      case "text":
        this.#method = "text";
        this.#requireFeature(
          "dynamic-derivations",
          `text-hashed derivation '${this.#name}', outputHashMode = "text"`,
        );
        return;
      case "git":
        this.#method = "git";
        this.#requireFeature("git-hashing");
        return;
      default:
        throw failure(`invalid value '${mode}' for 'outputHashMode' attribute`);
    }
  }

  #setOutputs(outputs: string[]): void {
    const seen = new Set<string>();
    for (const output of outputs) {
      if (seen.has(output)) throw failure(`duplicate derivation output '${output}'`);
      if (output === "drvPath") throw failure("invalid derivation output name 'drvPath'");
      seen.add(output);
    }
    if (outputs.length === 0) throw failure("derivation cannot have an empty set of outputs");
    this.#outputs = outputs;
  }

  #setFeatures(features: readonly string[]): void {
    this.#isSubmittingOutputs =
      features.includes("builder-rpc-v0") && this.#runtime.settings.features.has("dynamic-derivations");
  }

  #requireFeature(feature: string, reason?: string): void {
    if (this.#runtime.settings.features.has(feature)) return;
    const suffix = reason === undefined ? "" : ` (${reason})`;
    throw failure(
      `experimental Nix feature '${feature}' is disabled${suffix}; ${FEATURE_HINT.replace("%", feature)}`,
    );
  }

  #warn(pos: Pos, message: string): void {
    const frame = { message: `while evaluating derivation '${this.#name}'` };
    const warning = new DevshellError("LANG_WARNING", message, { pos: sourcePos(pos), trace: [frame] });
    this.#runtime.host.warn(bytesOfText(formatError(warning, { level: "warning" })));
  }

  #instantiate(): InstantiatedDerivation {
    const name = this.#name;
    if (this.#builder === "") throw failure("required attribute 'builder' missing");
    if (this.#system === "") throw failure("required attribute 'system' missing");
    const isOnlyOut = this.#outputs.length === 1 && this.#outputs[0] === "out";
    if (name.endsWith(".drv") && !(this.#method === "text" && isOnlyOut))
      throw failure(
        "derivation names are allowed to end in '.drv' only if they produce a single derivation file",
      );
    return this.#runtime.host.instantiate({
      name,
      system: this.#system,
      builder: this.#builder,
      args: this.#args,
      env: this.#env,
      outputs: this.#outputs,
      kind: this.#kind(isOnlyOut),
      context: this.#context,
      isSubmittingOutputs: this.#isSubmittingOutputs,
    });
  }

  #kind(isOnlyOut: boolean): InstantiateRequest["kind"] {
    if (this.#outputHash !== undefined) {
      if (!isOnlyOut) throw failure("multiple outputs are not supported in fixed-output derivations");
      const hash: Hash = parseHashAllowEmpty(this.#outputHash, this.#hashAlgorithm, (message) =>
        this.#runtime.host.warn(message),
      );
      return { kind: "fixed", hash, method: this.#method ?? "flat" };
    }
    if (!this.#isContentAddressed && !this.#isImpure) return { kind: "inputAddressed" };
    if (this.#isContentAddressed && this.#isImpure)
      throw failure("derivation cannot be both content-addressed and impure");
    return {
      kind: this.#isImpure ? "impure" : "contentAddressed",
      algorithm: this.#hashAlgorithm ?? "sha256",
      method: this.#method ?? "nar",
    };
  }
}

function wordsOf(text: string): string[] {
  return text.split(/[ \t\n\r]+/).filter((word) => word !== "");
}

const COERCE_MORE = { more: true } as const;
