import { readFileSync } from "node:fs";
import {
  DevshellError,
  bytesOfText,
  formatHash,
  fsPath,
  hashStream,
  type Hash,
} from "../../../core/index.ts";
import {
  isContentAddressed,
  isSignedBy,
  openRemoteStore,
  parsePublicKey,
  parseSecretKey,
  signPathInfo,
  type PublicKey,
  type RemotePathInfo,
  type RemoteStore,
  type StorePath,
} from "../../../store/index.ts";
import { unsupported, type AskedStore } from "../askedStore.ts";
import { usageError } from "../commandLine.ts";
import { say } from "../output.ts";

/** Bits of `nix store verify`'s exit status. */
const CORRUPTED = 1;
const UNTRUSTED = 2;
const FAILED = 4;

/** `nix store sign --key-file FILE`. */
export async function signPaths(
  store: RemoteStore,
  paths: readonly StorePath[],
  keyFile: string | undefined,
): Promise<number> {
  if (keyFile === undefined) throw usageError("nix store sign", "required flag '--key-file' is missing");
  const key = parseSecretKey(readFileSync(fsPath(bytesOfText(keyFile)), "utf8"));
  let added = 0;
  for (const path of paths) {
    const info = await infoOf(store, path);
    const signature = signPathInfo(info, key);
    if (info.signatures.includes(signature)) continue;
    await addSignatures(store, path, [signature]);
    added++;
  }
  say(`added ${added} signatures`);
  return 0;
}

/** `nix store copy-sigs -s STORE`: signatures that other stores have for the very same objects. */
export async function copySignatures(
  { store, context }: AskedStore,
  paths: readonly StorePath[],
  urls: readonly string[],
): Promise<number> {
  if (urls.length === 0)
    throw usageError("nix store copy-sigs", "you must specify at least one substituter using '-s'");
  await using others = await openAll(context.settings, urls);
  let added = 0;
  for (const path of paths) {
    const info = await infoOf(store, path);
    const missing = new Set<string>();
    for (const other of others.stores) {
      const theirs = await other.query(path);
      if (theirs === undefined || !isSameObject(info, theirs)) continue;
      for (const signature of theirs.signatures)
        if (!info.signatures.includes(signature)) missing.add(signature);
    }
    if (missing.size === 0) continue;
    await addSignatures(store, path, [...missing]);
    added += missing.size;
  }
  say(`imported ${added} signatures`);
  return 0;
}

export interface VerifyFlags {
  readonly checksContents: boolean;
  readonly checksTrust: boolean;
  readonly signaturesNeeded: number;
  /** Stores whose signatures count too. */
  readonly substituters: readonly string[];
}

/** `nix store verify`: that content is what it was, and that somebody trusted vouches for it. */
export async function verifyPaths(
  { store, context }: AskedStore,
  paths: readonly StorePath[],
  flags: VerifyFlags,
): Promise<number> {
  const keys = context.settings.config.trustedPublicKeys.map(parsePublicKey);
  await using others = await openAll(context.settings, flags.substituters);
  let status = 0;
  for (const path of paths) {
    try {
      const info = await infoOf(store, path);
      if (flags.checksContents && !(await hasItsContent(store, info))) status |= CORRUPTED;
      if (!flags.checksTrust) continue;
      const judge = { keys, storeDir: context.settings.storeDir, stores: others.stores, flags };
      if (await isTrusted(info, judge)) continue;
      say(`error: path '${path}' is untrusted`);
      status |= UNTRUSTED;
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      say(`error: ${error.message}`);
      status |= FAILED;
    }
  }
  return status;
}

interface Judge {
  readonly keys: readonly PublicKey[];
  readonly storeDir: string;
  readonly stores: readonly RemoteStore[];
  readonly flags: VerifyFlags;
}

async function isTrusted(info: RemotePathInfo, { keys, storeDir, stores, flags }: Judge): Promise<boolean> {
  if (info.isUltimate && flags.signaturesNeeded === 0) return true;
  if (isContentAddressed(storeDir, info)) return true;
  const needed = Math.max(flags.signaturesNeeded, 1);
  const good = new Set<string>();
  const count = (signatures: readonly string[]): void => {
    for (const signature of signatures) if (isSignedBy(info, signature, keys)) good.add(signature);
  };
  count(info.signatures);
  for (const store of stores) {
    if (good.size >= needed) break;
    count((await store.query(info.path))?.signatures ?? []);
  }
  return good.size >= needed;
}

async function hasItsContent(store: RemoteStore, info: RemotePathInfo): Promise<boolean> {
  const actual = await hashOf(store, info);
  if (actual.digest.equals(info.narHash.digest)) return true;
  const shown = (hash: Hash): string => `sha256:${formatHash(hash, "nix32")}`;
  say(
    `error: path '${info.path}' was modified! expected hash '${shown(info.narHash)}', got '${shown(actual)}'`,
  );
  return false;
}

async function hashOf(store: RemoteStore, info: RemotePathInfo): Promise<Hash> {
  const running = hashStream("sha256");
  const download = await store.openNar(info, {});
  try {
    for await (const chunk of download.nar) running.update(chunk);
  } finally {
    await download.discard();
  }
  return running.digest();
}

async function infoOf(store: RemoteStore, path: StorePath): Promise<RemotePathInfo> {
  const info = await store.query(path);
  if (info === undefined) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
  return info;
}

async function addSignatures(
  store: RemoteStore,
  path: StorePath,
  signatures: readonly string[],
): Promise<void> {
  if (store.addSignatures === undefined) throw unsupported(store, "takes no signatures");
  await store.addSignatures(path, signatures);
}

function isSameObject(a: RemotePathInfo, b: RemotePathInfo): boolean {
  return (
    a.narHash.digest.equals(b.narHash.digest) &&
    a.narSizeBytes === b.narSizeBytes &&
    [...a.references].sort().join() === [...b.references].sort().join()
  );
}

async function openAll(
  settings: AskedStore["context"]["settings"],
  urls: readonly string[],
): Promise<AsyncDisposable & { readonly stores: readonly RemoteStore[] }> {
  const stores: RemoteStore[] = [];
  const close = async (): Promise<void> => {
    for (const store of stores) await store[Symbol.asyncDispose]();
  };
  try {
    for (const url of urls) stores.push(await openRemoteStore(settings, url));
  } catch (error) {
    await close();
    throw error;
  }
  return { stores, [Symbol.asyncDispose]: close };
}
