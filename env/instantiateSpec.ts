import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  DevshellError,
  bytesOfText,
  textOfBytes,
  type ByteString,
  type SourceOrigin,
  type SourcePos,
} from "../core/index.ts";
import {
  AttrSet,
  DEFAULT_SETTINGS,
  EMPTY_SET,
  Lambda,
  coerceToString,
  createEvaluator,
  evalError,
  force,
  forceString,
  internShape,
  isList,
  type EvalSettings,
  type Evaluator,
  type Slot,
  type Value,
} from "../lang/index.ts";
import { parseStorePath, type StorePath } from "../store/index.ts";
import type { StoreHost } from "./host/storeHost.ts";
import { runInterruptibly } from "./interruptible.ts";
import { discoverSpec } from "./spec/discoverSpec.ts";
import { collectionOf, specExpression } from "./spec/specExpression.ts";
import type { StoreContext } from "./storeContext.ts";
import { suggestNames } from "./suggest.ts";
import type { DevSpec, EnvironmentRequest, InstantiatedSpec } from "./types.ts";

/** A derivation as an expression gave it. */
export interface FoundDerivation {
  readonly drvPath: StorePath;
  /** The output that the value stands for. */
  readonly outputName: string;
  readonly name: string;
  /** The derivation as the expression gave it; absent for a `.drv` file. */
  readonly value?: AttrSet | undefined;
}

/** An evaluation of a spec: the evaluator and the values that the attribute paths select. */
export interface SpecEvaluation {
  readonly spec: DevSpec;
  readonly evaluator: Evaluator;
  readonly host: StoreHost;
  /** One for each of `-A`, else one. */
  readonly values: readonly SelectedValue[];
}

export interface SelectedValue {
  /** Empty for the whole. */
  readonly attribute: string;
  readonly slot: Slot;
  /** What functions on the way are called with. */
  readonly autoArguments: AttrSet;
}

export interface EvaluateOptions {
  /** Functions that ask for `inNixShell` get `true`. */
  readonly isShell: boolean;
  /** Pins of `devshell.lock` are made anew. */
  readonly isUpdate?: boolean | undefined;
  readonly showTrace?: boolean | undefined;
}

/**
 * Finds a request's spec and evaluates it to the one derivation whose environment it means.
 * @throws {DevshellError} as {@link discoverSpec}, what evaluation throws, `SPEC_NOT_ONE_DERIVATION`
 */
export async function instantiateSpec(
  context: StoreContext,
  request: EnvironmentRequest,
): Promise<InstantiatedSpec> {
  context.emit({ kind: "stage", stage: "discover" });
  const spec = await discoverSpec(request, context.tracker);
  refuseServices(spec);
  if (spec.kind === "derivation") {
    const drvPath = parseStorePath(context.store.storeDir, bytesOfText(spec.drvPath));
    return { spec, request, drvPath, outputName: "out" };
  }
  context.emit({ kind: "stage", stage: "evaluate" });
  try {
    return runInterruptibly(() => {
      const evaluation = evaluateSpec(context, spec, request, { isShell: true });
      const found = evaluation.values.flatMap((value) => derivationsOf(evaluation, value));
      const only = oneDerivation(found, request, evaluation);
      const shell = interactiveShell(context, evaluation);
      evaluation.host.flush();
      context.finishCollection();
      return { spec, request, drvPath: only.drvPath, outputName: only.outputName, shell };
    });
  } catch (error) {
    throw atSpec(error, spec, context.collectionFailure);
  }
}

/** Evaluates a spec and selects the request's attributes; instantiates what they need on the way. */
export function evaluateSpec(
  context: StoreContext,
  spec: DevSpec,
  request: EnvironmentRequest,
  options: EvaluateOptions,
): SpecEvaluation {
  const isProject = spec.kind === "data" || spec.kind === "file";
  const { host, evaluator } = openEvaluation(context, {
    directory: request.directory,
    includes: request.includes ?? [],
    lockDirectory: isProject ? spec.root : undefined,
    isUpdate: options.isUpdate,
    showTrace: options.showTrace,
  });
  const source = specExpression(spec);
  if ("drvPath" in source) throw new DevshellError("SPEC_DERIVATION", "Cannot evaluate a derivation file");
  const root =
    "file" in source
      ? evaluator.evalFile(bytesOfText(source.file))
      : evaluator.evalText(
          bytesOfText(source.text),
          bytesOfText(source.baseDirectory),
          originOf(spec, source.text),
        );
  const plain = autoArguments(evaluator, request);
  const forShell = options.isShell ? withShellArgument(plain) : plain;
  const argumentsFor = (value: Value): AttrSet => (asksForShell(value) ? forShell : plain);
  const attributes = request.attributes ?? [];
  const values = (attributes.length === 0 ? [""] : attributes).map((attribute): SelectedValue => {
    const { slot } = evaluator.selectAttrPath(root, bytesOfText(attribute), argumentsFor(root));
    const value = evaluator.force(slot);
    return { attribute, slot: value, autoArguments: argumentsFor(value) };
  });
  return { spec, evaluator, host, values };
}

