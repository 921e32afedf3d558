import { existsSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import { storePathBaseName } from "../format/storePath.ts";
import type { BuiltinBuilder, Derivation, StorePath, ValidPathInfo } from "../types.ts";
import type { DerivationOptions } from "./derivationOptions.ts";
import type { RealiseStore } from "./storePort.ts";

export interface BuildRequest {
  readonly store: RealiseStore;
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  readonly options: DerivationOptions;
  /** The closure of the inputs, all valid. */
  readonly inputPaths: ReadonlySet<StorePath>;
  readonly pathInfo: (path: StorePath) => ValidPathInfo;
  readonly builtin: BuiltinBuilder | undefined;
  readonly mode: "normal" | "check" | "repair";
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
  readonly onPhase: (phase: string) => void;
  readonly onProgress: (doneBytes: number, totalBytes?: number) => void;
}

/** Why this machine may not build it, in Nix's words; `undefined` where it may. */
export function buildObstacle(
  drvPath: StorePath,
  derivation: Derivation,
  options: DerivationOptions,
  { config }: RealiseStore["settings"],
): DevshellError | undefined {
  const reasons: string[] = [];
  const isBuiltin = derivation.builder.startsWith("builtin:");
  if (config.maxJobs === 0 && !isBuiltin)
    reasons.push(
      "local builds are disabled (max-jobs = 0)\nHint: set 'max-jobs' to a non-zero value to enable local builds, " +
        "or configure remote builders via 'builders'",
    );
  const isOurs = derivation.system === config.system || config.extraPlatforms.includes(derivation.system);
  if (!isOurs && !isBuiltin)
    reasons.push(
      `platform mismatch\nRequired system: '${derivation.system}'\nCurrent system: '${config.system}'`,
    );
  const available = systemFeatures(config.raw.get("system-features"));
  const missing = options.requiredSystemFeatures.filter((feature) => !available.includes(feature));
  if (missing.length > 0 && !isBuiltin)
    reasons.push(
      `missing system features\nRequired features: {${[...options.requiredSystemFeatures].sort().join(", ")}}\n` +
        `Available features: {${available.join(", ")}}`,
    );
  const [floating] = [...derivation.outputs].filter(
    ([, output]) => output.kind !== "inputAddressed" && output.kind !== "fixed",
  );
  if (reasons.length === 0 && floating !== undefined)
    return new DevshellError(
      "BUILD_UNSUPPORTED",
      `Cannot build '${drvPath}': output '${floating[0]}' is ${floating[1].kind}, which is not built yet`,
    );
  if (reasons.length === 0) return undefined;
  return new DevshellError(
    "BUILD_REJECTED",
    [`Cannot build '${drvPath}'.`, ...reasons.map((reason) => `Reason: ${reason}`)].join("\n"),
  );
}

/** The outputs' paths as far as they are known before the build. */
export function finalPaths(derivation: Derivation): readonly StorePath[] {
  return [...derivation.outputs.values()].flatMap((output) => ("path" in output ? [output.path] : []));
}

/** As Nix ends the message of a build that failed. */
export function knownOutputsText(derivation: Derivation): string {
  const paths = [...derivation.outputs.values()].flatMap((output) => ("path" in output ? [output.path] : []));
  return paths.length === 0
    ? ""
    : `\nOutput paths:${paths
        .sort()
        .map((path) => `\n  ${path}`)
        .join("")}`;
}

/** For messages: what a derivation is called. */
export function derivationLabel(drvPath: StorePath): string {
  return storePathBaseName(drvPath)
    .slice(33)
    .replace(/\.drv$/, "");
}

function systemFeatures(configured: string | undefined): readonly string[] {
  if (configured !== undefined)
    return configured
      .split(/\s+/)
      .filter((word) => word !== "")
      .sort();
  return ["benchmark", "big-parallel", ...(existsSync("/dev/kvm") ? ["kvm"] : []), "nixos-test"];
}
