import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PrivateKey } from "openpgp";
import { readKeys } from "openpgp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readFileSync } from "node:fs";
import { EMBEDDED_KEYRING, verifyClearsigned } from "../../../packages/debian/index/signature.ts";
import { clearsign, makeKey } from "./fakeMirror.ts";

describe("verifyClearsigned", () => {
  let directory: string;
  let keyring: string;
  let trusted: PrivateKey;
  let stranger: PrivateKey;
  let signed: string;
  const text = "Suite: x\n- dashed line\nSHA256:\n abc";

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "devshell-keys-"));
    keyring = join(directory, "keyring.asc");
    trusted = await makeKey("Trusted");
    stranger = await makeKey("Stranger");
    writeFileSync(keyring, trusted.toPublic().armor());
    signed = await clearsign(text, trusted);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const verify = (file: string, keyrings = [keyring]): Promise<string> =>
    verifyClearsigned(Buffer.from(file), keyrings, "test");
  const refusal = { code: "DEBIAN_SIGNATURE_INVALID" };

  it("gives the signed text", async () => {
    expect(await verify(signed)).toBe(text);
  });

  it("reads binary keyrings, and leaves out missing ones", async () => {
    const binary = join(directory, "keyring.gpg");
    writeFileSync(binary, trusted.toPublic().write());
    expect(await verify(signed, [join(directory, "none.gpg"), binary])).toBe(text);
  });

  it.each<[string, (file: string) => string]>([
    ["a changed text", (file) => file.replace("Suite: x", "Suite: y")],
    ["an added line", (file) => file.replace("SHA256:", "SHA256:\n evil")],
    ["text before it", (file) => `Suite: evil\n${file}`],
    ["text after it", (file) => `${file}\nSuite: evil\n`],
    ["two messages", (file) => `${file}\n${file}`],
    ["a cut file", (file) => file.slice(0, -200)],
    ["no signature", () => text],
    ["an empty file", () => ""],
    ["a damaged signature", (file) => file.replace(/\n([A-Za-z0-9+/]{4})([A-Za-z0-9+/]{20})/, "\nAAAA$2")],
  ])("refuses %s", async (_, change) => {
    const changed = change(signed);
    expect(changed).not.toBe(signed);
    await expect(verify(changed)).rejects.toMatchObject(refusal);
  });

  it("refuses a key that is not trusted, and a keyring without keys", async () => {
    await expect(verify(await clearsign(text, stranger))).rejects.toMatchObject(refusal);
    await expect(verify(signed, [join(directory, "none.gpg")])).rejects.toMatchObject(refusal);
  });

  it("has Debian's keys with it", async () => {
    const keys = await readKeys({ armoredKeys: readFileSync(EMBEDDED_KEYRING, "utf8") });
    const names = keys.flatMap((key) => key.getUserIDs());
    for (const release of ["11/bullseye", "12/bookworm", "13/trixie"])
      expect(names.filter((name) => name.includes(`(${release})`))).toHaveLength(3);
  });
});