/** What the user wrote is quoted as theirs; what we made of their words has a name that says so. */
function originOf(spec: DevSpec, text: string): SourceOrigin {
  return spec.kind === "expression"
    ? { kind: "string", text }
    : { kind: "file", path: bytesOfText(`«devshell»/${spec.kind}.nix`) };
}

export interface OpenEvaluationOptions {
  readonly directory: string;
  /** `-I`. */
  readonly includes: readonly string[];
  /** Where `devshell.lock` lies; undefined for what pins nothing. */
  readonly lockDirectory?: string | undefined;
  readonly isUpdate?: boolean | undefined;
  readonly showTrace?: boolean | undefined;
}

/** An evaluator over a context's store and search path, with the settings in force. */
export function openEvaluation(
  context: StoreContext,
  options: OpenEvaluationOptions,
): { readonly evaluator: Evaluator; readonly host: StoreHost } {
  const { host, searchPath, builtInSearchPath } = context.evaluationHost({
    directory: options.directory,
    includes: options.includes,
    lockDirectory: options.lockDirectory,
    isUpdate: options.isUpdate,
  });
  const evaluator = createEvaluator(host, {
    ...evalSettings(context, options.showTrace),
    searchPath,
    builtInSearchPath,
  });
  return { evaluator, host };
}

/** Finds a spec, evaluates it, and gives all derivations of its values: for building. */
export async function instantiateDerivations(
  context: StoreContext,
  request: EnvironmentRequest,
  options: EvaluateOptions = { isShell: false },
): Promise<FoundDerivation[]> {
  context.emit({ kind: "stage", stage: "discover" });
  const spec = await discoverSpec(request, context.tracker);
  if (spec.kind === "derivation") {
    const drvPath = parseStorePath(context.store.storeDir, bytesOfText(spec.drvPath));
    return [{ drvPath, outputName: "*", name: context.store.readDerivation(drvPath).name }];
  }
  context.emit({ kind: "stage", stage: "evaluate" });
  try {
    return runInterruptibly(() => {
      const evaluation = evaluateSpec(context, spec, request, options);
      const found = evaluation.values.flatMap((value) => derivationsOf(evaluation, value));
      evaluation.host.flush();
      context.finishCollection();
      return found;
    });
  } catch (error) {
    throw atSpec(error, spec, context.collectionFailure);
  }
}

/** A value's derivations, as nix-build takes them: itself, or those of its attributes or elements. */
export function derivationsOf(
  evaluation: Pick<SpecEvaluation, "evaluator" | "host">,
  selected: Pick<SelectedValue, "slot" | "autoArguments">,
): FoundDerivation[] {
  const found: FoundDerivation[] = [];
  collectDerivations(evaluation, selected.slot, selected.autoArguments, found, new Set(), 0);
  return found;
}

/** Sets within sets; a set may well hold itself. */
const MAX_SEARCH_DEPTH = 10_000;

/** Attribute names that take part in a search for derivations. */
const SEARCHED_NAME = /^[A-Za-z_][A-Za-z0-9_+-]*$/;

function collectDerivations(
  evaluation: Pick<SpecEvaluation, "evaluator" | "host">,
  slot: Slot,
  autoArguments: AttrSet,
  found: FoundDerivation[],
  done: Set<AttrSet>,
  depth: number,
): void {
  if (depth > MAX_SEARCH_DEPTH) throw evalError("stackOverflow", "stack overflow; max-call-depth exceeded");
  const isRoot = depth === 0;
  const value = evaluation.evaluator.autoCall(slot, autoArguments);
  if (value instanceof AttrSet) {
    if (isDerivation(value)) {
      if (!done.has(value)) found.push(readDerivationValue(evaluation, value));
      done.add(value);
      return;
    }
    if (!isRoot && !isTrue(value.get("recurseForDerivations"))) return;
    for (const name of value.sortedNames()) {
      const item = value.get(name);
      if (item === undefined || !SEARCHED_NAME.test(name)) continue;
      const inner = force(item);
      if (inner instanceof AttrSet || inner instanceof Lambda)
        collectDerivations(evaluation, inner, autoArguments, found, done, depth + 1);
    }
  } else if (isList(value))
    for (const item of value) collectDerivations(evaluation, item, autoArguments, found, done, depth + 1);
  else if (isRoot)
    throw new DevshellError(
      "SPEC_NOT_A_DERIVATION",
      "expression does not evaluate to a derivation (or a set or list of those)",
    );
}

