import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, bytesOfText, type Hash, type HashAlgorithm, shownUrl } from "../../core/index.ts";
import { downloadToFile } from "../../io/index.ts";
import {
  deleteTree,
  hashFlat,
  hashNar,
  makeFixedOutputPath,
  webSettings,
  type Store,
  type StorePath,
} from "../../store/index.ts";
import { unpackArchive } from "./unpackArchive.ts";

export interface PrefetchRequest {
  readonly url: string;
  /** The last part of the URL unless given. */
  readonly name?: string | undefined;
  readonly algorithm: HashAlgorithm;
  /** What has this hash already is not downloaded; what has another is refused. */
  readonly expected?: Hash | undefined;
  readonly isUnpacked?: boolean | undefined;
  readonly isExecutable?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const MAX_DOWNLOAD_BYTES = 8 * 2 ** 30;

/** Downloads a file, or an archive's content, into the store, as `fetchurl` and `fetchTarball` will have it. */
export async function prefetchFile(
  store: Store,
  request: PrefetchRequest,
): Promise<{ readonly storePath: StorePath; readonly hash: Hash }> {
  const { url, expected, isUnpacked = false, isExecutable = false, signal } = request;
  const method = isUnpacked || isExecutable ? "nar" : "flat";
  const algorithm = expected?.algorithm ?? request.algorithm;
  const name = request.name ?? nameOf(url);
  if (expected !== undefined) {
    const storePath = makeFixedOutputPath(store.storeDir, name, { method, hash: expected });
    if (store.isValidPath(storePath)) return { storePath, hash: expected };
  }
  const scratch = mkdtempSync(join(tmpdir(), "devshell-fetch-"));
  try {
    const file = join(scratch, "download");
    const web = webSettings(store.settings);
    await downloadToFile({ ...web, url, file, hash: "sha256", maxBytes: MAX_DOWNLOAD_BYTES, signal });
    if (isExecutable) chmodSync(file, 0o700);
    const source = isUnpacked
      ? (await unpackArchive(file, join(scratch, "tree"), url, signal)).tree
      : bytesOfText(file);
    const hash = method === "flat" ? hashFlat(source, algorithm) : hashNar(source, { algorithm }).hash;
    const storePath = store.addPath(source, { name, method, algorithm, expectedHash: expected });
    return { storePath, hash };
  } finally {
    // An archive's directories may be read-only.
    deleteTree(bytesOfText(scratch));
  }
}

function nameOf(url: string): string {
  const name = url
    .replace(/[?#].*$/s, "")
    .split("/")
    .findLast((part) => part !== "");
  if (name === undefined || !/^[a-z+]+:/i.test(url))
    throw new DevshellError("FETCH_NAME", `cannot figure out file name for '${shownUrl(url)}'`, {
      hint: "give --name",
    });
  try {
    return decodeURIComponent(name);
  } catch {
    // No escape after all: as it is.
    return name;
  }
}
