import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, hashBytes, textOfBytes, type ByteString } from "../../core/index.ts";
import { runGit } from "./runGit.ts";
import { stringOf, type FetchContext, type InputAttributes } from "./types.ts";

const FEATURE = "verified-fetches";
const SIGNED = ["verifyCommit", "keytype", "publicKey", "publicKeys"];

/** What OpenSSH calls the types of keys. */
const KEY_TYPES: ReadonlyMap<string, string> = new Map([
  ["ssh-dsa", "ssh-dsa"],
  ["ssh-ecdsa", "ssh-ecdsa"],
  ["ssh-ecdsa-sk", "sk-ecdsa-sha2-nistp256@openssh.com"],
  ["ssh-ed25519", "ssh-ed25519"],
  ["ssh-ed25519-sk", "sk-ssh-ed25519@openssh.com"],
  ["ssh-rsa", "ssh-rsa"],
]);
const DEFAULT_TYPE = "ssh-ed25519";
const MAX_KEYS = 1000;

interface PublicKey {
  readonly type: string;
  /** In base64, as the second word of an OpenSSH public key. */
  readonly key: string;
}

/** @throws {DevshellError} `FETCH_FEATURE` where commits are to be verified, and that is not turned on */
export function checkVerificationIsOn(attributes: InputAttributes, context: FetchContext): void {
  if (!SIGNED.some((name) => attributes.has(name))) return;
  const features = ["experimental-features", "extra-experimental-features"].flatMap(
    (option) => context.setting(option)?.split(/\s+/) ?? [],
  );
  if (!features.includes(FEATURE))
    throw new DevshellError(
      "FETCH_FEATURE",
      `experimental Nix feature '${FEATURE}' is disabled; add '--extra-experimental-features ${FEATURE}' to enable it`,
    );
}

/**
 * Checks that a commit is signed by one of the keys an input names, if it names any.
 * @param rev undefined for a work tree with changes, which nobody has signed
 * @throws {DevshellError} `FETCH_UNVERIFIED`, `FETCH_KEY`
 */
export async function verifyCommit(
  directory: string,
  rev: string | undefined,
  attributes: InputAttributes,
  { signal }: FetchContext,
): Promise<void> {
  const keys = publicKeysOf(attributes);
  const isWanted = attributes.get("verifyCommit") ?? keys.length > 0;
  if (isWanted !== true) return;
  if (rev === undefined)
    throw new DevshellError(
      "FETCH_UNVERIFIED",
      `commit verification is required for Git repository '${textOfBytes(stringOf(attributes, "url") ?? directory)}', but it's dirty`,
    );
  const scratch = mkdtempSync(join(tmpdir(), "devshell-signers-"));
  try {
    const signers = join(scratch, "signers");
    writeFileSync(signers, keys.map((key) => `* ${sshTypeOf(key)} ${key.key}\n`).join(""));
    const { isGood, said } = await askGit(directory, rev, signers, signal);
    // Git is content with signatures by any key of the user's GnuPG, too.
    const fingerprints = new Set(keys.map(fingerprintOf));
    const found = /^Good "git" signature for \* with \S+ key SHA256:([A-Za-z0-9+/]+)$/m.exec(said)?.[1];
    if (isGood && found !== undefined && fingerprints.has(found)) return;
    throw new DevshellError(
      "FETCH_UNVERIFIED",
      `Commit signature verification on commit ${rev} failed: ${textOfBytes(said).trim()}`,
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function askGit(
  directory: string,
  rev: string,
  signers: string,
  signal: AbortSignal,
): Promise<{ readonly isGood: boolean; readonly said: ByteString }> {
  let said = "";
  const onMessages = (text: ByteString): void => void (said = text);
  const config = [
    `gpg.ssh.allowedSignersFile=${signers}`,
    // Else the repository would say what is started.
    "gpg.program=gpg",
    "gpg.ssh.program=ssh-keygen",
    "gpg.x509.program=gpgsm",
  ];
  const args = ["-C", directory, ...config.flatMap((setting) => ["-c", setting]), "verify-commit", rev];
  try {
    await runGit(args, { signal, onMessages });
    return { isGood: true, said };
  } catch (error) {
    if (error instanceof DevshellError && error.code === "FETCH_GIT") return { isGood: false, said };
    throw error;
  }
}

function publicKeysOf(attributes: InputAttributes): readonly PublicKey[] {
  const many = stringOf(attributes, "publicKeys");
  const one = stringOf(attributes, "publicKey");
  const keys = many === undefined ? [] : parseKeys(many);
  if (one !== undefined) keys.push({ type: stringOf(attributes, "keytype") ?? DEFAULT_TYPE, key: one });
  for (const key of keys) {
    sshTypeOf(key);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key.key))
      throw new DevshellError(
        "FETCH_KEY",
        `Cannot use '${textOfBytes(key.key)}' as a public key: it is not base64`,
      );
  }
  return keys;
}

function parseKeys(text: ByteString): PublicKey[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalidKeys();
  }
  if (!Array.isArray(parsed) || parsed.length > MAX_KEYS) throw invalidKeys();
  return parsed.map((entry: unknown) => {
    if (typeof entry !== "object" || entry === null || !("key" in entry)) throw invalidKeys();
    const { key } = entry;
    const type = "type" in entry ? entry.type : DEFAULT_TYPE;
    if (typeof key !== "string" || typeof type !== "string") throw invalidKeys();
    return { type, key };
  });
}

function invalidKeys(): DevshellError {
  return new DevshellError(
    "FETCH_KEY",
    "Cannot read 'publicKeys': it is no list of sets with 'key' and 'type'",
    {
      hint: '[ { type = "ssh-ed25519"; key = "AAAA…"; } ]',
    },
  );
}

function sshTypeOf({ type }: PublicKey): string {
  const known = KEY_TYPES.get(type);
  if (known !== undefined) return known;
  const names = [...KEY_TYPES.keys()].map((name) => `  ${name}\n`).join("");
  throw new DevshellError(
    "FETCH_KEY",
    `Invalid SSH key type '${textOfBytes(type)}' in publicKeys.\nPlease use one of:\n${names}`,
  );
}

function fingerprintOf({ key }: PublicKey): string {
  const { digest } = hashBytes("sha256", Buffer.from(key, "base64"));
  return Buffer.from(digest).toString("base64").replace(/=+$/, "");
}
