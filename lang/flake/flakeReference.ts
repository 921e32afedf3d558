import { quoteJson } from "../print/index.ts";
import { failure } from "../builtins/define.ts";
import { decodeUrl, encodeUrlPath, encodeUrlQuery } from "../builtins/url.ts";

/** A flake reference taken apart: `type`, `owner`, `repo`, `ref`, `dir`, … */
export type FlakeAttributes = Map<string, string | bigint | boolean>;

const ID = /^[a-zA-Z][a-zA-Z0-9_-]*$/;
const REVISION = /^[0-9a-fA-F]{40}$/;
const FORGES = new Set(["github", "gitlab", "sourcehut"]);
/** Attributes that are numbers in the set form. */
const NUMBERS = new Set(["lastModified", "revCount"]);
const BOOLEANS = new Set(["submodules", "shallow", "allRefs", "exportIgnore", "lfs", "verifyCommit"]);

export interface ParseReferenceOptions {
  /** A path may be relative: to the flake that names it. */
  readonly isRelativeAllowed?: boolean | undefined;
  /** False where a plain file will do: what is downloaded is then unpacked by its name only. */
  readonly isFlake?: boolean | undefined;
  /** Told of parameters that are none, which are then passed over; without it they are errors. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Reads a flake reference in its URL form. @throws EvalError */
export function parseFlakeReference(text: string, options: ParseReferenceOptions = {}): FlakeAttributes {
  const { isRelativeAllowed = false, isFlake = true } = options;
  const notAbsolute = (): Error => failure(`flake reference '${text}' is not an absolute path`);
  const hash = text.indexOf("#");
  if (hash >= 0) throw failure(`unexpected fragment '${text.slice(hash + 1)}' in flake reference '${text}'`);
  const mark = text.indexOf("?");
  const location = mark < 0 ? text : text.slice(0, mark);
  const query = mark < 0 ? "" : text.slice(mark + 1);
  const parameters = parseQuery(query, options.warn);
  const indirect = /^(?:flake:)?([a-zA-Z][a-zA-Z0-9_-]*)(?:\/([^/]+))?(?:\/([0-9a-fA-F]{40}))?$/.exec(
    location,
  );
  const attributes: FlakeAttributes = new Map();
  const scheme = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(location);
  if (indirect !== null) {
    attributes.set("type", "indirect").set("id", indirect[1]!);
    setRevision(attributes, indirect[2], indirect[3]);
  } else if (scheme === null) {
    if (!location.startsWith("/") && !isRelativeAllowed) throw notAbsolute();
    attributes.set("type", "path").set("path", oneSlash(location));
  } else {
    const [, kind = "", rest = ""] = scheme;
    if (/[^\x21-\x7e]/.test(rest)) throw notAbsolute();
    if (FORGES.has(kind)) {
      const [owner, repo, ...revision] = rest
        .split("/")
        .filter((part) => part !== "")
        .map(decodeUrl);
      if (owner === undefined || repo === undefined) throw failure(`URL '${text}' is invalid`);
      attributes.set("type", kind).set("owner", owner).set("repo", repo);
      if (revision.length > 0) setRevision(attributes, revision.join("/"), undefined);
    } else if (kind === "path") {
      const authority = /^\/\/([^/]+)/.exec(rest)?.[1];
      if (authority !== undefined)
        throw failure(`path URL '${text}' should not have an authority ('${authority}')`);
      attributes.set("type", "path").set("path", decodeUrl(oneSlash(rest)));
    } else {
      const [application, transport] = kind.includes("+") ? kind.split("+", 2) : [undefined, kind];
      const type = transportType(application, transport ?? "", isFlake || isArchiveName(rest));
      if (type === undefined) throw failure(`input '${text}' is unsupported`);
      attributes.set("type", type).set("url", `${transport}:${rest}`);
    }
  }
  setParameters(attributes, parameters, text);
  return attributes;
}

/** Writes a flake reference in its URL form. @throws EvalError */
export function formatFlakeReference(attributes: FlakeAttributes): string {
  const text = (name: string): string | undefined => {
    const value = attributes.get(name);
    return typeof value === "string" ? value : undefined;
  };
  const type = text("type");
  if (type === undefined)
    throw failure("'type' attribute to specify input scheme is required but not provided");
  const used = new Set(["type"]);
  const take = (name: string): string => {
    used.add(name);
    const value = text(name);
    if (value === undefined) throw failure(`input attribute '${name}' is missing`);
    return value;
  };
  const revision = (): string => {
    const ref = text("ref");
    const rev = text("rev");
    used.add("ref").add("rev");
    if (ref !== undefined && !isLegalRefName(ref)) throw failure(`invalid Git branch/tag name '${ref}'`);
    const shown = ref !== undefined && FORGES.has(type) ? segment(ref) : ref;
    return (shown === undefined ? "" : `/${shown}`) + (rev === undefined ? "" : `/${rev}`);
  };
  let location: string;
  if (type === "indirect") {
    const id = take("id");
    if (!ID.test(id)) throw failure(`'${id}' is not a valid flake ID`);
    location = `flake:${id}${revision()}`;
  } else if (FORGES.has(type))
    location = `${type}:${segment(take("owner"))}/${segment(take("repo"))}${revision()}`;
  else if (type === "path") location = `path:${encodeUrlPath(take("path"))}`;
  else if (type === "git" || type === "hg") {
    const url = take("url");
    location = url.startsWith(`${type}:`) ? url : `${type}+${url}`;
  } else if (type === "tarball" || type === "file") location = take("url");
  else throw failure(`cannot show unsupported input '${describeAttributes(attributes)}'`);
  const parameters = [...attributes]
    .filter(([name, value]) => !used.has(name) && isShown(type, name, value))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, value]) =>
        `${name}=${encodeUrlQuery(typeof value === "boolean" ? (value ? "1" : "0") : String(value))}`,
    );
  const query = parameters.join("&");
  return query === "" ? location : `${location}${location.includes("?") ? "&" : "?"}${query}`;
}

