import { DevshellError } from "../../../core/index.ts";
import { parseContentAddress } from "../../format/contentAddress.ts";
import { outputPathName, storePathName } from "../../format/storePath.ts";
import type { DerivationOutput, OutputName, StorePath, ValidPathInfo } from "../../types.ts";
import { knownPath, type BuildRequest } from "../buildRequest.ts";
import { checkOutputs } from "./outputChecks.ts";
import type { OutputPaths } from "./outputPaths.ts";
import { registerRealisation } from "./registerBuild.ts";
import { BUILDER_RPC } from "../builder/restriction.ts";

/** @throws {DevshellError} `BUILD_REJECTED` where a builder is to say what its outputs are, and they do not follow from their content */
export function refuseSubmission({ drvPath, derivation, options }: BuildRequest): void {
  if (!options.requiredSystemFeatures.includes(BUILDER_RPC)) return;
  const isFit = [...derivation.outputs.values()].every(
    ({ kind }) => kind === "contentAddressed" || kind === "fixed",
  );
  if (!isFit)
    throw new DevshellError(
      "BUILD_REJECTED",
      `Cannot build '${drvPath}'.\nReason: the ${BUILDER_RPC} feature may only be used with content-addressing derivations.`,
      { exitStatus: 100 },
    );
}

/**
 * Registers what a builder said its outputs are, after all checks; the paths themselves it added while it ran.
 * @throws {DevshellError} `OUTPUT_REJECTED`, `HASH_MISMATCH`, `BUILD_NOT_DETERMINISTIC`
 */
export function registerSubmitted(
  request: BuildRequest,
  submitted: ReadonlyMap<OutputName, StorePath>,
): OutputPaths {
  const { store, drvPath, derivation, options, pathInfo } = request;
  for (const name of submitted.keys())
    if (!derivation.outputs.has(name))
      throw rejected(
        `builder for '${drvPath}' submitted unknown output '${name}' (Valid outputs are [${[...derivation.outputs.keys()].join(", ")}])`,
      );
  const infos = new Map<OutputName, ValidPathInfo>();
  for (const [name, output] of derivation.outputs) {
    const path = submitted.get(name);
    if (path === undefined)
      throw rejected(`builder for '${drvPath}' failed to submit output path for '${name}'`);
    const info = store.queryPathInfo(path);
    if (info === undefined)
      throw rejected(`output '${name}' of '${drvPath}' is '${path}', which is not valid`);
    checkName(request, name, path);
    checkContent(request, name, output, info);
    infos.set(name, info);
  }
  checkOutputs({ storeDir: store.settings.storeDir, drvPath, options, infos, pathInfo });
  for (const [name, { path }] of infos) {
    const known = knownPath(request, name);
    if (request.mode === "check" && known !== undefined && known !== path)
      throw new DevshellError(
        "BUILD_NOT_DETERMINISTIC",
        `derivation '${drvPath}' may not be deterministic: output '${name}' is '${path}', and was '${known}'`,
        { exitStatus: 104 },
      );
  }
  const paths = new Map([...infos].map(([name, { path }]) => [name, path]));
  for (const [name, outputPath] of paths)
    if (derivation.outputs.get(name)?.kind === "contentAddressed")
      registerRealisation(request, { drvPath, output: name, outputPath });
  return paths;
}

function checkName({ drvPath, derivation }: BuildRequest, output: OutputName, path: StorePath): void {
  const expected = outputPathName(derivation.name, output);
  const name = storePathName(path);
  if (name !== expected)
    throw rejected(
      `derivation '${drvPath}' output '${output}' (at '${path}') was named '${name}', expected '${expected}'`,
    );
}

/** Its path follows from its content in the way that the derivation says. */
function checkContent(
  { drvPath }: BuildRequest,
  name: OutputName,
  output: DerivationOutput,
  { path, contentAddress }: ValidPathInfo,
): void {
  if (output.kind === "fixed") {
    if (path === output.path) return;
    throw new DevshellError(
      "HASH_MISMATCH",
      `hash mismatch in fixed-output derivation '${drvPath}':\n  specified: ${output.path}\n     got:    ${path}`,
      { exitStatus: 102 },
    );
  }
  if (output.kind !== "contentAddressed") throw new Error("unreachable");
  const found = contentAddress === undefined ? undefined : parseContentAddress(contentAddress);
  if (found?.method !== output.method || found.hash.algorithm !== output.algorithm)
    throw rejected(
      `output '${name}' of '${drvPath}' (at '${path}') is addressed by '${contentAddress ?? ""}', not by ${output.method} and ${output.algorithm}`,
    );
}

function rejected(message: string): DevshellError {
  return new DevshellError("OUTPUT_REJECTED", message, { exitStatus: 100 });
}
