import { DevshellError } from "../../core/index.ts";

/**
 * A setting's size: bytes, or with K, M, G, T.
 * @returns `undefined` where it is not set
 * @throws {DevshellError} `SETTINGS_SIZE`
 */
export function readSize(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const match = /^(\d{1,20})([KMGT]?)$/i.exec(text);
  if (match === null)
    throw new DevshellError("SETTINGS_SIZE", `setting '${name}' has invalid value '${text}'`, {
      hint: "write it in bytes, or as 500M or 2G",
    });
  return Number(match[1]) * 1024 ** ["", "K", "M", "G", "T"].indexOf((match[2] ?? "").toUpperCase());
}
