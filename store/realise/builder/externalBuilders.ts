import { DevshellError, textOfBytes, type ByteString } from "../../../core/index.ts";
import type { StoreSettings } from "../../types.ts";
import { requireFeature } from "../experimentalFeatures.ts";

/** A program that builds for other systems, in an emulator or elsewhere. */
export interface ExternalBuilder {
  readonly systems: readonly string[];
  readonly program: string;
  readonly args: readonly string[];
}

const OPTION = "external-builders";

/**
 * The program of the option `external-builders` for a system.
 * @throws {DevshellError} `STORE_CONFIG_INVALID`; `EXPERIMENTAL_FEATURE` where the feature of that name is off
 */
export function externalBuilderFor(
  { config }: StoreSettings,
  system: ByteString,
): ExternalBuilder | undefined {
  const text = config.raw.get(OPTION)?.trim() ?? "";
  if (text === "") return undefined;
  const found = parseBuilders(text).find(({ systems }) => systems.includes(textOfBytes(system)));
  if (found !== undefined) requireFeature(config, OPTION);
  return found;
}

function parseBuilders(text: string): ExternalBuilder[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!Array.isArray(value) || !value.every(isBuilder))
    throw new DevshellError("STORE_CONFIG_INVALID", `Cannot read the option "${OPTION}": ${text}`, {
      hint: 'it is JSON: [ {"systems": ["aarch64-linux"], "program": "/path/of/program", "args": []} ]',
    });
  return value;
}

function isBuilder(value: unknown): value is ExternalBuilder {
  if (typeof value !== "object" || value === null) return false;
  if (!("systems" in value) || !("program" in value) || !("args" in value)) return false;
  return isTexts(value.systems) && isTexts(value.args) && typeof value.program === "string";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
