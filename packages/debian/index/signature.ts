import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, packageRoot } from "../../../core/index.ts";

const BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE = "-----BEGIN PGP SIGNATURE-----";
const END = "-----END PGP SIGNATURE-----";
const MAX_CLEARSIGNED_BYTES = 8 << 20;

/** Debian's own keys as data of this package; keys/README.md tells where they come from. */
export const EMBEDDED_KEYRING = join(packageRoot, "packages/debian/index/keys/debian-archive-keyring.asc");
/** Where Debian's package debian-archive-keyring puts newer ones. */
export const SYSTEM_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Verifies a clearsigned file and gives its signed text, the only part of it that may be used. One good signature
 * of a trusted key suffices (Debian signs with the keys of several releases); a bad one of a trusted key refuses
 * the file.
 * @param keyrings files of public keys, binary or armored; missing ones are left out
 * @param what named in errors, e.g. the URL
 * @throws {DevshellError} `DEBIAN_SIGNATURE_INVALID`
 */
export async function verifyClearsigned(
  file: Uint8Array,
  keyrings: readonly string[],
  what: string,
): Promise<string> {
  const armored = checkFraming(file, what);
  // Loaded here only: an evaluation with a warm index never needs it.
  const { readCleartextMessage, readKeys, verify } = await import("openpgp");
  const verificationKeys = [];
  for (const keyring of keyrings) {
    const bytes = readIfPresent(keyring);
    if (bytes === undefined) continue;
    const isArmored = bytes.includes("-----BEGIN PGP PUBLIC KEY BLOCK-----");
    const keys = isArmored
      ? await readKeys({ armoredKeys: bytes.toString("latin1") })
      : await readKeys({ binaryKeys: bytes });
    verificationKeys.push(...keys);
  }
  if (verificationKeys.length === 0)
    throw new DevshellError(
      "DEBIAN_SIGNATURE_INVALID",
      `Cannot check "${what}": no public keys in ${keyrings.map((keyring) => `"${keyring}"`).join(", ")}`,
      {
        hint: "DEVSHELL_DEBIAN_KEYRING names files of public keys, separated by colons; unset it for Debian's",
      },
    );
  let message;
  try {
    message = await readCleartextMessage({ cleartextMessage: armored });
  } catch (error) {
    throw invalid(what, messageOf(error));
  }
  const { signatures } = await verify({ message, verificationKeys });
  let good = 0;
  const problems: string[] = [];
  for (const { keyID, verified } of signatures) {
    const isTrusted = verificationKeys.some((key) => key.getKeys(keyID).length > 0);
    try {
      await verified;
      good++;
    } catch (error) {
      const problem = `${keyID.toHex().toUpperCase()}: ${messageOf(error)}`;
      if (isTrusted) throw invalid(what, problem);
      problems.push(problem);
    }
  }
  if (good === 0) throw invalid(what, problems.join("; ") || "it has no signature");
  // The text as signed: dash escapes undone, line ends normalised, no trailing blanks.
  return Buffer.from(message.getText(), "utf8").toString("latin1");
}

/** One message and nothing around it, so that nothing unsigned can be mistaken for the signed text. */
function checkFraming(file: Uint8Array, what: string): string {
  if (file.length > MAX_CLEARSIGNED_BYTES) throw invalid(what, "the file is too large");
  const text = Buffer.from(file).toString("utf8");
  const count = (mark: string): number => text.split("\n").filter((line) => line.trimEnd() === mark).length;
  if (!text.startsWith(BEGIN) || !text.trimEnd().endsWith(END))
    throw invalid(what, "it is not one clearsigned message");
  if (count(BEGIN) !== 1 || count(SIGNATURE) !== 1 || count(END) !== 1)
    throw invalid(what, "it holds more than one message");
  return text;
}

function readIfPresent(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}

function invalid(what: string, why: string): DevshellError {
  return new DevshellError("DEBIAN_SIGNATURE_INVALID", `Cannot trust "${what}": ${why}`, {
    hint: "the mirror's index was altered, cut short or signed by a key that is not Debian's: try another mirror",
  });
}
