import type { WorkspaceFolder } from "vscode";
import type { ProgressReport, Report } from "../../../cli/protocol/types.ts";
import { CliError } from "./cliProcess.ts";
import type { Cli } from "../model.ts";
import { PROTOCOL, watchEventOf } from "./reportShape.ts";

export interface LoadRequest {
  readonly folder: WorkspaceFolder;
  readonly selection: readonly string[];
  readonly timeoutMs: number;
  readonly onProgress: (progress: ProgressReport) => void;
}

/**
 * Asks the CLI for a folder's environment: exactly one run.
 * @throws {CliError} when it gives no report that can be understood
 */
export async function loadReport(
  cli: Pick<Cli, "run">,
  { folder, selection, timeoutMs, onProgress }: LoadRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<Report> {
  let report: Report | undefined;
  let otherProtocol: number | undefined;
  const { status, stderr } = await cli.run({
    folder,
    args: ["watch", "--json", "--once", ...selection],
    signal,
    timeoutMs,
    onLine(line) {
      const event = watchEventOf(parsed(line));
      if (event?.event === "hello" && event.protocol !== PROTOCOL) otherProtocol = event.protocol;
      if (event?.event === "progress") onProgress(event);
      if (event?.event === "report") report = event.report;
    },
  });
  if (otherProtocol !== undefined)
    throw new CliError(
      "CLI_PROTOCOL",
      `Cannot understand devshell: it speaks protocol ${otherProtocol}, this extension ${PROTOCOL}`,
      "update devshell and the extension",
    );
  if (report !== undefined) return report;
  const said = stderr.trim().split("\n").slice(-20).join("\n");
  throw new CliError(
    "CLI_PROTOCOL",
    `Cannot understand devshell: no report, status ${status ?? "unknown"}${said === "" ? "" : `\n${said}`}`,
    "does the setting devshell.path name devshell itself, and is it new enough?",
  );
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
