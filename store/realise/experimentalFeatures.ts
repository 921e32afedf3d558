import { DevshellError } from "../../core/index.ts";
import type { StoreConfig } from "../types.ts";

/** Whether the option `experimental-features` turns on one of what builds may need. */
export function isFeatureOn({ raw }: StoreConfig, feature: string): boolean {
  return (raw.get("experimental-features") ?? "").split(/\s+/).includes(feature);
}

/** @throws {DevshellError} `EXPERIMENTAL_FEATURE` where it is off */
export function requireFeature(config: StoreConfig, feature: string): void {
  if (isFeatureOn(config, feature)) return;
  throw new DevshellError(
    "EXPERIMENTAL_FEATURE",
    `experimental Nix feature '${feature}' is disabled; add '--extra-experimental-features ${feature}' to enable it`,
  );
}
