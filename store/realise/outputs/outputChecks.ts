import { DevshellError, type ByteString } from "../../../core/index.ts";
import { isStorePath } from "../../format/storePath.ts";
import type { OutputName, StorePath, ValidPathInfo } from "../../types.ts";
import type { DerivationOptions, OutputChecks } from "../derivationOptions.ts";

export interface OutputChecksRequest {
  readonly storeDir: string;
  readonly drvPath: StorePath;
  readonly options: DerivationOptions;
  readonly infos: ReadonlyMap<OutputName, ValidPathInfo>;
  /** Of paths that are valid already. */
  readonly pathInfo: (path: StorePath) => ValidPathInfo;
}

/**
 * Judges new outputs by `allowedReferences` and its siblings.
 * @throws {DevshellError} `OUTPUT_REJECTED`
 */
export function checkOutputs(request: OutputChecksRequest): void {
  for (const [output, info] of request.infos) {
    const checks = request.options.checksFor(output);
    if (checks !== undefined) checkOutput(request, { output, info, checks });
  }
}

interface CheckedOutput {
  readonly output: OutputName;
  readonly info: ValidPathInfo;
  readonly checks: OutputChecks;
}

function checkOutput(request: OutputChecksRequest, { output, info, checks }: CheckedOutput): void {
  const { maxSizeBytes, maxClosureSizeBytes } = checks;
  if (maxSizeBytes !== undefined && info.narSizeBytes > maxSizeBytes)
    throw rejected(
      `path '${info.path}' is too large at ${info.narSizeBytes} bytes; limit is ${maxSizeBytes} bytes`,
    );
  const byPath = new Map([...request.infos.values()].map((member) => [member.path, member]));
  const infoOf = (path: StorePath): ValidPathInfo => byPath.get(path) ?? request.pathInfo(path);
  const closure = (): ReadonlySet<StorePath> => {
    const members = new Set([info.path]);
    for (const member of members) for (const reference of infoOf(member).references) members.add(reference);
    return members;
  };
  if (maxClosureSizeBytes !== undefined) {
    let size = 0;
    for (const member of closure()) size += infoOf(member).narSizeBytes;
    if (size > maxClosureSizeBytes)
      throw rejected(
        `closure of path '${info.path}' is too large at ${size} bytes; limit is ${maxClosureSizeBytes} bytes`,
      );
  }
  const judge = (list: readonly ByteString[], isAllowed: boolean, used: Iterable<StorePath>): void => {
    const named = new Set(list.map((item) => resolveItem(request, output, item)));
    const bad = [...used].filter((path) => named.has(path) !== isAllowed).sort();
    if (bad.length > 0)
      throw rejected(
        `output '${info.path}' is not allowed to refer to the following paths:\n  ${bad.join("\n  ")}`,
      );
  };
  const requisites = (): readonly StorePath[] =>
    [...closure()].filter((path) => !(checks.ignoreSelfReferences && path === info.path));
  if (checks.allowedReferences !== undefined) judge(checks.allowedReferences, true, info.references);
  if (checks.allowedRequisites !== undefined) judge(checks.allowedRequisites, true, requisites());
  if (checks.disallowedReferences.length > 0) judge(checks.disallowedReferences, false, info.references);
  if (checks.disallowedRequisites.length > 0) judge(checks.disallowedRequisites, false, requisites());
}

function resolveItem(request: OutputChecksRequest, output: OutputName, item: ByteString): StorePath {
  if (isStorePath(request.storeDir, item)) return item;
  const named = request.infos.get(item);
  if (named !== undefined) return named.path;
  const valid = [...request.infos.keys()].join(", ");
  throw rejected(
    `derivation '${request.drvPath}' output check for '${output}' contains output name '${item}', ` +
      `but this is not a valid output of this derivation. (Valid outputs are [${valid}].)`,
  );
}

function rejected(message: string): DevshellError {
  return new DevshellError("OUTPUT_REJECTED", message);
}
