import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import type { SearchPathEntry } from "../../lang/index.ts";

export interface SearchPathRequest {
  /** `-I`, which come first. */
  readonly includes: readonly string[];
  /** `NIX_PATH`, or what `nix.conf` says in its place. */
  readonly variable: string | undefined;
  readonly stateDir: string;
  readonly home: string | undefined;
}

/** The search path in force, in order. */
export function searchPathEntries(request: SearchPathRequest): SearchPathEntry[] {
  const { includes, variable } = request;
  const texts = [
    ...includes,
    ...(variable === undefined ? defaultEntries(request) : splitSearchPath(variable)),
  ];
  return texts.filter((text) => text !== "").map(parseEntry);
}

/** Splits at colons, but not at those of a URL (`https://…`, `channel:…`, `flake:…`). */
function splitSearchPath(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && text[at] !== ":") continue;
    const part = text.slice(start, at);
    const scheme = part.slice(part.indexOf("=") + 1);
    const isScheme =
      at < text.length && (text.startsWith("//", at + 1) || scheme === "channel" || scheme === "flake");
    if (isScheme && /^[a-zA-Z][a-zA-Z0-9+.-]*$/.test(scheme)) continue;
    parts.push(part);
    start = at + 1;
  }
  return parts;
}

function parseEntry(text: string): SearchPathEntry {
  const at = text.indexOf("=");
  return at < 0
    ? { prefix: "", value: bytesOfText(text) }
    : { prefix: bytesOfText(text.slice(0, at)), value: bytesOfText(text.slice(at + 1)) };
}

/** Nix's own default: the user's channels, then root's. */
function defaultEntries({ stateDir, home }: SearchPathRequest): string[] {
  const userChannels = join(home ?? homedir(), ".nix-defexpr/channels");
  const rootChannels = join(stateDir, "profiles/per-user/root/channels");
  return [
    userChannels,
    ...(existsSync(join(rootChannels, "nixpkgs")) ? [`nixpkgs=${rootChannels}/nixpkgs`] : []),
    rootChannels,
  ];
}

/** Whether an entry must be fetched, and from where. */
export function urlOfEntry(entry: ByteString): string | undefined {
  const text = textOfBytes(entry);
  if (text.startsWith("channel:")) return `https://nixos.org/channels/${text.slice(8)}/nixexprs.tar.xz`;
  return /^(https?|file|ftp|s3):\/\//.test(text) ? text : undefined;
}

/** An entry as an absolute path. */
export function pathOfEntry(entry: ByteString, directory: string): ByteString {
  const text = textOfBytes(entry);
  const path = isAbsolute(text) ? resolve(text) : resolve(directory, text);
  return bytesOfText(path);
}