/** What Git allows in the name of a branch or tag (`git help check-ref-format`), without a leading dash. */
export function isLegalRefName(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (name === "" || name === "@" || /^-|[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\.$/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}

/** The attributes as JSON, for messages. */
export function describeAttributes(attributes: FlakeAttributes): string {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const fields = sorted.map(
    ([name, value]) => `${quoteJson(name)}:${typeof value === "string" ? quoteJson(value) : value}`,
  );
  return `{${fields.join(",")}}`;
}

const DOWNLOADS = new Set(["file", "http", "https"]);

const ARCHIVE_NAME = /\.(?:zip|tar|tgz|tar\.gz|tar\.xz|tar\.bz2|tar\.zst)$/;

function isArchiveName(path: string): boolean {
  return ARCHIVE_NAME.test(path.slice(path.lastIndexOf("/") + 1));
}

/** @param isTree what is downloaded is taken for an archive, unless the URL says `file+` */
function transportType(
  application: string | undefined,
  transport: string,
  isTree: boolean,
): string | undefined {
  if (application === "git" || (application === undefined && transport === "git")) return "git";
  if (application === "hg") return "hg";
  if (!DOWNLOADS.has(transport)) return undefined;
  if (application === undefined) return isTree ? "tarball" : "file";
  return application === "tarball" || application === "file" ? application : undefined;
}

/** The parameters of a URL that mean something to its fetcher; others belong to the server, or are wrong. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  file: ["narHash", "rev", "revCount", "lastModified"],
  git: [
    "rev",
    "ref",
    "keytype",
    "publicKey",
    "publicKeys",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "allRefs",
    "verifyCommit",
  ],
  hg: ["rev", "ref"],
  indirect: ["narHash"],
  path: ["rev", "narHash", "revCount", "lastModified"],
  tarball: ["narHash", "rev", "revCount", "lastModified"],
};
const FORGE_PARAMETERS = ["rev", "ref", "host", "narHash"];

function setParameters(attributes: FlakeAttributes, parameters: [string, string][], text: string): void {
  const type = String(attributes.get("type"));
  const known = PARAMETERS[type] ?? FORGE_PARAMETERS;
  const others: [string, string][] = [];
  for (const [name, value] of parameters) {
    if (name !== "dir" && !known.includes(name)) others.push([name, value]);
    else if (NUMBERS.has(name)) {
      if (!/^\d+$/.test(value)) throw failure(`path URL '${text}' has invalid parameter '${name}'`);
      attributes.set(name, BigInt(value));
    } else if (BOOLEANS.has(name)) attributes.set(name, value === "1");
    else attributes.set(name, value);
  }
  const [first] = others;
  if (first === undefined) return;
  if (type === "path") throw failure(`path URL '${text}' has unsupported parameter '${first[0]}'`);
  const url = attributes.get("url");
  if (typeof url !== "string") throw failure(`URL '${text}' contains unknown parameter '${first[0]}'`);
  const query = others.map(([name, value]) => `${encodeUrlQuery(name)}=${encodeUrlQuery(value)}`);
  attributes.set("url", `${url}?${query.sort().join("&")}`);
}

function oneSlash(path: string): string {
  return path.replace(/\/{2,}/g, "/");
}

function setRevision(
  attributes: FlakeAttributes,
  first: string | undefined,
  second: string | undefined,
): void {
  if (first === undefined) return;
  if (second !== undefined) attributes.set("ref", first).set("rev", second);
  else if (REVISION.test(first)) attributes.set("rev", first);
  else {
    if (!isLegalRefName(first)) throw failure(`invalid Git branch/tag name '${first}'`);
    attributes.set("ref", first);
  }
}

function parseQuery(query: string, warn: ParseReferenceOptions["warn"]): [string, string][] {
  if (query === "") return [];
  return query.split("&").flatMap((part): [string, string][] => {
    const equals = part.indexOf("=");
    if (equals < 0) {
      if (warn === undefined) throw failure(`invalid URL query parameter '${part}'`);
      if (part !== "") warn(`dubious URI query '${part}' is missing equal sign '=', ignoring`);
      return [];
    }
    return [[decodeUrl(part.slice(0, equals)), decodeUrl(part.slice(equals + 1))]];
  });
}

/** One part of a URL's path, slashes in it included. */
function segment(text: string): string {
  return encodeUrlPath(text).replaceAll("/", "%2F");
}

const SHOWN_OF_GIT = new Set(["rev", "ref", "keytype", "publicKey", "publicKeys"]);

/** Which attributes stand in the URL form's query, type by type. */
function isShown(type: string, name: string, value: string | bigint | boolean): boolean {
  if (name === "dir") return value !== "";
  switch (type) {
    case "path":
      return true;
    case "git":
      return BOOLEANS.has(name) ? value === true && name !== "allRefs" : SHOWN_OF_GIT.has(name);
    case "hg":
      return name === "rev" || name === "ref";
    case "tarball":
    case "file":
      return name === "narHash";
    case "indirect":
      return false;
    default:
      return name === "narHash" || name === "host";
  }
}
