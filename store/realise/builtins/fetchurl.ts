import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DevshellError, fsPath, formatHash, hashBytes, type Hash } from "../../../core/index.ts";
import { decompress, downloadToFile, isNotFound } from "../../../io/index.ts";
import { restoreNar } from "../../format/narRestore.ts";
import { downloadsDir } from "../../local/layout.ts";
import { webSettings } from "../../remote/binaryCache/webSettings.ts";
import { derivationAttribute } from "../derivationOptions.ts";
import type { BuiltinBuilder, BuiltinBuilderContext } from "../../types.ts";

/** No single file that a developer's environment needs is larger. */
const MAX_BYTES = 32 * 2 ** 30;

/**
 * `builtin:fetchurl`: downloads `url`, or one of the mirrors `urls` in turn, in this process.
 * Attributes: `url`, `urls`, `executable`, `unpack` (the file is a NAR, perhaps `.xz`), `size` (expected bytes).
 * What arrived before a cut stays in the state directory and is continued by the next run.
 */
export const fetchurl: BuiltinBuilder = async (context) => {
  const { derivation } = context;
  const output = derivation.outputs.get("out");
  const outPath = context.outputs.get("out");
  if (output === undefined || outPath === undefined)
    throw new DevshellError("BUILTIN_FETCHURL", "'builtin:fetchurl' requires an 'out' output");
  if (output.kind !== "fixed" && output.kind !== "impure")
    throw new DevshellError(
      "BUILTIN_FETCHURL",
      "'builtin:fetchurl' must be a fixed-output or impure derivation",
    );
  const attribute = (name: string): string => derivationAttribute(derivation, name) ?? "";
  const urls = [...new Set([attribute("url"), ...attribute("urls").split(/\s+/)])].filter(
    (url) => url !== "",
  );
  if (urls.length === 0) throw new DevshellError("BUILTIN_FETCHURL", "'builtin:fetchurl' requires a 'url'");
  const local = urls.find((url) => !/^https?:/i.test(url));
  if (context.isForStranger && local !== undefined)
    throw new DevshellError(
      "BUILTIN_FETCHURL",
      `'${local}' would be read in the daemon's own name, which is for its trusted users only`,
    );
  const isUnpacked = attribute("unpack") === "1";
  const isExecutable = attribute("executable") === "1";
  // A flat hash is the downloaded bytes' own; others are checked when the output is registered.
  const expected =
    output.kind === "fixed" && output.method === "flat" && !isUnpacked ? output.hash : undefined;
  const size = attribute("size");
  const maxBytes = /^\d{1,15}$/.test(size) ? Number(size) : MAX_BYTES;

  const file = await downloadFirst({ context, urls, expected, maxBytes });
  if (isUnpacked) {
    const isXz = urls.some((url) => url.endsWith(".xz"));
    const source = createReadStream(fsPath(file), { highWaterMark: 1 << 20 });
    await restoreNar(outPath, decompress(isXz ? "xz" : "none", source, context));
    await rm(fsPath(file), { force: true });
  } else {
    await moveFile(file, outPath);
  }
  if (isExecutable) await chmod(fsPath(outPath), 0o755);
};

interface DownloadFirstRequest {
  readonly context: BuiltinBuilderContext;
  readonly urls: readonly string[];
  readonly expected: Hash | undefined;
  readonly maxBytes: number;
}

/** Tries each mirror until one serves the right bytes; a file with a wrong hash is thrown away. */
async function downloadFirst({ context, urls, expected, maxBytes }: DownloadFirstRequest): Promise<string> {
  const directory = downloadsDir(context.settings.stateDir);
  await mkdir(fsPath(directory), { recursive: true });
  const failures: unknown[] = [];
  const { headers, ...web } = webSettings(context.settings);
  for (const url of urls) {
    // One partial file for each URL: mirrors may differ, and the derivation may name other hashes later.
    const key = formatHash(hashBytes("sha256", `${context.drvPath}\0${url}`), "nix32").slice(0, 32);
    const file = join(directory, `${key}.part`);
    try {
      for (let isFirst = true; ; isFirst = false) {
        let resumedBytes: number | undefined;
        const { hash } = await downloadToFile({
          ...web,
          // Passwords are not for what somebody else wants.
          ...(!context.isForStranger && { headers }),
          url,
          file,
          maxBytes,
          ...(url !== urls.at(-1) && { attempts: 2 }),
          hash: expected?.algorithm ?? "sha256",
          signal: context.signal,
          onProgress: (doneBytes, totalBytes) => {
            resumedBytes ??= doneBytes;
            context.progress(doneBytes, totalBytes);
          },
          onRetry: (message) => context.log(`warning: ${message}`),
        });
        if (expected === undefined || hash.digest.equals(expected.digest)) return file;
        await rm(fsPath(file), { force: true });
        // What an earlier run left may have been another version's beginning.
        if (isFirst && (resumedBytes ?? 0) > 0) continue;
        throw hashMismatch(context, expected, hash, urls.length > 1 ? url : undefined, `"${url}"`);
      }
    } catch (error) {
      context.signal.throwIfAborted();
      failures.push(error);
      if (url !== urls.at(-1))
        context.log(`warning: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw summarise(failures);
}

function hashMismatch(
  { drvPath }: BuiltinBuilderContext,
  expected: Hash,
  got: Hash,
  url: string | undefined,
  tried: string,
): DevshellError {
  return new DevshellError(
    "HASH_MISMATCH",
    `hash mismatch in fixed-output derivation '${drvPath}':\n` +
      `  specified: ${formatHash(expected, "sri")}\n     got:    ${formatHash(got, "sri")}` +
      (url === undefined ? "" : `\n     from:   ${url}`),
    {
      hint: `${tried} does not serve the file whose hash was written down: try another mirror, or renew what is pinned (\`devshell update\`)`,
      exitStatus: 102,
    },
  );
}

/** A wrong hash says more than a mirror that lacks the file, and that more than one that is down. */
function summarise(failures: readonly unknown[]): unknown {
  const mismatch = failures.find((error) => error instanceof DevshellError && error.code === "HASH_MISMATCH");
  if (mismatch !== undefined) return mismatch;
  const isAbsent = failures.every(isNotFound);
  const hint = isAbsent
    ? "the file is gone from there: `devshell update` pins what the mirrors have now"
    : undefined;
  const [only] = failures;
  if (failures.length === 1)
    return isAbsent && only instanceof DevshellError
      ? new DevshellError(only.code, only.message, { hint, cause: only })
      : only;
  const lines = failures.map((error) => (error instanceof Error ? error.message : String(error)));
  return new DevshellError(
    isAbsent ? "FETCH_NOT_FOUND" : "FETCH_FAILED",
    `unable to download from any of ${failures.length} mirrors:\n  ${lines.join("\n  ")}`,
    { hint: hint ?? "are the mirrors up? check the network and try again; what has arrived is kept" },
  );
}

async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(fsPath(from), fsPath(to));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    await copyFile(fsPath(from), fsPath(to));
    await rm(fsPath(from), { force: true });
  }
  await chmod(fsPath(to), 0o644);
}
