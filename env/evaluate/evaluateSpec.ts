import { resolve } from "node:path";
import { DevshellError, bytesOfText, type SourceOrigin } from "../../core/index.ts";
import {
  AttrSet,
  DEFAULT_SETTINGS,
  EMPTY_SET,
  Lambda,
  createEvaluator,
  shapeOf,
  type DebugAnswer,
  type DebugStop,
  type DebuggerOptions,
  type EvalSettings,
  type Evaluator,
  type Slot,
  type Value,
} from "../../lang/index.ts";
import type { EvaluateOptions, SelectedValue } from "./selection.ts";
import { openFlakeSpec, selectFlakeOutputs, type OpenedFlake } from "./evaluateFlake.ts";
import type { StoreHost } from "../host/storeHost.ts";
import { collectionOf, specExpression } from "../spec/specExpression.ts";
import type { StoreContext } from "../storeContext.ts";
import type { DevSpec, EnvironmentRequest } from "../types.ts";

/** An evaluation of a spec: the evaluator and the values that the attribute paths select. */
export interface SpecEvaluation {
  readonly spec: DevSpec;
  readonly evaluator: Evaluator;
  readonly host: StoreHost;
  /** One for each of `-A`, else one. */
  readonly values: readonly SelectedValue[];
  /** Of a spec that is one. */
  readonly flake?: OpenedFlake | undefined;
}

export interface OpenEvaluationOptions {
  readonly directory: string;
  /** `-I`. */
  readonly includes: readonly string[];
  /** Where `devshell.lock` lies; undefined for what pins nothing. */
  readonly lockDirectory?: string | undefined;
  readonly isUpdate?: boolean | undefined;
  readonly showTrace?: boolean | undefined;
  /** A second evaluation, for what is printed without being evaluated; its messages were told by the first. */
  readonly isFullyLazy?: boolean | undefined;
  /** Makes evaluation stand still where it fails, or `builtins.break` asks for it, while this runs. */
  readonly onStop?: ((stop: DebugStop) => DebugAnswer) | undefined;
}

/** Evaluates a spec and selects the request's attributes; instantiates what they need on the way. */
export function evaluateSpec(
  context: StoreContext,
  spec: DevSpec,
  request: EnvironmentRequest,
  options: EvaluateOptions,
): SpecEvaluation {
  if (collectionOf(spec) === "debian") context.requireOwnBuilders();
  const isProject = spec.kind === "data" || spec.kind === "file";
  // A flake's evaluation is pure unless the settings say otherwise, as in Nix.
  if (spec.kind === "flake") context.becomePure();
  const { host, evaluator } = openEvaluation(context, {
    directory: request.directory,
    includes: request.includes ?? [],
    lockDirectory: isProject ? spec.root : undefined,
    isUpdate: options.isUpdate,
    showTrace: options.showTrace,
  });
  if (spec.kind === "flake") {
    const flake = openFlakeSpec(context, evaluator, spec, options);
    const values = evaluator.run(() => selectFlakeOutputs(context, flake, request, options));
    return { spec, evaluator, host, values, flake };
  }
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
    isSilent: options.isFullyLazy,
  });
  const evaluator = createEvaluator(host, {
    ...evalSettings(context, options.showTrace),
    isFullyLazy: options.isFullyLazy ?? false,
    searchPath,
    builtInSearchPath,
    outlines: context.tracker.outlines,
    debugger: options.onStop === undefined ? undefined : debuggerOptions(context, options.onStop),
  });
  return { evaluator, host };
}

function debuggerOptions(context: StoreContext, onStop: DebuggerOptions["onStop"]): DebuggerOptions {
  const { raw } = context.settings.config;
  return {
    ignoresTry: raw.get("ignore-try") === "true",
    stopsOnTrace: raw.get("debugger-on-trace") === "true",
    stopsOnWarning: raw.get("debugger-on-warn") === "true",
    onStop,
  };
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

/** What the user wrote is quoted as theirs; what we made of their words has a name that says so. */
function originOf(spec: DevSpec, text: string): SourceOrigin {
  return spec.kind === "expression"
    ? { kind: "string", text }
    : { kind: "file", path: bytesOfText(`«devshell»/${spec.kind}.nix`) };
}

function asksForShell(value: Value): boolean {
  return value instanceof Lambda && value.code.formals?.some(({ name }) => name === "inNixShell") === true;
}

/** Given arguments win over the one that a shell adds. */
function withShellArgument(plain: AttrSet): AttrSet {
  const entries = new Map<string, Slot>([["inNixShell", true]]);
  plain.forEachSorted((name, slot) => entries.set(name, slot));
  return setOf(entries);
}

function setOf(entries: ReadonlyMap<string, Slot>): AttrSet {
  return entries.size === 0 ? EMPTY_SET : new AttrSet(shapeOf([...entries.keys()]), [...entries.values()]);
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
    usesRegistries: raw.get("use-registries") !== "false",
    allowImportFromDerivation: raw.get("allow-import-from-derivation") !== "false",
    features: new Set([
      ...DEFAULT_SETTINGS.features,
      ...words("experimental-features"),
      ...words("extra-experimental-features"),
    ]),
    allowedUris: words("allowed-uris"),
    abortOnWarn:
      raw.get("abort-on-warn") === "true" || /^(1|true|yes)$/.test(process.env["NIX_ABORT_ON_WARN"] ?? ""),
    allowsNativeCode: raw.get("allow-unsafe-native-code-during-evaluation") === "true",
    traceVerbose: raw.get("trace-verbose") === "true",
    traceFunctionCalls: raw.get("trace-function-calls") === "true",
    lints: lintsOf(raw),
  };
}

const LINTS = ["lint-absolute-path-literals", "lint-short-path-literals", "lint-url-literals"];
function lintsOf(raw: ReadonlyMap<string, string>): Map<string, "warn" | "fatal"> {
  const lints = new Map<string, "warn" | "fatal">();
  for (const name of LINTS) {
    const deprecated = raw.get(name.replace(/^lint-/, "warn-")) === "true" ? "warn" : "ignore";
    const level = raw.get(name) ?? deprecated;
    if (level === "warn" || level === "fatal") lints.set(name, level);
    else if (level !== "ignore")
      throw new DevshellError(
        "STORE_CONFIG_INVALID",
        `Cannot use "${level}" for the option "${name}": expected "ignore", "warn" or "fatal"`,
      );
  }
  return lints;
}
