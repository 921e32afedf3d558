import { existsSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import { derivationKind } from "../format/derivation.ts";
import { storePathBaseName } from "../format/storePath.ts";
import type { BuiltinBuilder, Derivation, OutputName, StorePath, ValidPathInfo } from "../types.ts";
import type { DerivationOptions } from "./derivationOptions.ts";
import { isFeatureOn } from "./experimentalFeatures.ts";
import { externalBuilderFor } from "./builder/externalBuilders.ts";
import { BUILDER_RPC, RECURSIVE_NIX, type ServeBuilder } from "./builder/restriction.ts";
import type { RealiseStore } from "./storePort.ts";

/** Build what is missing, compare with what is there, or replace it. */
export type BuildMode = "normal" | "check" | "repair";

export interface BuildRequest {
  readonly store: RealiseStore;
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  readonly options: DerivationOptions;
  /** The closure of the inputs, all valid. */
  readonly inputPaths: ReadonlySet<StorePath>;
  readonly pathInfo: (path: StorePath) => ValidPathInfo;
  readonly builtin: BuiltinBuilder | undefined;
  /** Asked for by someone who may not act as us. */
  readonly isForStranger: boolean;
  /** What the builder says is shown while it does. */
  readonly isLogShown: boolean;
  readonly serveBuilder: ServeBuilder | undefined;
  readonly mode: BuildMode;
  readonly signal: AbortSignal;
  /** Told once the builder is started. */
  readonly onBegun: (() => void) | undefined;
  readonly onLine: (line: string) => void;
  /** Told what is wrong beside the build itself. */
  readonly onWarn: (problem: string) => void;
  readonly onPhase: (phase: string) => void;
  readonly onProgress: (doneBytes: number, totalBytes?: number) => void;
}

/** Why this machine may not build it, in Nix's words; `undefined` where it may. */
export function buildObstacle(
  drvPath: StorePath,
  derivation: Derivation,
  options: DerivationOptions,
  settings: RealiseStore["settings"],
): DevshellError | undefined {
  const { config } = settings;
  // A store that goes with its process is told from others where it is asked for, as in Nix.
  if (settings.transientRoot !== undefined)
    return new DevshellError(
      "BUILD_REJECTED",
      "Unable to build with a primary store that isn't a local store; either pass a different '--store' or enable remote builds.\n\n" +
        "For more information check 'man nix.conf' and search for '/machines'.",
      { exitStatus: 100 },
    );
  const reasons: string[] = [];
  const isBuiltin = derivation.builder.startsWith("builtin:");
  if (config.maxJobs === 0 && !isBuiltin)
    reasons.push(
      "local builds are disabled (max-jobs = 0)\nHint: set 'max-jobs' to a non-zero value to enable local builds, " +
        "or configure remote builders via 'builders'",
    );
  const isOurs = derivation.system === config.system || config.extraPlatforms.includes(derivation.system);
  if (!isOurs && !isBuiltin && externalBuilderFor(settings, derivation.system) === undefined)
    reasons.push(
      `platform mismatch\nRequired system: '${derivation.system}'\nCurrent system: '${config.system}'`,
    );
  const available = systemFeatures(config);
  const missing = options.requiredSystemFeatures.filter((feature) => !available.includes(feature));
  if (missing.length > 0 && !isBuiltin)
    reasons.push(
      `missing system features\nRequired features: {${[...options.requiredSystemFeatures].sort().join(", ")}}\n` +
        `Available features: {${available.join(", ")}}`,
    );
  if (reasons.length === 0) return undefined;
  return new DevshellError(
    "BUILD_REJECTED",
    [`Cannot build '${drvPath}'.`, ...reasons.map((reason) => `Reason: ${reason}`)].join("\n"),
    { exitStatus: 100 },
  );
}

/** The end of a log, in the message of a failure. */
export function quotedLog(
  { drvPath, isLogShown }: Pick<BuildRequest, "drvPath" | "isLogShown">,
  tail: readonly string[],
): string {
  if (isLogShown || tail.length === 0) return "";
  return `\nLast ${tail.length} log lines:\n${tail.map((line) => `> ${line}\n`).join("")}For full logs, run:\n  nix log ${drvPath}`;
}

/** Where an output is, by the derivation or by what an earlier build had; its files may be gone. */
export function knownPath(
  { store, drvPath, derivation }: Pick<BuildRequest, "store" | "drvPath" | "derivation">,
  name: OutputName,
): StorePath | undefined {
  const output = derivation.outputs.get(name);
  if (output === undefined) return undefined;
  if ("path" in output) return output.path;
  return output.kind === "impure" ? undefined : store.queryRealisation(drvPath, name)?.outputPath;
}

/** Whether the builder sees the host's network, and so could hand open files to others. */
export function hasNetwork(derivation: Derivation): boolean {
  const kind = derivationKind(derivation);
  return kind === "fixed" || kind === "impure";
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

function systemFeatures(config: RealiseStore["settings"]["config"]): readonly string[] {
  const configured = config.raw.get("system-features");
  if (configured !== undefined)
    return configured
      .split(/\s+/)
      .filter((word) => word !== "")
      .sort();
  return [
    "benchmark",
    "big-parallel",
    ...(existsSync("/dev/kvm") ? ["kvm"] : []),
    "nixos-test",
    ...(isFeatureOn(config, RECURSIVE_NIX) ? [RECURSIVE_NIX] : []),
    ...(isFeatureOn(config, "dynamic-derivations") ? [BUILDER_RPC] : []),
  ].sort();
}
