import { readFileSync } from "node:fs";
import { fsPath } from "../../../core/index.ts";

/** The hidden directory of a package's store path with what is about it rather than of it. */
export const HIDDEN_DIRECTORY = ".debian";

/** One entry of a package's tree, as `.debian/manifest` lists it, parents first, sorted by path. */
export type ManifestEntry =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | ManifestFile;

export interface ManifestFile {
  readonly kind: "file";
  readonly path: string;
  readonly isExecutable: boolean;
  /** It was setuid or setgid in the package. */
  readonly wasSetId: boolean;
  /** It begins with `#!`. */
  readonly isScript: boolean;
  /** No NUL in its first 512 bytes. */
  readonly isText: boolean;
  readonly sizeBytes: number;
}

/** Records end in NUL: `d<path>`, `l<path>\t<target>`, `f<flags> <size> <path>`. Byte strings. */
export function formatManifest(entries: readonly ManifestEntry[]): string {
  return entries.map((entry) => `${formatEntry(entry)}\0`).join("");
}

/** @throws plain Error: only our own builder writes manifests */
export function readManifest(packagePath: string): ManifestEntry[] {
  const text = readFileSync(fsPath(`${packagePath}/${HIDDEN_DIRECTORY}/manifest`), "latin1");
  return text.split("\0").slice(0, -1).map(parseEntry);
}

function formatEntry(entry: ManifestEntry): string {
  switch (entry.kind) {
    case "directory":
      return `d${entry.path}`;
    case "link":
      return `l${entry.path}\t${entry.target}`;
    case "file": {
      const flags = [
        entry.isExecutable ? "x" : "",
        entry.wasSetId ? "s" : "",
        entry.isScript ? "#" : "",
        entry.isText ? "t" : "",
      ].join("");
      return `f${flags} ${entry.sizeBytes} ${entry.path}`;
    }
  }
}

function parseEntry(record: string): ManifestEntry {
  const rest = record.slice(1);
  if (record.startsWith("d")) return { kind: "directory", path: rest };
  if (record.startsWith("l")) {
    // A path may hold a tab in theory; a Debian link's target is what follows the last one.
    const tab = rest.lastIndexOf("\t");
    return { kind: "link", path: rest.slice(0, tab), target: rest.slice(tab + 1) };
  }
  const file = /^f([xs#t]*) (\d+) (.*)$/s.exec(record);
  if (file === null) throw new Error(`Cannot read manifest record ${JSON.stringify(record)}`);
  const flags = file[1] ?? "";
  return {
    kind: "file",
    path: file[3] ?? "",
    isExecutable: flags.includes("x"),
    wasSetId: flags.includes("s"),
    isScript: flags.includes("#"),
    isText: flags.includes("t"),
    sizeBytes: Number(file[2]),
  };
}
