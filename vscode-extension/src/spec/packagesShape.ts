import type { PackagesReport } from "../../../cli/protocol/types.ts";

/** The version of the protocol that is understood here. */
const PROTOCOL = 1;

export function isPackagesReport(value: unknown): value is PackagesReport {
  if (!isRecord(value) || value["protocol"] !== PROTOCOL || typeof value["isTruncated"] !== "boolean")
    return false;
  const { packages } = value;
  return (
    Array.isArray(packages) &&
    packages.every(
      (one: unknown) =>
        isRecord(one) &&
        typeof one["name"] === "string" &&
        Array.isArray(one["versions"]) &&
        one["versions"].every((version) => typeof version === "string") &&
        (one["summary"] === undefined || typeof one["summary"] === "string"),
    )
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
