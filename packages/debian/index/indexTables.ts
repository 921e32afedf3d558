import { DevshellError, type ByteString } from "../../../core/index.ts";
import { parseStanza, unfold, type Stanza } from "./deb822.ts";
import { writeRecordTable } from "./recordTable.ts";

/** What of a package's stanza is kept, in this order. */
const PACKAGE_FIELDS = [
  "package",
  "version",
  "architecture",
  "multi-arch",
  "source",
  "section",
  "priority",
  "essential",
  "pre-depends",
  "depends",
  "provides",
  "conflicts",
  "breaks",
  "filename",
  "size",
  "sha256",
  "homepage",
  "description",
] as const;
const SOURCE_FIELDS = [
  "package",
  "version",
  "format",
  "directory",
  "build-depends",
  "build-depends-arch",
  "build-depends-indep",
  "build-conflicts",
  "build-conflicts-arch",
  "build-conflicts-indep",
  "checksums-sha256",
  "homepage",
  "binary",
] as const;

const MAX_STANZAS = 1_000_000;
const MAX_STANZA_BYTES = 4 << 20;
const PACKAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9+.-]{0,200}$/;

/** The files of one `Packages` index; the base is named after the index's hash. */
export function packagesTablePath(base: string): string {
  return `${base}.packages`;
}

/** Virtual package → names of its providers, one a line. */
export function providersTablePath(base: string): string {
  return `${base}.providers`;
}

export function sourcesTablePath(base: string): string {
  return `${base}.sources`;
}

/** Turns the text of a `Packages` index into the two tables the resolver reads. */
export function writePackageTables(index: Buffer, base: string, architecture: string): void {
  const providers = new Map<string, Set<string>>();
  const essential: string[] = [];
  const records = collect(index, PACKAGE_FIELDS, (name, stanza) => {
    const stanzaArchitecture = stanza.get("architecture") ?? "";
    if (stanzaArchitecture !== architecture && stanzaArchitecture !== "all") return false;
    if (stanza.get("essential") === "yes") essential.push(name);
    for (const provided of (stanza.get("provides") ?? "").split(",")) {
      const virtual = ownString(/^\s*([A-Za-z0-9+.-]+)/.exec(provided)?.[1] ?? "");
      if (virtual === "") continue;
      const known = providers.get(virtual);
      if (known === undefined) providers.set(virtual, new Set([name]));
      else known.add(name);
    }
    return true;
  });
  const notes = { essential: [...new Set(essential)].sort().join(" "), architecture };
  writeRecordTable(
    providersTablePath(base),
    new Map([...providers].map(([virtual, names]) => [virtual, [...names].join("\n")])),
  );
  // Last, since its presence says that both are there.
  writeRecordTable(packagesTablePath(base), records, notes);
}

export function writeSourceTable(index: Buffer, base: string): void {
  // `Extra-Source-Only` sources are kept by the archive for other packages' sake: no suite's current source.
  const records = collect(index, [...SOURCE_FIELDS, "extra-source-only"], (_, stanza) => {
    return stanza.get("extra-source-only") !== "yes";
  });
  writeRecordTable(sourcesTablePath(base), records);
}

/** Name → its stanzas in short form, parted by empty lines. */
function collect(
  index: Buffer,
  fields: readonly string[],
  isWanted: (name: string, stanza: Stanza) => boolean,
): Map<string, ByteString> {
  const kept = new Set(fields);
  const records = new Map<string, ByteString>();
  let count = 0;
  for (const text of stanzasOf(index)) {
    if (++count > MAX_STANZAS || text.length > MAX_STANZA_BYTES)
      throw new DevshellError("DEBIAN_INDEX_INVALID", "Cannot read the package index: it is too large", {
        hint: "the mirror serves a broken archive: try another one",
      });
    const stanza = parseStanza(text, kept);
    const name = ownString(stanza.get("package") ?? "");
    if (!PACKAGE_NAME.test(name) || !stanza.has("version") || !isWanted(name, stanza)) continue;
    const lines: string[] = [];
    for (const field of fields) {
      const value = stanza.get(field);
      if (value === undefined || value === "") continue;
      lines.push(
        field,
        ": ",
        field === "checksums-sha256" ? value.replaceAll("\n", "\n ") : unfold(value),
        "\n",
      );
    }
    // Joined into a string of its own, which keeps nothing of the index alive.
    const short = lines.join("");
    const before = records.get(name);
    records.set(name, before === undefined ? short : `${before}\n${short}`);
  }
  return records;
}

/** A long part of a string keeps the whole string alive; a copy does not. */
function ownString(part: string): string {
  return Buffer.from(part, "latin1").toString("latin1");
}

/** One stanza at a time as a string; the whole of an index as a string would double what it takes. */
function* stanzasOf(index: Buffer): Generator<ByteString> {
  for (let start = 0; start < index.length;) {
    const found = index.indexOf("\n\n", start, "latin1");
    const end = found < 0 ? index.length : found + 1;
    if (end > start + 1) yield index.toString("latin1", start, Math.min(end, start + MAX_STANZA_BYTES + 1));
    start = end + 1;
  }
}
