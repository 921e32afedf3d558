import { quoteJson } from "../print/index.ts";
import { failure } from "./define.ts";

/** A flake reference taken apart: `type`, `owner`, `repo`, `ref`, `dir`, … */
export type FlakeAttributes = Map<string, string | bigint | boolean>;

const ID = /^[a-zA-Z][a-zA-Z0-9_-]*$/;
const REVISION = /^[0-9a-fA-F]{40}$/;
/** What Git allows in the name of a branch or tag, as Nix checks it. */
const REF = /^[a-zA-Z0-9@][a-zA-Z0-9_.+@/-]*$/;
const FORGES = new Set(["github", "gitlab", "sourcehut"]);
/** Attributes that are numbers in the set form. */
const NUMBERS = new Set(["lastModified", "revCount"]);
const BOOLEANS = new Set(["submodules", "shallow", "allRefs", "exportIgnore", "lfs", "verifyCommit"]);

/** Reads a flake reference in its URL form. @throws EvalError */
export function parseFlakeReference(text: string): FlakeAttributes {
  const notAbsolute = (): Error => failure(`flake reference '${text}' is not an absolute path`);
  const hash = text.indexOf("#");
  if (hash >= 0) throw failure(`unexpected fragment '${text.slice(hash + 1)}' in flake reference '${text}'`);
  const [location = "", query = ""] = text.split("?", 2);
  const parameters = parseQuery(query);
  const indirect = /^(?:flake:)?([a-zA-Z][a-zA-Z0-9_-]*)(?:\/([^/]+))?(?:\/([0-9a-fA-F]{40}))?$/.exec(
    location,
  );
  const attributes: FlakeAttributes = new Map();
  const scheme = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(location);
  if (indirect !== null) {
    attributes.set("type", "indirect").set("id", indirect[1]!);
    setRevision(attributes, indirect[2], indirect[3]);
  } else if (scheme === null) {
    if (!location.startsWith("/")) throw notAbsolute();
    attributes.set("type", "path").set("path", decode(location));
  } else {
    const [, kind = "", rest = ""] = scheme;
    if (FORGES.has(kind)) {
      const [owner, repo, ...revision] = rest.split("/").map(decode);
      if (owner === undefined || repo === undefined || owner === "" || repo === "") throw notAbsolute();
      attributes.set("type", kind).set("owner", owner).set("repo", repo);
      if (revision.length > 0) setRevision(attributes, revision.join("/"), undefined);
    } else if (kind === "path") attributes.set("type", "path").set("path", decode(rest));
    else {
      const transport = kind.startsWith("git+")
        ? "git"
        : kind === "git"
          ? "git"
          : kind.startsWith("hg+")
            ? "hg"
            : undefined;
      const bare = kind.replace(/^(?:git|hg|tarball|file)\+/, "");
      const isTarball =
        kind.startsWith("tarball+") ||
        (!kind.includes("+") && /\.(?:zip|tar|tgz|tar\.(?:gz|xz|bz2|zst))$/.test(rest));
      const type = transport ?? (isTarball ? "tarball" : "file");
      attributes.set("type", type).set("url", `${bare}:${rest}`);
    }
  }
  for (const [name, value] of parameters) {
    if (NUMBERS.has(name)) attributes.set(name, BigInt(value));
    else if (BOOLEANS.has(name)) attributes.set(name, value === "1");
    else attributes.set(name, value);
  }
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
    if (ref !== undefined && !REF.test(ref)) throw failure(`invalid Git branch/tag name '${ref}'`);
    return (ref === undefined ? "" : `/${ref}`) + (rev === undefined ? "" : `/${rev}`);
  };
  let location: string;
  if (type === "indirect") {
    const id = take("id");
    if (!ID.test(id)) throw failure(`'${id}' is not a valid flake id`);
    location = `flake:${id}${revision()}`;
  } else if (FORGES.has(type))
    location = `${type}:${encode(take("owner"))}/${encode(take("repo"))}${revision()}`;
  else if (type === "path") location = `path:${encode(take("path"))}`;
  else if (type === "git" || type === "hg") {
    const url = take("url");
    location = url.startsWith(`${type}:`) ? url : `${type}+${url}`;
  } else if (type === "tarball" || type === "file") location = take("url");
  else throw failure(`cannot show unsupported input '${describe(attributes)}'`);
  const parameters = [...attributes]
    .filter(([name]) => !used.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, value]) =>
        `${name}=${encodeQuery(typeof value === "boolean" ? (value ? "1" : "0") : String(value))}`,
    );
  const query = parameters.join("&");
  return query === "" ? location : `${location}${location.includes("?") ? "&" : "?"}${query}`;
}

function describe(attributes: FlakeAttributes): string {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const fields = sorted.map(
    ([name, value]) => `${quoteJson(name)}:${typeof value === "string" ? quoteJson(value) : value}`,
  );
  return `{${fields.join(",")}}`;
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
    if (!REF.test(first)) throw failure(`invalid Git branch/tag name '${first}'`);
    attributes.set("ref", first);
  }
}

function parseQuery(query: string): [string, string][] {
  if (query === "") return [];
  return query.split("&").map((part) => {
    const equals = part.indexOf("=");
    if (equals < 0) throw failure(`invalid URL query parameter '${part}'`);
    return [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
  });
}

function decode(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function encode(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g, percent);
}

function encodeQuery(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~!$'()*,;:@/?]/g, percent);
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
