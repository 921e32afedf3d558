import { DevshellError, type ByteString } from "../../../core/index.ts";
import { parseStanza, splitStanzas, unfold, type Stanza } from "./deb822.ts";
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
export function writePackageTables(index: ByteString, base: string, architecture: string): void {
  const providers = new Map<string, Set<string>>();
  const essential: string[] = [];
  const records = collect(index, PACKAGE_FIELDS, (name, stanza) => {
    const stanzaArchitecture = stanza.get("architecture") ?? "";
    if (stanzaArchitecture !== architecture && stanzaArchitecture !== "all") return false;
    if (stanza.get("essential") === "yes") essential.push(name);
    for (const provided of (stanza.get("provides") ?? "").split(",")) {
      const virtual = /^\s*([A-Za-z0-9+.-]+)/.exec(provided)?.[1];
      if (virtual === undefined) continue;
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

export function writeSourceTable(index: ByteString, base: string): void {
  // `Extra-Source-Only` sources are kept by the archive for other packages' sake: no suite's current source.
  const records = collect(index, [...SOURCE_FIELDS, "extra-source-only"], (_, stanza) => {
    return stanza.get("extra-source-only") !== "yes";
  });
  writeRecordTable(sourcesTablePath(base), records);
}

/** Name → its stanzas in short form, parted by empty lines. */
function collect(
  index: ByteString,
  fields: readonly string[],
  isWanted: (name: string, stanza: Stanza) => boolean,
): Map<string, ByteString> {
  const kept = new Set(fields);
  const records = new Map<string, ByteString>();
  let count = 0;
  for (const text of splitStanzas(index)) {
    if (++count > MAX_STANZAS || text.length > MAX_STANZA_BYTES)
      throw new DevshellError("DEBIAN_INDEX_INVALID", "Cannot read the package index: it is too large", {
        hint: "the mirror serves a broken archive: try another one",
      });
    const stanza = parseStanza(text, kept);
    const name = stanza.get("package") ?? "";
    if (!PACKAGE_NAME.test(name) || !stanza.has("version") || !isWanted(name, stanza)) continue;
    let short = "";
    for (const field of fields) {
      const value = stanza.get(field);
      if (value === undefined || value === "") continue;
      const line = field === "checksums-sha256" ? value.replaceAll("\n", "\n ") : unfold(value);
      short += `${field}: ${line}\n`;
    }
    const before = records.get(name);
    records.set(name, before === undefined ? short : `${before}\n${short}`);
  }
  return records;
}
