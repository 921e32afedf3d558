import { DevshellError, bytesOfText } from "../core/index.ts";
import { AttrSet } from "../lang/index.ts";
import { parseStorePath } from "../store/index.ts";
import { interactiveBashOf } from "./evaluate/evaluateFlake.ts";
import { evaluateSpec, type SpecEvaluation } from "./evaluate/evaluateSpec.ts";
import type { EvaluateOptions } from "./evaluate/selection.ts";
import {
  derivationsOf,
  isDerivation,
  readDerivationValue,
  type FoundDerivation,
} from "./evaluate/findDerivations.ts";
import { atSource, atSpec } from "./evaluate/specErrors.ts";
import { runInterruptibly } from "./interruptible.ts";
import { discoverSpec } from "./spec/discoverSpec.ts";
import { collectionOf } from "./spec/specExpression.ts";
import type { StoreContext } from "./storeContext.ts";
import type { DevSpec, EnvironmentRequest, InstantiatedSpec } from "./types.ts";

/**
 * Finds a request's spec and evaluates it to the one derivation whose environment it means.
 * @throws {DevshellError} as {@link discoverSpec}, what evaluation throws, `SPEC_NOT_ONE_DERIVATION`
 */
export async function instantiateSpec(
  context: StoreContext,
  request: EnvironmentRequest,
  onSpec?: (spec: DevSpec) => void,
): Promise<InstantiatedSpec> {
  context.emit({ kind: "stage", stage: "discover" });
  const spec = await discoverSpec(request, context.tracker);
  onSpec?.(spec);
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

/** Finds a spec, evaluates it, and gives all derivations of its values: for building. */
export async function instantiateDerivations(
  context: StoreContext,
  request: EnvironmentRequest,
  options: EvaluateOptions & { readonly onSpec?: ((spec: DevSpec) => void) | undefined } = { isShell: false },
): Promise<FoundDerivation[]> {
  context.emit({ kind: "stage", stage: "discover" });
  const spec = await discoverSpec(request, context.tracker);
  options.onSpec?.(spec);
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

/**
 * nixpkgs' Bash with line editing, where the search path or a flake's inputs have nixpkgs, as nix-shell starts it. The embedded
 * collection's environments have their own.
 */
function interactiveShell(
  context: StoreContext,
  { spec, evaluator, host, flake }: SpecEvaluation,
): InstantiatedSpec["shell"] {
  if ((process.env["NIX_BUILD_SHELL"] ?? "") !== "" || collectionOf(spec) === "debian") return undefined;
  if (flake === undefined && context.mode !== "impure") return undefined;
  try {
    if (flake !== undefined) {
      const bash = evaluator.run(() => interactiveBashOf(context, flake.flake));
      if (bash === undefined) return undefined;
      return { drvPath: readDerivationValue({ evaluator, host }, bash).drvPath, output: "out" };
    }
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

function refuseServices(spec: DevSpec): void {
  if (spec.kind !== "data" || spec.data.services.size === 0) return;
  throw new DevshellError("SPEC_SERVICES", `Cannot use spec "${spec.path}": services are not built yet`, {
    pos: atSource(spec.data.positions.get("services"), spec.path),
    hint: "remove the field `services`, or start them from a script",
  });
}
