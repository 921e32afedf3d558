import type { ByteString } from "../../core/index.ts";
import { formatHash, parseHash } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { quoteJson } from "../print/index.ts";
import {
  describeAttributes,
  formatFlakeReference,
  isLegalRefName,
  type FlakeAttributes,
} from "./flakeReference.ts";
import { fixGitUrl } from "../builtins/url.ts";

/** What a fetcher is asked for, checked as far as that goes without I/O. */
export interface FetchInput {
  readonly attributes: FlakeAttributes;
  /** The URL form, for messages and `allowed-uris`. */
  readonly reference: ByteString;
  /** Always the same tree: it has a revision, or the hash of its content. */
  readonly isLocked: boolean;
}

const KEYS = ["keytype", "publicKey", "publicKeys"];
const ARCHIVE = ["owner", "repo", "ref", "rev", "narHash", "lastModified", "host", "treeHash"];
const DOWNLOAD = ["url", "narHash", "name", "unpack", "rev", "revCount", "lastModified"];

/** What each type of input may say. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  file: DOWNLOAD,
  git: [
    "url",
    "ref",
    "rev",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "lastModified",
    "revCount",
    "narHash",
    "allRefs",
    "name",
    "dirtyRev",
    "dirtyShortRev",
    "verifyCommit",
    ...KEYS,
  ],
  github: ARCHIVE,
  gitlab: ARCHIVE,
  hg: ["url", "ref", "rev", "revCount", "narHash", "name"],
  indirect: ["id", "ref", "rev", "narHash"],
  path: ["path", "rev", "revCount", "lastModified", "narHash"],
  sourcehut: ARCHIVE,
  tarball: DOWNLOAD,
};

const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  file: ["url"],
  git: ["url"],
  github: ["owner", "repo"],
  gitlab: ["owner", "repo"],
  hg: ["url"],
  indirect: ["id"],
  path: ["path"],
  sourcehut: ["owner", "repo"],
  tarball: ["url"],
};

const STRINGS = ["url", "ref", "rev", "narHash", "name", "path", "owner", "repo", "host", "id", ...KEYS];
const BOOLEANS = ["shallow", "submodules", "lfs", "exportIgnore", "allRefs", "verifyCommit"];
const NUMBERS = ["lastModified", "revCount"];
const FORGES = new Set(["github", "gitlab", "sourcehut"]);
const HOST = /^[a-zA-Z0-9.-]*$/;
const NO_REVISION = /^0+$/;

/** Checks an input's attributes as the fetcher of its type does. @throws EvalError */
export function fetchInput(given: FlakeAttributes): FetchInput {
  const attributes: FlakeAttributes = new Map(given);
  const type = attributes.get("type");
  if (typeof type !== "string")
    throw failure("'type' attribute to specify input scheme is required but not provided");
  const allowed = ALLOWED[type];
  if (allowed === undefined)
    throw failure(`cannot show unsupported input '${describeAttributes(attributes)}'`);
  for (const name of [...attributes.keys()].sort())
    if (name !== "type" && !allowed.includes(name))
      throw failure(`input attribute '${name}' not supported by scheme '${type}'`);
  for (const name of REQUIRED[type] ?? [])
    if (!attributes.has(name)) throw failure(`input attribute '${name}' is missing`);
  checkTypes(attributes);
  checkRevision(attributes, type);
  const hash = attributes.get("narHash");
  if (typeof hash === "string") attributes.set("narHash", normalHash(hash));
  const url = attributes.get("url");
  if (type === "git" && typeof url === "string") attributes.set("url", fixGitUrl(url));
  return { attributes, reference: formatFlakeReference(attributes), isLocked: isLocked(attributes, type) };
}

function isLocked(attributes: FlakeAttributes, type: string): boolean {
  const rev = attributes.get("rev");
  if (type === "git") return typeof rev === "string" && !NO_REVISION.test(rev);
  if (type === "hg") return rev !== undefined;
  if (FORGES.has(type)) return rev !== undefined;
  return type !== "indirect" && attributes.has("narHash");
}

function checkTypes(attributes: FlakeAttributes): void {
  const check = (names: readonly string[], type: string, article: string): void => {
    for (const name of names) {
      const value = attributes.get(name);
      if (value !== undefined && typeof value !== type)
        throw failure(
          `input attribute '${name}' is not ${article}${type === "string" ? ` ${attributesJson(attributes)}` : ""}`,
        );
    }
  };
  check(STRINGS, "string", "a string");
  check(BOOLEANS, "boolean", "a Boolean");
  check(NUMBERS, "bigint", "an integer");
}

function attributesJson(attributes: FlakeAttributes): ByteString {
  const members = [...attributes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${quoteJson(name)}:${typeof value === "string" ? quoteJson(value) : value}`);
  return `{${members.join(",")}}`;
}

function checkRevision(attributes: FlakeAttributes, type: string): void {
  const { ref, rev, host } = Object.fromEntries(attributes);
  if (typeof rev === "string" && !/^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$/.test(rev))
    throw failure(`hash '${rev}' has wrong length for hash algorithm 'sha1'`);
  if (FORGES.has(type)) {
    const input = describeAttributes(attributes);
    if (typeof ref === "string" && typeof rev === "string")
      throw failure(`input ${input} contains both a commit hash ('${rev}') and a branch/tag name ('${ref}')`);
    if (typeof ref === "string" && !isLegalRefName(ref))
      throw failure(`input ${input} contains an invalid branch/tag name`);
    if (typeof host === "string" && !HOST.test(host))
      throw failure(`input ${input} contains an invalid instance host`);
  } else if (typeof ref === "string" && !isLegalRefName(ref))
    throw failure(`invalid Git branch/tag name '${ref}'`);
}

/** The SRI form; as in Nix, its padding may be missing and bits beyond the hash may be set. */
function normalHash(text: string): string {
  const sri = /^(\w+-)([A-Za-z0-9+/]+)={0,2}$/.exec(text);
  const given = sri === null ? text : `${sri[1]}${Buffer.from(sri[2]!, "base64").toString("base64")}`;
  try {
    return formatHash(parseHash(given, /[-:]/.test(given) ? undefined : "sha256"), "sri");
  } catch {
    throw failure(`invalid hash '${text}'`);
  }
}
