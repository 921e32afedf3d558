import { existsSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import type { SearchPathEntry } from "../../lang/index.ts";

export interface SearchPathRequest {
  /** `-I`, which come first. */
  readonly includes: readonly string[];
  /** `NIX_PATH`. */
  readonly variable: string | undefined;
  /** The option `nix-path`, which the variable hides unless the command line gives it. */
  readonly option: string | undefined;
  /** `--nix-path` and `--extra-nix-path`. */
  readonly commandLine: { readonly whole: string | undefined; readonly extra: string | undefined };
  /** Restricted evaluation finds nothing by default. */
  readonly isRestricted: boolean;
  readonly stateDir: string;
  /** Where the user's channels lie in `channels`. */
  readonly userExpressions: string;
  /** Told of what is looked for. */
  readonly onLook?: ((path: string) => void) | undefined;
}

/** The search path in force, in order. */
export function searchPathEntries(request: SearchPathRequest): SearchPathEntry[] {
  return [...request.includes, ...entriesInForce(request)].filter((text) => text !== "").map(parseEntry);
}

/** The option's are words, the variable's stand between colons. */
function entriesInForce(request: SearchPathRequest): string[] {
  const { variable, option, commandLine } = request;
  const { whole, extra = "" } = commandLine;
  if (whole !== undefined) return wordsOf(`${whole} ${extra}`);
  if (variable !== undefined) return [...splitSearchPath(variable), ...wordsOf(extra)];
  // The option has the extra ones already.
  if (option !== undefined) return wordsOf(option);
  return request.isRestricted ? [] : defaultEntries(request);
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/);
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
function defaultEntries({ stateDir, userExpressions, onLook }: SearchPathRequest): string[] {
  const userChannels = join(userExpressions, "channels");
  const rootChannels = join(stateDir, "profiles/per-user/root/channels");
  onLook?.(join(rootChannels, "nixpkgs"));
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
