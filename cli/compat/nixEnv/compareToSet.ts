import type { ByteString } from "../../../core/index.ts";
import { compareVersions } from "../../../lang/index.ts";
import type { EnvPackage } from "./envPackage.ts";

/** How a package's version stands to those of the same name elsewhere: `-` where there is none. */
export interface VersionComparison {
  readonly sign: "<" | "=" | ">" | "-";
  /** The version compared with; `?` for none. */
  readonly version: ByteString;
}

/** `<`: a newer one is there; `=`: the same, and none newer; `>`: only older ones. */
export function compareToSet({ parsedName }: EnvPackage, others: readonly EnvPackage[]): VersionComparison {
  let sign: VersionComparison["sign"] = "-";
  let version = "?";
  for (const { parsedName: other } of others) {
    if (other.name !== parsedName.name) continue;
    const order = compareVersions(parsedName.version, other.version);
    if (order < 0) {
      sign = "<";
      ({ version } = other);
    } else if (sign !== "<" && order === 0) {
      sign = "=";
      ({ version } = other);
    } else if (sign !== "<" && sign !== "=") {
      sign = ">";
      if (version === "" || compareVersions(version, other.version) < 0) ({ version } = other);
    }
  }
  return { sign, version };
}
