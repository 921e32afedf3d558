import {
  DevshellError,
  Interrupted,
  bytesOfShown,
  formatError,
  logText,
  type ByteString,
} from "../core/index.ts";
import { isColoured } from "./isColoured.ts";
import { systemFailure } from "./systemFailure.ts";
import { UsageError } from "./usageError.ts";
import { inUsersFiles } from "./userTrace.ts";

/**
 * Prints a failure on standard error.
 * @returns the exit status that goes with it
 */
export function printError(
  error: unknown,
  options: {
    readonly hasTrace?: boolean;
    /** As a last event line after those of `devshell --json`. */
    readonly isJson?: boolean;
    /** The name of the Nix command that this one stands in for: it prints as Nix does. */
    readonly dropIn?: string | undefined;
  } = {},
): number {
  if (options.isJson === true) {
    const isInterrupted = error instanceof Interrupted || isAbort(error);
    const code =
      error instanceof DevshellError ? error.code : isInterrupted ? "INTERRUPTED" : "INTERNAL_ERROR";
    const message =
      error instanceof DevshellError
        ? formatError(inUsersFiles(error), { showTrace: false, colour: false }).trimEnd()
        : error instanceof Error
          ? error.message
          : String(error);
    process.stderr.write(`${JSON.stringify({ kind: "error", code, message })}\n`);
    return error instanceof DevshellError ? error.exitStatus : isInterrupted ? 130 : 1;
  }
  if (error instanceof Interrupted || isAbort(error)) {
    process.stderr.write("devshell: interrupted\n");
    return 130;
  }
  if (error instanceof DevshellError) {
    const showTrace = options.hasTrace ?? false;
    const isRaw = options.dropIn !== undefined && !process.stderr.isTTY;
    const shown = showTrace || options.dropIn !== undefined ? error : inUsersFiles(error);
    const colour = isColoured(process.stderr);
    const text = formatError(shown, { showTrace, colour, isRaw });
    const line = `${options.dropIn === undefined ? text : logText(text, colour)}\n`;
    process.stderr.write(isRaw ? bytesOfShown(line) : line);
    const helped = error instanceof UsageError ? error.command : options.dropIn;
    if (helped !== undefined && (error instanceof UsageError || error.code === "LANG_USAGE"))
      process.stderr.write(`Try '${helped} --help' for more information.\n`);
    return error.exitStatus;
  }
  if (isWithoutDirectory(error))
    return printError(
      new DevshellError("CLI_NO_DIRECTORY", "Cannot find the current directory: it was deleted", {
        hint: "change to a directory that exists",
      }),
    );
  const refusal = systemFailure(error);
  if (refusal !== undefined) return printError(refusal, options);
  // A bug: all that can help to find it.
  process.stderr.write(
    `devshell: internal error: ${error instanceof Error ? (options.hasTrace === true ? error.stack : error.message) : String(error)}\n` +
      "This is a bug in devshell; `--show-trace` prints where\n",
  );
  return 1;
}

/** A report as Nix writes it on standard error: what is quoted byte for byte, but to a terminal. */
export function errorBytes(
  error: DevshellError,
  options: { readonly showTrace: boolean; readonly hasHint?: boolean; readonly colour?: boolean },
): ByteString {
  const text = formatError(error, { ...options, isRaw: !process.stderr.isTTY });
  return Buffer.from(bytesOfShown(text)).toString("latin1");
}

/** What Node throws where the working directory is gone. */
function isWithoutDirectory(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === "uv_cwd";
}

function isAbort(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.name === "AbortError" || (error as NodeJS.ErrnoException).code === "ABORT_ERR")
  );
}
