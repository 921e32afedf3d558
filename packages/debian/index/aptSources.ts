import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseStanza, splitStanzas, unfold } from "./deb822.ts";

/** One archive that the machine's apt reads, e.g. `<mirror>` with `bookworm-security`. */
export interface AptSource {
  /** Without a trailing slash. */
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
}

const KNOWN_SUITE =
  /^(?:old)?(?:old)?stable$|^testing$|^unstable$|^sid$|^experimental$|^(?:buster|bullseye|bookworm|trixie|forky|duke)$/;

/**
 * Reads the machine's apt sources, both formats. Only Debian's own suites with the component `main` count: other
 * vendors' archives are not part of the collection.
 * @param etcApt e.g. `/etc/apt`
 * @returns the sources in apt's order, and the files that were read
 * @see sources.list(5)
 */
export function readAptSources(etcApt: string): {
  readonly sources: readonly AptSource[];
  readonly files: readonly string[];
} {
  const parts = join(etcApt, "sources.list.d");
  const names = listDirectory(parts)
    .filter((name) => /^[\w.-]+\.(?:list|sources)$/.test(name))
    .sort();
  const files = [join(etcApt, "sources.list"), ...names.map((name) => join(parts, name))];
  const sources = files.flatMap((file) => {
    const text = readText(file);
    if (text === undefined) return [];
    return file.endsWith(".sources") ? parseDeb822Sources(text) : parseOneLineSources(text);
  });
  return { sources: sources.filter(isDebianMain), files };
}

/** `deb [options] uri suite component…` */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) return [];
    const [, uri = "", suite = "", components = ""] = match;
    return expandUri(uri).map((each) => ({
      uri: each,
      suite: trimSlash(suite),
      components: words(components),
    }));
  });
}

/** Paragraphs of `Types`, `URIs`, `Suites`, `Components`. */
export function parseDeb822Sources(text: string): AptSource[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return [...splitStanzas(lines.map((line) => line.trimEnd()).join("\n"))].flatMap((paragraph) => {
    const stanza = parseStanza(paragraph);
    const list = (field: string): string[] => words(unfold(stanza.get(field) ?? ""));
    if (/^(?:no|false|0)$/i.test(stanza.get("enabled") ?? "")) return [];
    const components = list("components");
    return list("uris")
      .flatMap(expandUri)
      .flatMap((uri) => list("suites").map((suite) => ({ uri, suite: trimSlash(suite), components })));
  });
}

/** `bookworm-security` → `bookworm`; security archives of old had `bookworm/updates`. */
export function baseSuite(suite: string): string {
  return suite.replace(/(?:-security|-updates|-proposed-updates|-backports(?:-sloppy)?|\/updates)$/, "");
}

function isDebianMain({ suite, components }: AptSource): boolean {
  return components.includes("main") && KNOWN_SUITE.test(baseSuite(suite));
}

/** A list of mirrors in a file (`mirror+file:`) becomes its mirrors; what devshell cannot read is left out. */
function expandUri(uri: string): string[] {
  const mirrorList = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
  if (mirrorList !== undefined)
    return (readText(mirrorList) ?? "")
      .split("\n")
      .map((line) => line.trim().split(/\s/)[0] ?? "")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .flatMap(expandUri);
  return /^(?:https?|file):/.test(uri) ? [trimSlash(uri)] : [];
}

function trimSlash(text: string): string {
  return text.replace(/\/+$/, "");
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Absent or not readable by this user: apt, too, then goes without.
    return undefined;
  }
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
