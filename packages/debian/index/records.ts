import { DevshellError, type ByteString } from "../../../core/index.ts";
import { compareVersions } from "../resolve/version.ts";
import type { BinaryPackage } from "../resolve/resolver.ts";
import { parseStanza, splitStanzas, type Stanza } from "./deb822.ts";
import type { MirrorRole } from "./mirrors.ts";

/** A binary package of an archive: what the resolver needs, and where its file lies. */
export interface IndexedPackage extends BinaryPackage {
  /** The name of its source package. */
  readonly source: string;
  readonly section: string;
  readonly homepage: string;
  /** Its first line. */
  readonly description: string;
  readonly file: ArchiveFile;
}

/** A file of an archive, below its mirrors' URLs. */
export interface ArchiveFile {
  readonly role: MirrorRole;
  /** e.g. `pool/main/h/hello/hello_2.10-3_amd64.deb` */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface IndexedSource {
  readonly name: string;
  readonly version: string;
  readonly format: string;
  readonly buildDepends: string;
  readonly buildDependsArch: string;
  readonly buildDependsIndep: string;
  readonly buildConflicts: string;
  readonly homepage: string;
  readonly files: readonly ArchiveFile[];
}

/** The highest version first; stanzas that state a file badly are errors, for the index is signed. */
export function parsePackages(record: ByteString, role: MirrorRole): IndexedPackage[] {
  return [...splitStanzas(record)]
    .map((text) => readPackage(parseStanza(text), role))
    .sort((a, b) => compareVersions(b.version, a.version));
}

export function parseSources(record: ByteString, role: MirrorRole): IndexedSource[] {
  return [...splitStanzas(record)]
    .map((text) => readSource(parseStanza(text), role))
    .sort((a, b) => compareVersions(b.version, a.version));
}

/** @throws {DevshellError} `DEBIAN_INDEX_INVALID` for what could leave the archive or is no digest */
export function checkFile(file: ArchiveFile): ArchiveFile {
  const isPathSafe =
    /^[A-Za-z0-9][A-Za-z0-9+._~%:@,=/-]*$/.test(file.path) && !file.path.split("/").includes("..");
  if (!isPathSafe || file.path.length > 1000)
    throw invalid(`"${file.path.slice(0, 100)}" is no path in an archive`);
  if (!/^[0-9a-f]{64}$/.test(file.sha256)) throw invalid(`"${file.path}" has no SHA256`);
  if (!Number.isSafeInteger(file.sizeBytes) || file.sizeBytes < 0)
    throw invalid(`"${file.path}" has no size`);
  return file;
}

/** @throws {DevshellError} `DEBIAN_INDEX_INVALID` */
export function checkVersion(version: string): string {
  if (!/^[A-Za-z0-9.+:~-]{1,200}$/.test(version)) throw invalid(`"${version.slice(0, 100)}" is no version`);
  return version;
}

function readPackage(stanza: Stanza, role: MirrorRole): IndexedPackage {
  const text = (field: string): string => stanza.get(field) ?? "";
  const name = text("package");
  return {
    name,
    version: checkVersion(text("version")),
    architecture: text("architecture"),
    multiArch: text("multi-arch"),
    priority: text("priority"),
    isEssential: text("essential") === "yes",
    preDepends: text("pre-depends"),
    depends: text("depends"),
    provides: text("provides"),
    conflicts: text("conflicts"),
    breaks: text("breaks"),
    source: text("source").replace(/\s.*$/s, "") || name,
    section: text("section"),
    homepage: text("homepage"),
    description: text("description"),
    file: checkFile({
      role,
      path: text("filename"),
      sizeBytes: Number(text("size")),
      sha256: text("sha256"),
    }),
  };
}

function readSource(stanza: Stanza, role: MirrorRole): IndexedSource {
  const text = (field: string): string => stanza.get(field) ?? "";
  const directory = text("directory");
  const files = text("checksums-sha256")
    .split("\n")
    .flatMap((line) => {
      const match = /^\s*([0-9a-f]{64})\s+(\d{1,12})\s+([^\s/]+)\s*$/.exec(line);
      if (match === null) return [];
      const [, sha256 = "", size, name = ""] = match;
      return checkFile({ role, path: `${directory}/${name}`, sizeBytes: Number(size), sha256 });
    });
  return {
    name: text("package"),
    version: checkVersion(text("version")),
    format: text("format"),
    buildDepends: text("build-depends"),
    buildDependsArch: text("build-depends-arch"),
    buildDependsIndep: text("build-depends-indep"),
    buildConflicts: [text("build-conflicts"), text("build-conflicts-arch")]
      .filter((field) => field !== "")
      .join(", "),
    homepage: text("homepage"),
    files,
  };
}

function invalid(why: string): DevshellError {
  return new DevshellError("DEBIAN_INDEX_INVALID", `Cannot read the package index: ${why}`, {
    hint: "the mirror or the lock is broken: try `devshell update`, or another mirror",
  });
}
