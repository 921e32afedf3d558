import type { ClosurePath, ClosureReport } from "../../../cli/protocol/types.ts";
import type { Cli, FolderEnvironment } from "../model.ts";
import { PROTOCOL } from "./reportShape.ts";

const TIMEOUT_MS = 120_000;
/** A page cannot show more, and no environment has as many. */
const PATHS = 100_000;

/**
 * Asks the CLI for an environment's store paths.
 * @throws {Error} in the CLI's words where it has none
 */
export async function loadClosure(
  cli: Pick<Cli, "run">,
  { folder, selection }: Pick<FolderEnvironment, "folder" | "selection">,
  { signal }: { readonly signal: AbortSignal },
): Promise<ClosureReport> {
  const { status, stdout, stderr } = await cli.run({
    folder,
    args: ["closure", "--json", ...selection],
    signal,
    timeoutMs: TIMEOUT_MS,
  });
  const report = closureOf(stdout);
  if (report !== undefined) return report;
  throw new Error(stderr.trim() === "" ? `devshell closure: status ${status ?? "unknown"}` : stderr.trim());
}

/** @returns undefined for what is no closure's report of this protocol */
export function closureOf(text: string): ClosureReport | undefined {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof report !== "object" || report === null) return undefined;
  const { protocol, storeDir, roots, paths } = report as Readonly<Record<string, unknown>>;
  const isWhole =
    protocol === PROTOCOL &&
    typeof storeDir === "string" &&
    isTexts(roots) &&
    Array.isArray(paths) &&
    paths.length <= PATHS &&
    paths.every(isPath);
  return isWhole ? { protocol: PROTOCOL, storeDir, roots, paths } : undefined;
}

function isPath(value: unknown): value is ClosurePath {
  if (typeof value !== "object" || value === null) return false;
  const { path, name, narSizeBytes, ownSizeBytes, references, linkedFrom } = value as Readonly<
    Record<string, unknown>
  >;
  return (
    typeof path === "string" &&
    typeof name === "string" &&
    typeof narSizeBytes === "number" &&
    narSizeBytes >= 0 &&
    (ownSizeBytes === undefined || (typeof ownSizeBytes === "number" && ownSizeBytes >= 0)) &&
    isTexts(references) &&
    (linkedFrom === undefined || isTexts(linkedFrom))
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