function isDerivation(value: AttrSet): boolean {
  const type = value.get("type");
  return type !== undefined && force(type) === "derivation";
}

function isTrue(slot: Slot | undefined): boolean {
  return slot !== undefined && force(slot) === true;
}

function readDerivationValue(
  { evaluator, host }: Pick<SpecEvaluation, "evaluator" | "host">,
  value: AttrSet,
): FoundDerivation {
  const text = (name: string): ByteString | undefined => {
    const slot = value.get(name);
    if (slot === undefined) return undefined;
    const context = new Set<string>();
    return name === "drvPath"
      ? coerceToString(
          evaluator.runtime,
          slot,
          context,
          value.posOf(name),
          `while evaluating the '${name}' attribute of a derivation`,
        )
      : forceString(slot, value.posOf(name), `while evaluating the '${name}' attribute of a derivation`);
  };
  const drvPath = text("drvPath");
  if (drvPath === undefined)
    throw new DevshellError("SPEC_NOT_A_DERIVATION", "derivation does not contain a 'drvPath' attribute");
  return {
    drvPath: parseStorePath(host.storeDir, drvPath),
    outputName: text("outputName") ?? "out",
    name: textOfBytes(text("name") ?? ""),
    value,
  };
}

function oneDerivation(
  found: readonly FoundDerivation[],
  request: EnvironmentRequest,
  evaluation: SpecEvaluation,
): FoundDerivation {
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const names = found.slice(0, 5).map(({ name }) => `"${name}"`);
  const what =
    found.length === 0
      ? "found none"
      : `found ${found.length}: ${names.join(", ")}${found.length > names.length ? ", …" : ""}`;
  const hasAttributes = (request.attributes ?? []).length > 0;
  const isCollection = evaluation.spec.kind === "searchPath" || found.length > 1;
  throw new DevshellError("SPEC_NOT_ONE_DERIVATION", `Cannot enter: a shell needs one derivation, ${what}`, {
    hint: hasAttributes
      ? "use -p for an environment of several packages"
      : isCollection
        ? "name an attribute with -A"
        : "the spec must evaluate to a derivation, such as mkShell makes",
  });
}

function asksForShell(value: Value): boolean {
  return value instanceof Lambda && value.code.formals?.some(({ name }) => name === "inNixShell") === true;
}

/** What `--arg` and `--argstr` give, as a set. */
export function autoArguments(
  evaluator: Evaluator,
  request: Pick<EnvironmentRequest, "arguments" | "directory">,
): AttrSet {
  const entries = new Map<string, Slot>();
  for (const { name, kind, value } of request.arguments ?? []) {
    const slot: Slot =
      kind === "string"
        ? bytesOfText(value)
        : evaluator.evalText(bytesOfText(value), bytesOfText(resolve(request.directory)), {
            kind: "string",
            text: value,
          });
    entries.set(bytesOfText(name), slot);
  }
  return setOf(entries);
}

/** Given arguments win over the one that a shell adds. */
function withShellArgument(plain: AttrSet): AttrSet {
  const entries = new Map<string, Slot>([["inNixShell", true]]);
  plain.forEachSorted((name, slot) => entries.set(name, slot));
  return setOf(entries);
}

function setOf(entries: ReadonlyMap<string, Slot>): AttrSet {
  return entries.size === 0
    ? EMPTY_SET
    : new AttrSet(internShape([...entries.keys()]), [...entries.values()]);
}

/**
 * nixpkgs' Bash with line editing, where the search path has nixpkgs, as nix-shell starts it. The embedded
 * collection's environments have their own.
 */
function interactiveShell(
  context: StoreContext,
  { spec, evaluator, host }: SpecEvaluation,
): InstantiatedSpec["shell"] {
  if ((process.env["NIX_BUILD_SHELL"] ?? "") !== "" || context.mode !== "impure") return undefined;
  if (collectionOf(spec) === "debian") return undefined;
  try {
    if (evaluator.findFile("nixpkgs") === undefined) return undefined;
    const value = evaluator.evalText("(import <nixpkgs> { }).bashInteractive", "/", {
      kind: "string",
      text: "(import <nixpkgs> { }).bashInteractive",
    });
    if (!(value instanceof AttrSet) || !isDerivation(value)) return undefined;
    const { drvPath } = readDerivationValue({ evaluator, host }, value);
    return { drvPath, output: "out" };
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    return undefined;
  }
}

