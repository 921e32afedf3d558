import { bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import {
  buildTopOf,
  exportedVariables,
  isSecret,
  type BuildEnvironment,
  type RenderOptions,
  type VariableOrigin,
} from "../../env/index.ts";
import { describePosition } from "./describePosition.ts";
import type { EnvironmentReport, OriginReport, VariableReport } from "./types.ts";

/**
 * What entering does to the caller's variables, by name. {@link applyReport} of it gives what `applyEnvironment` does.
 * @param caller whose temporary directory `NIX_BUILD_TOP` is
 */
export function describeVariables(
  environment: BuildEnvironment,
  caller: NodeJS.ProcessEnv,
  options: RenderOptions = {},
): VariableReport[] {
  const reports = new Map<string, VariableReport>();
  const unset = new Set(environment.unset);
  const originOf = (name: string): OriginReport => describeOrigin(environment.origins.get(name));
  for (const name of unset) {
    const isSecretName = isSecret(name, undefined);
    reports.set(name, { name, action: "unset", isSecret: isSecretName, origin: originOf(name) });
  }
  for (const [name, value] of exportedVariables(environment, options)) {
    const isPrepended = !environment.isPure && environment.appended.includes(name) && !unset.has(name);
    reports.set(name, describeValue(name, value, originOf(name), isPrepended ? ":" : undefined));
  }
  const buildTop = bytesOfText(buildTopOf(caller));
  reports.set("NIX_BUILD_TOP", describeValue("NIX_BUILD_TOP", buildTop, { by: "devshell" }));
  return inOrder(reports.values());
}

/** A variable that is set, or with a separator one that comes before the caller's own. */
export function describeValue(
  name: string,
  bytes: ByteString,
  origin: OriginReport,
  separator?: string,
): VariableReport {
  const value = textOfBytes(bytes);
  const facts = {
    name,
    isSecret: isSecret(name, value),
    origin,
    value,
    ...(bytesOfText(value) !== bytes && { base64: Buffer.from(bytes, "latin1").toString("base64") }),
  };
  return separator === undefined ? { ...facts, action: "set" } : { ...facts, action: "prepend", separator };
}

/** By the names' UTF-16 code units. */
export function inOrder(variables: Iterable<VariableReport>): VariableReport[] {
  return [...variables].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The caller's variables turned into the environment's, as a report's reader does it. */
export function applyReport(
  report: Pick<EnvironmentReport, "isPure" | "keep" | "variables">,
  caller: NodeJS.ProcessEnv,
): Map<string, ByteString> {
  const result = new Map<string, ByteString>();
  const keep = new Set(report.keep);
  for (const [name, value] of Object.entries(caller))
    if (value !== undefined && (!report.isPure || keep.has(name))) result.set(name, bytesOfText(value));
  for (const variable of report.variables) {
    if (variable.action === "unset") {
      result.delete(variable.name);
      continue;
    }
    const value = bytesOfReport(variable);
    const own = variable.action === "prepend" ? (result.get(variable.name) ?? "") : "";
    const isFollowed = variable.action === "prepend" && own !== "";
    result.set(variable.name, isFollowed ? `${value}${variable.separator}${own}` : value);
  }
  return result;
}

/** A reported value's bytes. */
export function bytesOfReport(variable: Exclude<VariableReport, { action: "unset" }>): ByteString {
  return variable.base64 === undefined
    ? bytesOfText(variable.value)
    : Buffer.from(variable.base64, "base64").toString("latin1");
}

function describeOrigin(origin: VariableOrigin | undefined): OriginReport {
  if (origin === undefined) return { by: "setup" };
  const position = describePosition(origin.pos);
  return {
    by: origin.by,
    ...(origin.detail !== undefined && { detail: origin.detail }),
    ...(position !== undefined && { position }),
  };
}
