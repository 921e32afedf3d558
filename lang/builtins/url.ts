import { failure } from "./define.ts";

/** A URL's parts as bytes, its path with percent signs resolved. */
export interface UrlParts {
  readonly scheme: string;
  /** After `//`; `undefined` where there is none. */
  readonly authority: string | undefined;
  readonly path: string;
  readonly query: string | undefined;
}

const SCHEMES_OF_GIT = new Set(
  ["ssh", "http", "https", "file", "ftp", "ftps", "git"].flatMap((scheme) => [scheme, `git+${scheme}`]),
);

/** @throws EvalError where a text is no URL */
export function parseUrl(text: string): UrlParts {
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text);
  if (match === null) throw failure(`'${text}' is not a valid URL`);
  if (/[^\x21-\x7e]|["<>\\^`{|}]/.test(text)) throw failure(`'${text}' is not a valid URL: leftover`);
  const [, scheme = "", authority, path = "", query] = match;
  return { scheme, authority, path: decodeUrl(path), query };
}

export function formatUrl({ scheme, authority, path, query }: UrlParts): string {
  return `${scheme}:${authority === undefined ? "" : `//${authority}`}${encodeUrlPath(path)}${query === undefined || query === "" ? "" : `?${query}`}`;
}

/** What Git takes for a repository's place, as a URL: paths, `user@host:path`, `git+https://…`. @throws EvalError */
export function fixGitUrl(text: string): string {
  if (text.startsWith("/")) return formatUrl({ scheme: "file", authority: "", path: text, query: undefined });
  const scp = /^((?:[^:/[\]]*@)?(?:\[[^\]/]*\]|[^:/]+)):(.*)$/s.exec(text);
  if (scp !== null && !SCHEMES_OF_GIT.has(scp[1]!) && !scp[2]!.startsWith("//")) {
    const [, host = "", path = ""] = scp;
    return formatUrl({
      scheme: "ssh",
      authority: host,
      path: path.startsWith("/") ? path : `/${path}`,
      query: undefined,
    });
  }
  const url = parseUrl(text);
  return formatUrl({ ...url, scheme: url.scheme.replace(/^git\+/, "") });
}

export function decodeUrl(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

export function encodeUrlPath(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g, percent);
}

export function encodeUrlQuery(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~!$'()*,;:@/?]/g, percent);
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
