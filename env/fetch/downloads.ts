import { existsSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevshellError, bytesOfText, textOfBytes, shownUrl } from "../../core/index.ts";
import { downloadToFile } from "../../io/index.ts";
import { parseFlakeReference } from "../../lang/index.ts";
import { deleteTree, webSettings, type StorePath } from "../../store/index.ts";
import { downloadRecordFile, readDownload, writeDownload } from "./downloadRecord.ts";
import { stringOf, tell, ttlMs, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";
import { unpackArchive } from "./unpackArchive.ts";

const MAX_DOWNLOAD_BYTES = 8 * 2 ** 30;

/** Fetches an archive and unpacks it. @throws {DevshellError} `FETCH_…` */
export async function fetchTarballTree(
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const url = textOfBytes(stringOf(attributes, "url") ?? "");
  const { storePath, lastModified, inputs, immutableUrl } = await downloadTree(
    url,
    true,
    attributes,
    context,
  );
  if (immutableUrl !== undefined) takeImmutable(attributes, immutableUrl);
  if (!attributes.has("lastModified") && lastModified !== undefined)
    attributes.set("lastModified", lastModified);
  return { storePath, attributes, inputs };
}

/** Fetches a file as it is. @throws {DevshellError} `FETCH_…` */
export async function fetchFileTree(
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const url = textOfBytes(stringOf(attributes, "url") ?? "");
  const { storePath, inputs } = await downloadTree(url, false, attributes, context);
  return { storePath, attributes, inputs };
}

/** An archive that the server says is always to be had at another address is that address's. */
function takeImmutable(attributes: InputAttributes, url: string): void {
  const immutable = parseFlakeReference(bytesOfText(url), { warn: () => undefined });
  if (immutable.get("type") !== "tarball")
    throw new DevshellError(
      "FETCH_FAILED",
      "tarball 'Link' headers that redirect to non-tarball URLs are not supported",
    );
  attributes.clear();
  for (const [name, value] of immutable) attributes.set(name, value);
}

interface Downloaded {
  readonly storePath: StorePath;
  readonly lastModified?: bigint | undefined;
  readonly immutableUrl?: string | undefined;
  readonly inputs: readonly string[];
}

export async function downloadTree(
  url: string,
  isArchive: boolean,
  attributes: InputAttributes,
  context: FetchContext,
  headers?: Readonly<Record<string, string>>,
): Promise<Downloaded> {
  const name = stringOf(attributes, "name") ?? "source";
  const { store, signal } = context;
  const inputs = url.startsWith("file:") ? [bytesOfText(checkedFile(url, isArchive))] : [];
  const record = downloadRecordFile("tree", String(isArchive), name, url);
  const now = Date.now();
  const isLocal = inputs.length > 0;
  const known = readDownload(record, store);
  const maxAgeMs = isLocal ? now - (context.beganMs ?? now) : ttlMs(context);
  if (known !== undefined && now - known.atMs < maxAgeMs) return { ...known, inputs };
  tell(context, "talkative", `downloading '${shownUrl(url)}'...`);
  const scratch = mkdtempSync(join(tmpdir(), "devshell-fetch-"));
  try {
    const file = join(scratch, "download");
    const web = webSettings(store.settings);
    const { immutableUrl, etag, isUnchanged } = await downloadToFile({
      ...web,
      url,
      file,
      hash: "sha256",
      maxBytes: MAX_DOWNLOAD_BYTES,
      signal,
      headers: headers ?? web.headers,
      etag: known?.etag,
    });
    if (isUnchanged === true && known !== undefined) {
      const same = { ...known, immutableUrl: immutableUrl ?? known.immutableUrl, atMs: Date.now() };
      writeDownload(record, same);
      return { ...same, inputs };
    }
    const unpacked = isArchive ? await unpackArchive(file, join(scratch, "tree"), url, signal) : undefined;
    const storePath = store.addPath(unpacked?.tree ?? bytesOfText(file), { name, method: "nar" });
    const lastModified = unpacked?.lastModified;
    writeDownload(record, { storePath, lastModified, immutableUrl, etag, atMs: Date.now() });
    return { storePath, lastModified, immutableUrl, inputs };
  } finally {
    // An archive's directories may be read-only.
    deleteTree(bytesOfText(scratch));
  }
}

/** The path of a `file:` URL, which must be a file. */
function checkedFile(url: string, isArchive: boolean): string {
  let path: string;
  try {
    path = fileURLToPath(url.replace(/[?#].*$/s, ""));
  } catch {
    throw new DevshellError(
      "FETCH_FAILED",
      `tarball '${shownUrl(url)}' must use an absolute path. The 'file' scheme does not support relative paths.`,
    );
  }
  const what = isArchive ? "tarball" : "file";
  if (!existsSync(path)) throw new DevshellError("FETCH_NOT_FOUND", `${what} "${path}" does not exist.`);
  if (statSync(path).isDirectory())
    throw existsSync(join(path, ".git"))
      ? new DevshellError(
          "FETCH_FAILED",
          `${what} "${path}" is a git repository, not a ${what}. Please use \`git+file\` as the scheme.`,
        )
      : new DevshellError("FETCH_FAILED", `${what} "${path}" is a directory, not a file.`);
  return path;
}