function evalSettings(context: StoreContext, showTrace = false): EvalSettings {
  const { raw } = context.settings.config;
  const words = (name: string): string[] => (raw.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
  return {
    ...DEFAULT_SETTINGS,
    isPure: context.mode === "pure",
    isRestricted: context.mode === "restricted",
    showTrace: showTrace || raw.get("show-trace") === "true",
    maxCallDepth: context.maxCallDepth,
    allowImportFromDerivation: raw.get("allow-import-from-derivation") !== "false",
    features: new Set([
      ...DEFAULT_SETTINGS.features,
      ...words("experimental-features"),
      ...words("extra-experimental-features"),
    ]),
    allowedUris: words("allowed-uris"),
    abortOnWarn: raw.get("abort-on-warn") === "true",
    traceVerbose: raw.get("trace-verbose") === "true",
    lints: lintsOf(raw),
  };
}

const LINTS = ["lint-absolute-path-literals", "lint-short-path-literals", "lint-url-literals"];

function lintsOf(raw: ReadonlyMap<string, string>): Map<string, "warn" | "fatal"> {
  const lints = new Map<string, "warn" | "fatal">();
  for (const name of LINTS) {
    const level = raw.get(name) ?? "ignore";
    if (level === "warn" || level === "fatal") lints.set(name, level);
    else if (level !== "ignore")
      throw new DevshellError(
        "STORE_CONFIG_INVALID",
        `Cannot use "${level}" for the option "${name}": expected "ignore", "warn" or "fatal"`,
      );
  }
  return lints;
}

/** Gives an error about a package that a data spec names the place where it is named. */
function atSpec(thrown: unknown, spec: DevSpec, indexFailure: DevshellError | undefined): unknown {
  if (!(thrown instanceof DevshellError)) return thrown;
  const error =
    indexFailure === undefined || !/^(?:attribute|undefined variable) '.*' /.test(`${thrown.message} `)
      ? thrown
      : unknownForNow(thrown, indexFailure);
  if (spec.kind === "packages") return atPackage(error, spec.names, spec.collection);
  if (spec.kind !== "data") return error;
  const { data } = spec;
  for (const field of ["packages", "inputsFrom"] as const)
    for (const [n, { name, version }] of data[field].entries()) {
      const isUnknown = [`"${name}"`, `'${name}'`].some((quoted) => error.message.includes(quoted));
      const noVersion =
        version === undefined ? -1 : error.message.indexOf(`no version ${version} of ${name}:`);
      if (!isUnknown && noVersion < 0) continue;
      const message = isUnknown
        ? `Cannot find package "${name}" in the collection "${data.collection}"`
        : `Cannot find ${error.message.slice(noVersion + "no ".length)}`;
      return new DevshellError("SPEC_PACKAGE", message, {
        pos: atSource(data.positions.get(`${field}/${n}`), spec.path),
        hint: error.hint,
        suggestions: isUnknown ? nearest(name, error.suggestions) : [],
        cause: error,
      });
    }
  return error;
}

/** A package that the lock does not pin may well exist: nobody could be asked. */
function unknownForNow(error: DevshellError, indexFailure: DevshellError): DevshellError {
  const { code, message, pos, trace } = error;
  return new DevshellError(code, message, {
    pos,
    trace,
    hint: `only the packages of devshell.lock are known, since the archive's index cannot be had: ${indexFailure.message}; ${indexFailure.hint ?? "try again later"}`,
    cause: indexFailure,
  });
}

/** Names the package of `-p` that an evaluation did not find. */
function atPackage(error: DevshellError, names: readonly string[], collection: string): DevshellError {
  const unknown = names.find((name) => error.message === `attribute '${name}' missing`);
  if (unknown === undefined) return error;
  return new DevshellError(
    "SPEC_PACKAGE",
    `Cannot find package "${unknown}" in the collection "${collection}"`,
    { hint: error.hint, suggestions: nearest(unknown, error.suggestions), cause: error },
  );
}

/** Suggestions that swap two letters come first: the commonest slip. */
function nearest(name: string, suggestions: readonly string[]): readonly string[] {
  const near = suggestNames(name, suggestions);
  return near.length > 0 ? near : suggestions;
}

function refuseServices(spec: DevSpec): void {
  if (spec.kind !== "data" || spec.data.services.size === 0) return;
  throw new DevshellError("SPEC_SERVICES", `Cannot use spec "${spec.path}": services are not built yet`, {
    pos: atSource(spec.data.positions.get("services"), spec.path),
    hint: "remove the field `services`, or start them from a script",
  });
}

function atSource(pos: SourcePos | undefined, path: string): SourcePos | undefined {
  return pos === undefined ? undefined : { ...pos, text: readSource(path) };
}

function readSource(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
