import { DevshellError } from "../../../core/index.ts";
import { fetchBytes, probeUrl, transfer, type TransferRequest } from "../../../io/index.ts";

/** A mirror is asked again after a passing failure, but the next one is not far. */
const ATTEMPTS = 3;
const CONNECT_TIMEOUT_MS = 30_000;

/**
 * Reads all of a URL (`http`, `https` or `file`) of a mirror.
 * @throws {DevshellError} `DEBIAN_FETCH_FAILED`, or `DEBIAN_FETCH_MISSING` where the server says it has no such file
 */
export async function fetchFromMirror(url: string, maxBytes: number): Promise<Buffer> {
  return fetchBytes(requestFor(url, maxBytes)).catch((error: unknown) => {
    throw asMirrorError(url, error);
  });
}

/**
 * Hands a file of a mirror to `use` as it comes, and again from its beginning after a passing failure.
 * @throws {DevshellError} as {@link fetchFromMirror}; what `use` throws
 */
export async function streamFromMirror<T>(
  url: string,
  maxBytes: number,
  use: (body: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  return transfer(requestFor(url, maxBytes), use).catch((error: unknown) => {
    throw asMirrorError(url, error);
  });
}

/** Whether a mirror has a file. @throws {DevshellError} `DEBIAN_FETCH_FAILED` where it does not say */
export async function isOnMirror(url: string): Promise<boolean> {
  return probeUrl(requestFor(url, 0)).catch((error: unknown) => {
    throw asMirrorError(url, error);
  });
}

function requestFor(url: string, maxBytes: number): TransferRequest {
  return { url, maxBytes, attempts: ATTEMPTS, connectTimeoutMs: CONNECT_TIMEOUT_MS };
}

/** What a failed transfer means for someone who can choose another mirror. */
function asMirrorError(url: string, error: unknown): unknown {
  if (!(error instanceof DevshellError) || !error.code.startsWith("FETCH_")) return error;
  const why = error.message.replace(`unable to download '${url}': `, "");
  if (error.code === "FETCH_NOT_FOUND")
    return new DevshellError("DEBIAN_FETCH_MISSING", `Cannot fetch "${url}": ${why}`, {
      hint: "the mirror does not have it: try another mirror or suite",
      cause: error,
    });
  return new DevshellError("DEBIAN_FETCH_FAILED", `Cannot fetch "${url}": ${why}`, {
    hint: "is the mirror up? set DEVSHELL_DEBIAN_MIRROR to another one (several, separated by spaces, are tried in turn)",
    cause: error,
  });
}
