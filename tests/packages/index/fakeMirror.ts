import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { createCleartextMessage, generateKey, readPrivateKey, sign, type PrivateKey } from "openpgp";

/** An archive of a few made-up packages under a temporary directory, signed with a key made for the test. */
export interface FakeMirror extends Disposable {
  readonly directory: string;
  readonly url: string;
  readonly keyring: string;
  /** Writes `dists/<suite>` and gives the Packages text back. */
  publish(suite: FakeSuite): Promise<void>;
  write(path: string, content: string | Uint8Array): void;
}

export interface FakeSuite {
  readonly suite: string;
  readonly packages: string;
  readonly sources?: string;
  /** Fields of the Release text that replace the usual ones. */
  readonly release?: Readonly<Record<string, string>>;
  readonly signedBy?: PrivateKey;
}

export async function makeKey(name: string): Promise<PrivateKey> {
  const { privateKey } = await generateKey({ userIDs: [{ name }], format: "armored" });
  return readPrivateKey({ armoredKey: privateKey });
}

export async function clearsign(text: string, key: PrivateKey): Promise<string> {
  return sign({ message: await createCleartextMessage({ text }), signingKeys: key });
}

export async function makeFakeMirror(): Promise<FakeMirror> {
  const root = mkdtempSync(join(tmpdir(), "devshell-mirror-"));
  const directory = join(root, "debian");
  const keyring = join(root, "keyring.asc");
  const key = await makeKey("Made-up Archive");
  const write = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  };
  mkdirSync(directory);
  writeFileSync(keyring, key.toPublic().armor());
  return {
    directory,
    url: `file://${directory}`,
    keyring,
    write,
    async publish({ suite, packages, sources = "", release = {}, signedBy = key }) {
      const lines: string[] = [];
      const add = (path: string, text: string): void => {
        const packed = gzipSync(text);
        write(`dists/${suite}/${path}.gz`, packed);
        for (const [name, bytes] of [
          [path, Buffer.from(text)],
          [`${path}.gz`, packed],
        ] as const)
          lines.push(` ${createHash("sha256").update(bytes).digest("hex")} ${bytes.length} ${name}`);
      };
      add("main/binary-amd64/Packages", packages);
      add("main/source/Sources", sources);
      const fields = {
        Suite: suite,
        Codename: suite,
        Date: new Date(Date.now() - 3_600_000).toUTCString().replace("GMT", "UTC"),
        ...release,
      };
      const text = [
        ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
        "SHA256:",
        ...lines,
        "",
      ];
      write(`dists/${suite}/InRelease`, await clearsign(text.join("\n"), signedBy));
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** One stanza of a Packages index. */
export function stanza(name: string, fields: Readonly<Record<string, string>> = {}): string {
  const version = fields["Version"] ?? "1.0-1";
  const all = {
    Package: name,
    Version: version,
    Architecture: "amd64",
    Filename: `pool/main/${name[0]}/${name}/${name}_${version}_amd64.deb`,
    Size: "1000",
    SHA256: createHash("sha256").update(`${name} ${version}`).digest("hex"),
    Description: `the package ${name}`,
    ...fields,
  };
  return `${Object.entries(all)
    .map(([field, value]) => `${field}: ${value}`)
    .join("\n")}\n\n`;
}

export function sourceStanza(
  name: string,
  version: string,
  files: readonly string[],
  fields: Readonly<Record<string, string>> = {},
): string {
  const sums = files.map(
    (file) => ` ${createHash("sha256").update(file).digest("hex")} ${file.length} ${file}`,
  );
  const extra = Object.entries(fields).map(([field, value]) => `${field}: ${value}`);
  return `${[
    `Package: ${name}`,
    `Version: ${version}`,
    ...extra,
    "Checksums-Sha256:",
    ...sums,
    `Directory: pool/main/${name[0]}/${name}`,
  ].join("\n")}\n\n`;
}
